//! Every flag, and nothing else.

use std::convert::Infallible;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use host::clock::Rate;
use ipnet::{Ipv4Net, Ipv6Net};
use model::Quotas;

use crate::command::{apply, clock};

/// A virtual private cloud on your own Linux machine.
#[derive(Debug, Parser)]
#[command(name = "ringwall", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring a lab up, look at it, take it down: a cloud and the world around it.
    Lab {
        #[command(subcommand)]
        command: LabCommand,
    },
    /// Run the EC2 endpoint of a cloud, in the foreground. The cloud outlives it, and is there when it comes back.
    Serve(ServeFlags),
    /// Run a command in an instance or on a lab host.
    Exec(ExecFlags),
    /// Run a shell in the namespaces that an ordinary user's lab stands in: there `ip netns` shows everything.
    ///
    /// Outside of them, only ringwall sees the lab. Root's labs are seen everywhere.
    Enter(EnterFlags),
    /// Say which way a packet takes, there and back, and who decides what on it.
    Explain(ExplainFlags),
    /// Show a lab's clock, set it forward, or have it run faster.
    ///
    /// Idle times of connections run by it, and how long a terminated instance is shown.
    Clock(ClockFlags),
    /// Bring a CloudFormation template about in a cloud that is up, change what it has become, or take that away.
    ///
    /// What stands is compared with the template: what is missing is made, what differs is changed where it stands or
    /// replaced, what is left is taken away; all of it, or nothing.
    Apply(ApplyFlags),
    /// A lab's daemon.
    #[command(hide = true)]
    Daemon(DaemonFlags),
    /// The process that owns the namespaces of an ordinary user's lab.
    #[command(hide = true)]
    Holder {
        /// The lab's directory.
        dir: PathBuf,
        /// The namespaces are there already: it was started in them.
        #[arg(long)]
        inside: bool,
    },
    /// The first process of an instance or lab host.
    #[command(hide = true)]
    MachineInit {
        /// What the machine shall be.
        spec: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Bring a lab up and wait until everything in it runs.
    Up(UpFlags),
    /// Show what stands in a lab: names, ids, addresses, dropped packets.
    Status {
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
        /// The lab, by its name or its state directory; needed only if several are up.
        name: Option<String>,
    },
    /// Take a lab down: every link, namespace, mount, process and file it made.
    Down {
        /// The lab, by its name or its state directory; needed only if several are up.
        name: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct UpFlags {
    /// The lab file.
    pub(crate) file: PathBuf,
    /// The lab's name, instead of the one in the file.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where to listen for EC2 API requests, or on the next free port. Loopback only, unless with --credentials.
    #[arg(long, default_value = "127.0.0.1:4566")]
    pub(crate) listen: SocketAddr,
    /// Answer only requests signed with a key in this file. Read once, at the start.
    ///
    /// It is in the format of AWS's shared credentials file: profiles with aws_access_key_id, aws_secret_access_key and,
    /// if the account is not 000000000000, aws_account_id. Nobody but its owner may have access to it.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// How fast the lab's clock runs: seconds a second, 0 to 3600.
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    pub(crate) clock_rate: Option<Rate>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// Where to listen for EC2 API requests. Loopback only, unless with --credentials.
    #[arg(long, default_value = "127.0.0.1:4566")]
    pub(crate) listen: SocketAddr,
    /// Answer only requests signed with a key in this file. Read once, at the start.
    ///
    /// It is in the format of AWS's shared credentials file: profiles with aws_access_key_id, aws_secret_access_key and,
    /// if the account is not 000000000000, aws_account_id. Nobody but its owner may have access to it.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// The directory that keeps the cloud's state; its name is the cloud's.
    #[arg(long)]
    pub(crate) state: Option<PathBuf>,
    /// Where Elastic IPs come from.
    #[arg(long, default_value = "203.0.113.0/24")]
    pub(crate) pool: Ipv4Net,
    /// Let there be so many of something in each region, such as `vpcs=20`; one that is not named is as for a new AWS
    /// account. docs/api.md lists them. Can be repeated.
    #[arg(long = "quota", value_name = "NAME=NUMBER", value_parser = quota)]
    pub(crate) quotas: Vec<(String, usize)>,
    /// Where packets for the internet go: `none`, `host` (through this machine's own routing, behind its addresses), or
    /// the name of an interface of this machine, on which the cloud speaks for its pool.
    #[arg(long, value_name = "none|host|INTERFACE", default_value = "none")]
    pub(crate) uplink: UplinkFlag,
    /// The next hop beyond the interface that is the uplink.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) uplink_gateway: Option<Ipv4Addr>,
    /// With `--uplink host`, have the interfaces of this machine's default routes forward as long as the cloud is served.
    #[arg(long)]
    pub(crate) uplink_forwarding: bool,
    /// The DNS server, as this machine's own network finds it, that VPCs' resolvers ask for names outside of the cloud.
    /// Without it they answer SERVFAIL.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) resolver: Option<IpAddr>,
    /// How fast the cloud's clock runs: seconds a second, 0 to 3600.
    #[arg(long, value_name = "RATE", default_value_t = Rate::REAL, allow_hyphen_values = true)]
    pub(crate) clock_rate: Rate,
    /// Where the IPv6 CIDR blocks of VPCs come from, each a /56.
    #[arg(long, default_value_t = lab::world::POOL6, value_parser = pool6)]
    pub(crate) pool6: Ipv6Net,
}

/// Where a cloud leads to.
#[derive(Debug, Clone)]
pub(crate) enum UplinkFlag {
    /// Nowhere.
    None,
    /// Through this machine.
    Host,
    /// To what an interface of this machine is on.
    Interface(String),
}

impl FromStr for UplinkFlag {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<UplinkFlag, Infallible> {
        Ok(match text {
            "none" => UplinkFlag::None,
            "host" => UplinkFlag::Host,
            interface => UplinkFlag::Interface(interface.to_owned()),
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct ExecFlags {
    /// The lab, by its name or its state directory; needed only if several are up.
    #[arg(long)]
    pub(crate) lab: Option<String>,
    /// An instance's id or Name tag, or a lab host's name.
    pub(crate) who: String,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct EnterFlags {
    /// The lab, by its name or its state directory; needed only if several are up.
    #[arg(long)]
    pub(crate) lab: Option<String>,
    /// A command and its arguments, instead of a shell.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainFlags {
    /// The lab, by its name or its state directory; needed only if several are up.
    #[arg(long)]
    pub(crate) lab: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Print only what a traceroute would show.
    #[arg(long, conflicts_with = "json")]
    pub(crate) hops: bool,
    /// The protocol.
    #[arg(long, value_enum, default_value_t = ProtoFlag::Udp)]
    pub(crate) proto: ProtoFlag,
    /// Send to the IPv6 address of whoever TO names, not to the IPv4 address.
    #[arg(short = '6')]
    pub(crate) ipv6: bool,
    /// Who sends: an instance's id or Name tag, or a lab host's name.
    pub(crate) from: String,
    /// To whom: the same, or an address; with `:PORT` (default 33434, as traceroute). An IPv6 address with a port is in
    /// brackets: `[2001:db8::4]:22`.
    pub(crate) to: String,
}

#[derive(Debug, Args)]
pub(crate) struct ClockFlags {
    /// The lab; needed only if several are up.
    #[arg(long, global = true)]
    pub(crate) lab: Option<String>,
    /// Print what the clock shows as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<ClockCommand>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ClockCommand {
    /// Set the clock forward, and end all that has ended by then.
    Advance {
        /// How far: a whole number with its unit, ms, s, m, h or d.
        #[arg(value_parser = clock::duration, allow_hyphen_values = true)]
        by: Duration,
    },
    /// Have the clock run at another rate from now on.
    Rate {
        /// Seconds a second: 1 is real time, 0 stops the clock, 3600 is the most.
        #[arg(allow_hyphen_values = true)]
        rate: Rate,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ApplyFlags {
    /// The template, YAML or JSON.
    #[arg(required_unless_present_all = ["delete", "stack"])]
    pub(crate) template: Option<PathBuf>,
    /// The stack's name; the template's, without what is after its first dot, if it is left out.
    #[arg(long, value_name = "NAME")]
    pub(crate) stack: Option<String>,
    /// The lab, by its name or its state directory; needed only if several are up.
    #[arg(long)]
    pub(crate) lab: Option<String>,
    /// A parameter's value. One that is not named keeps its value, or has its default. Can be repeated.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = apply::parameter)]
    pub(crate) parameters: Vec<(String, String)>,
    /// Take the stack away.
    #[arg(long, conflicts_with = "parameters")]
    pub(crate) delete: bool,
    /// The region, if not the cloud's own.
    #[arg(long)]
    pub(crate) region: Option<String>,
    /// The account, if not the cloud's own: where requests are signed, that of an access key.
    #[arg(long)]
    pub(crate) account: Option<String>,
    /// Print what was done as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProtoFlag {
    /// Open a TCP connection.
    Tcp,
    /// Send a UDP datagram.
    Udp,
    /// Send an ICMP echo request.
    Icmp,
}

#[derive(Debug, Args)]
pub(crate) struct DaemonFlags {
    /// The lab's name.
    #[arg(long)]
    pub(crate) name: String,
    /// The lab file.
    #[arg(long)]
    pub(crate) file: PathBuf,
    /// The lab's directory.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Where to listen for EC2 API requests, or on the next free port.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    /// How fast the lab's clock runs.
    #[arg(long, default_value_t = Rate::REAL)]
    pub(crate) clock_rate: Rate,
    /// The open lock file that was handed over.
    #[arg(long)]
    pub(crate) lock_fd: i32,
    /// The open credentials file that was handed over.
    #[arg(long)]
    pub(crate) credentials_fd: Option<i32>,
}

fn quota(text: &str) -> Result<(String, usize), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=NUMBER is expected")?;
    let value = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    Quotas::default().set(name, value).map_err(|bad| bad.to_string())?;
    Ok((name.to_owned(), value))
}

fn pool6(text: &str) -> Result<Ipv6Net, String> {
    let network = text.parse::<Ipv6Net>().ok().filter(|network| lab::world::is_pool6(*network));
    network.ok_or_else(|| "not an IPv6 network of unicast addresses, a /56 or larger".to_owned())
}
