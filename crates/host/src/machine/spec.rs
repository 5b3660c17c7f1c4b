//! What a machine shall be, and what has become of it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a machine shall be: written as JSON into its state directory, read by its init.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineSpec {
    /// The name people know it by, for messages.
    pub name: String,
    /// Its UTS host name, also in its `/etc/hostname` and `/etc/hosts`.
    pub hostname: String,
    /// The name of its pinned network namespace (`/run/netns/NAME`), which must exist already.
    pub namespace: String,
    /// Its directory on the host, absolute: made by [`start`](super::start) if need be, holds `spec.json`,
    /// `console.log`, `pid`, `status.json` and the marker `user-data.done`.
    pub state_dir: PathBuf,
    /// The directory that it has for its root, absolute: an image's root file system. Without, the host's.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// Files of the image by absolute path, laid over the machine's own `/etc`, `/run`, `/tmp`, ….
    /// One that starts with `#!` becomes executable.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// How often the machine was to be rebooted when it was started this time: a greater number means, start it anew.
    #[serde(default)]
    pub reboots: u64,
    /// The interface on which the image's DHCP client runs, if any.
    #[serde(default)]
    pub dhcp: Option<String>,
    /// The interface on which the machine speaks IPv6, if any: its kernel listens to routers, and the image's DHCPv6
    /// client runs.
    #[serde(default)]
    pub dhcp6: Option<String>,
    /// Set-up commands, one after the other; the machine fails with the first that does.
    #[serde(default)]
    pub commands: Vec<Vec<String>>,
    /// Long running programs, started after the commands; noted when they end, not started again.
    #[serde(default)]
    pub processes: Vec<Vec<String>>,
    /// EC2 user data (already decoded): run once in the machine's life if it starts with `#!`.
    #[serde(default)]
    pub user_data: Option<Vec<u8>>,
}

/// How far a machine has come, as its init wrote it down last. It says nothing of whether the
/// init is still alive: ask [`pid`](super::pid) for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum MachineStatus {
    /// The init is at work: mounts, DHCP, commands, user data.
    Starting,
    /// Everything was done, though perhaps not all of it went well.
    Running {
        /// What DHCP gave.
        dhcp: Dhcp,
        /// Whether it speaks IPv6.
        #[serde(default)]
        ipv6: bool,
        /// What went wrong without stopping the machine: no lease, a process that ended, user data
        /// that failed. Sentences, in the order in which they happened.
        failures: Vec<String>,
    },
    /// The machine could not be set up, and its init has ended.
    Failed {
        /// Why.
        message: String,
    },
    /// The machine was stopped in order.
    Stopped,
}

/// What became of the machine's DHCP client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dhcp {
    /// The machine was not asked to use DHCP.
    Off,
    /// The interface has this address.
    Leased(Ipv4Addr),
    /// The interface had no address when the wait ended; a client that is still running may get one later.
    NoLease,
    /// The image has none of the DHCP clients we know.
    NoClient,
}
