//! One nftables table of our own, by nft(8).

use std::io::Write;
use std::process::{Command, Stdio};

use ipnet::Ipv4Net;

use super::UplinkError;

/// Whether the calling thread's network namespace has a table of this name.
pub(super) fn is_there(table: &str) -> Result<bool, UplinkError> {
    let tables = nft(&["list", "tables", "ip"], "")?;
    Ok(tables.lines().any(|line| line.trim_end() == format!("table ip {table}")))
}

/// Has what comes from `pool` and leaves by any link but `own` carry the machine's address.
pub(super) fn masquerade(table: &str, pool: Ipv4Net, own: &str) -> Result<(), UplinkError> {
    let rules = format!(
        "table ip {table} {{\n\
         \tchain postrouting {{\n\
         \t\ttype nat hook postrouting priority srcnat; policy accept;\n\
         \t\tip saddr {} oifname != \"{own}\" masquerade\n\
         \t}}\n\
         }}\n",
        pool.trunc()
    );
    nft(&["-f", "-"], &rules).map(drop)
}

/// Deletes the table; one that is not there is no error.
pub(super) fn delete(table: &str) -> Result<(), UplinkError> {
    // Adding one that is there changes nothing, and the two are one transaction.
    nft(&["-f", "-"], &format!("add table ip {table}\ndelete table ip {table}\n")).map(drop)
}

fn nft(arguments: &[&str], input: &str) -> Result<String, UplinkError> {
    let failed = |error: std::io::Error| UplinkError::Nft(error.to_string());
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let done = child.wait_with_output().map_err(failed)?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(UplinkError::Nft(String::from_utf8_lossy(&done.stderr).trim().to_owned()))
}
