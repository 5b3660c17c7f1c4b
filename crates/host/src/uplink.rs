//! The cloud's way out through this machine: either the machine routes and masquerades for it, or it speaks on one of
//! the machine's links beside the machine.
//!
//! This is the only code that touches the network namespace that the machine itself lives in. What it changes there is
//! written down first ([`record`]), and undone when the daemon ends, or by whoever starts or ends the cloud next.

mod machine;
mod nft;
mod record;

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use engine::{Gateway, PortId};
use ipnet::Ipv4Net;
use wire::Mac;

use self::machine::Machine;
use self::record::Record;
use crate::kernel::{Kernel, KernelError, Linux, sysctl};
use crate::namespace::{Namespace, NamespaceError};
use crate::plan::{End, Route};
use crate::step::Step;

/// Largest IP packet that leaves, in bytes (EC2 user guide, "Network maximum transmission unit").
const MTU: u16 = 1500;
/// The longest name of a link (`IFNAMSIZ` of linux/if.h, without the final zero).
const LONGEST_NAME: usize = 15;

/// The way out that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The cloud's name.
    pub cloud: String,
    /// The fabric's namespace, and the name of the link that is to be made there.
    pub fabric: String,
    /// That name.
    pub port: String,
    /// A MAC address that no other cloud of this machine has.
    pub mac: Mac,
    /// The public addresses of the cloud.
    pub pool: Ipv4Net,
    /// Through what.
    pub through: Through,
}

/// What the way out leads through.
#[derive(Debug, Clone)]
pub enum Through {
    /// The machine's own routing, behind its addresses.
    Machine {
        /// The MAC address of the machine's end.
        mac: Mac,
        /// Whether interfaces that do not forward are to be made to, as long as the cloud needs it.
        set_forwarding: bool,
    },
    /// An interface of the machine, which keeps it.
    Interface {
        /// Its name.
        name: String,
        /// The next hop for everybody who is not the cloud.
        gateway: Ipv4Addr,
    },
}

/// Why there is no way out, or something of it stays.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The pool's addresses are somebody else's already.
    #[error("the pool {pool} overlaps {what} of this machine: choose another with --pool")]
    PoolInUse {
        /// The pool.
        pool: Ipv4Net,
        /// An address or a route.
        what: String,
    },
    /// The gateway would be one of the cloud's addresses.
    #[error("the gateway {gateway} is in the pool {pool} of the cloud's own addresses")]
    GatewayInPool {
        /// The gateway.
        gateway: Ipv4Addr,
        /// The pool.
        pool: Ipv4Net,
    },
    /// The machine does not forward, and nobody said that it may be made to.
    #[error(
        "this machine does not forward what comes in by {}: set net.ipv4.ip_forward, or say --uplink-forwarding to have it forward as long as the cloud is served",
        .0.join(", ")
    )]
    NotForwarding(Vec<String>),
    /// There is no such interface.
    #[error("this machine has no interface {0}")]
    NoInterface(String),
    /// The interface is down.
    #[error("the interface {0} is down")]
    Down(String),
    /// Something of the name that we would use is there.
    #[error("there is a {what} {name} already, which was made by somebody else")]
    Taken {
        /// Link or nftables table.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// nftables refused something, or is not there.
    #[error("nft: {0}")]
    Nft(String),
    /// The kernel refused something.
    #[error("{doing}: {source}")]
    Netlink {
        /// What was asked.
        doing: &'static str,
        /// The answer.
        source: Box<rtnetlink::Error>,
    },
    /// No netlink socket.
    #[error("opening netlink: {0}")]
    Socket(#[source] io::Error),
    /// A kernel parameter could not be read or written.
    #[error("kernel parameter net/{path}: {source}")]
    Sysctl {
        /// The path below `/proc/sys/net`.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The list of what is changed cannot be read or written.
    #[error("{}: {source}", path.display())]
    Record {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A namespace cannot be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The fabric's end cannot be set up.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// The way out of one cloud.
#[derive(Debug)]
pub struct Uplink {
    wanted: Wanted,
    /// The MAC address of the fabric's end.
    mac: Mac,
    mtu: u16,
    /// The machine's end, and the nftables table; where the machine routes.
    own: String,
    sysctls: Vec<(String, String)>,
    machine: Machine,
    prepared: bool,
}

impl Uplink {
    /// Finds out whether the way out can be made in the calling thread's network namespace, and writes down in `dir`
    /// what will be changed. Changes nothing yet. What an earlier one left must have been undone.
    ///
    /// # Errors
    /// See [`UplinkError`].
    pub fn plan(dir: &Path, wanted: Wanted) -> Result<Uplink, UplinkError> {
        let machine = Machine::here()?;
        let own = own_link(&wanted);
        let pool = wanted.pool;
        let mut former = Vec::new();
        let mut sysctls = Vec::new();
        let (mut mac, mut mtu) = (wanted.mac, MTU);
        let mut record = Record::of(&wanted)?;
        if let Some((link, address)) =
            machine.addresses()?.into_iter().find(|(_, a)| pool.contains(&a.addr()))
        {
            return Err(UplinkError::PoolInUse { pool, what: format!("the address {address} of {link}") });
        }
        match &wanted.through {
            Through::Machine { set_forwarding, .. } => {
                let routes = machine.routes()?;
                // Halves of the world are how tunnels replace the default route.
                let (defaults, others): (Vec<_>, Vec<_>) =
                    routes.into_iter().partition(|(to, _)| to.prefix_len() <= 1);
                let overlaps = |(there, _): &&(Ipv4Net, Route)| {
                    there.contains(&pool.network()) || pool.contains(&there.network())
                };
                if let Some((_, route)) = others.iter().find(overlaps) {
                    return Err(UplinkError::PoolInUse { pool, what: format!("the route {route}") });
                }
                if machine.link(&own)?.is_some() {
                    return Err(UplinkError::Taken { what: "link", name: own });
                }
                if nft::is_there(&table(&wanted.cloud))? {
                    return Err(UplinkError::Taken { what: "nftables table", name: table(&wanted.cloud) });
                }
                let mut outward: Vec<_> = defaults.into_iter().filter_map(|(_, route)| route.link).collect();
                outward.sort();
                outward.dedup();
                former = not_forwarding(&outward)?;
                if !former.is_empty() && !set_forwarding {
                    let links = former.iter().filter_map(|(path, _)| path.split('/').nth(2));
                    return Err(UplinkError::NotForwarding(links.map(str::to_owned).collect()));
                }
                sysctls = former.iter().map(|(path, _)| (path.clone(), "1".to_owned())).collect();
                record.link = Some(own.clone());
                record.table = Some(table(&wanted.cloud));
            }
            Through::Interface { name, gateway } => {
                let parent = machine.link(name)?.ok_or_else(|| UplinkError::NoInterface(name.clone()))?;
                if !parent.up {
                    return Err(UplinkError::Down(name.clone()));
                }
                if pool.contains(gateway) {
                    return Err(UplinkError::GatewayInPool { gateway: *gateway, pool });
                }
                mac = beside(parent.mac, wanted.mac);
                mtu = mtu.min(u16::try_from(parent.mtu).unwrap_or(MTU));
            }
        }
        record.sysctls = former;
        record.write(dir)?;
        Ok(Uplink { wanted, mac, mtu, own, sysctls, machine, prepared: false })
    }

    /// Has the way out stand; `standing` says whether the fabric's namespace has its link. Says whether that link has
    /// been made now.
    ///
    /// # Errors
    /// See [`UplinkError`].
    pub fn ensure(&mut self, kernel: &mut Linux, standing: bool) -> Result<bool, UplinkError> {
        match self.wanted.through.clone() {
            Through::Machine { mac, .. } => {
                if !self.prepared {
                    set(&self.sysctls)?;
                    nft::masquerade(&table(&self.wanted.cloud), self.wanted.pool, &self.own)?;
                    self.prepared = true;
                }
                if !standing {
                    self.make_pair(mac)?;
                    self.set_port_up(kernel)?;
                }
                self.route()?;
            }
            Through::Interface { name, .. } if !standing => {
                let parent =
                    self.machine.link(&name)?.ok_or_else(|| UplinkError::NoInterface(name.clone()))?;
                let fabric = Namespace::open(&self.wanted.fabric)?;
                self.machine.create_macvlan(parent.index, &self.fabric_end(), fabric.fd())?;
                self.set_port_up(kernel)?;
            }
            Through::Interface { .. } => {}
        }
        Ok(!standing)
    }

    /// What the engine has to know of it, at this port of the fabric.
    pub fn at(&self, port: PortId) -> engine::Uplink {
        let gateway = match self.wanted.through {
            Through::Machine { mac, .. } => Gateway::Mac(mac),
            Through::Interface { gateway, .. } => Gateway::Address(gateway),
        };
        let neighbors = std::collections::BTreeMap::new();
        engine::Uplink { port, mac: self.mac, mtu: self.mtu, neighbors, gateway: Some(gateway) }
    }

    fn make_pair(&self, mac: Mac) -> Result<(), UplinkError> {
        let fabric = Namespace::open(&self.wanted.fabric)?;
        let own = End { namespace: String::new(), link: self.own.clone(), mac: Some(mac), bridge: None };
        self.machine.create_veth(&own, (&self.fabric_end(), fabric.fd()), u32::from(MTU))?;
        // It is a router's link without addresses, and speaks only when it forwards.
        let conf = |family, name| format!("{family}/conf/{}/{name}", self.own);
        set(&[
            (conf("ipv6", "disable_ipv6"), "1".to_owned()),
            (conf("ipv4", "forwarding"), "1".to_owned()),
            (conf("ipv4", "send_redirects"), "0".to_owned()),
        ])
    }

    fn fabric_end(&self) -> End {
        End {
            namespace: self.wanted.fabric.clone(),
            link: self.wanted.port.clone(),
            mac: Some(self.mac),
            bridge: None,
        }
    }

    fn set_port_up(&self, kernel: &mut Linux) -> Result<(), UplinkError> {
        let (namespace, link) = (self.wanted.fabric.clone(), self.wanted.port.clone());
        Ok(kernel.perform(&Step::SetUp { namespace, link })?)
    }

    /// Leads the pool to the machine's end, if nothing does.
    fn route(&self) -> Result<(), UplinkError> {
        let own = self.machine.link(&self.own)?.ok_or_else(|| UplinkError::NoInterface(self.own.clone()))?;
        if !own.up {
            self.machine.set_up(own.index)?;
        }
        let ours = |(to, route): &(Ipv4Net, Route)| {
            *to == self.wanted.pool.trunc() && route.link.as_ref() == Some(&self.own)
        };
        if !self.machine.routes()?.iter().any(ours) {
            let route =
                Route { via: None, destination: self.wanted.pool.into(), link: Some(self.own.clone()) };
            self.machine.add_route(&route, own.index)?;
        }
        Ok(())
    }
}

/// Undoes the way out that was made by the list in `dir`, whoever made it and whatever became of it. Nothing to do is
/// success; after an error a second call may do the rest.
///
/// # Errors
/// See [`UplinkError`]: the first of what went wrong.
pub fn undo(dir: &Path) -> Result<(), UplinkError> {
    let Some(record) = Record::read(dir)? else { return Ok(()) };
    // After a restart of the machine nothing is left, and its parameters are what it was configured to have.
    if record.is_of_this_boot() {
        let fabric = match Namespace::open(&record.fabric) {
            Ok(fabric) => fabric.run(|| Machine::here()?.delete(&record.port))?,
            // The links have gone with it.
            Err(NamespaceError::Missing(_) | NamespaceError::NotPinned(_)) => Ok(()),
            Err(error) => Err(error.into()),
        };
        let own = match Namespace::of_inode(record.namespace) {
            Some(machine) => machine.run(|| undo_here(&record))?,
            // A namespace that has ended took all along.
            None => Ok(()),
        };
        fabric.and(own)?;
    }
    Record::remove(dir)
}

fn undo_here(record: &Record) -> Result<(), UplinkError> {
    let link = record.link.as_ref().map_or(Ok(()), |link| Machine::here()?.delete(link));
    let table = record.table.as_ref().map_or(Ok(()), |table| nft::delete(table));
    link.and(table).and(set(&record.sysctls))
}

/// The machine's end: by the cloud's name where Linux' 15 bytes allow it.
fn own_link(wanted: &Wanted) -> String {
    let name = format!("rw-{}", wanted.cloud);
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let digits: String = wanted.mac.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("rw-{digits}")
}

fn table(cloud: &str) -> String {
    format!("ringwall-{cloud}")
}

/// A locally administered unicast address that neither another machine on the link has, nor another cloud.
fn beside(parent: Option<Mac>, cloud: Mac) -> Mac {
    let parent = parent.unwrap_or(Mac([0; 6]));
    let mut mac: [u8; 6] = std::array::from_fn(|byte| parent.0[byte] ^ cloud.0[byte]);
    mac[0] = (mac[0] | 2) & !1;
    Mac(mac)
}

/// The parameters by which these links do not forward, with their values.
fn not_forwarding(links: &[String]) -> Result<Vec<(String, String)>, UplinkError> {
    let paths: Vec<_> = links.iter().map(|link| format!("ipv4/conf/{link}/forwarding")).collect();
    let values = sysctl::read(paths.iter().map(String::as_str));
    let values = values.map_err(|(path, source)| UplinkError::Sysctl { path, source })?;
    Ok(values.into_iter().filter(|(_, value)| value == "0").collect())
}

fn set(values: &[(String, String)]) -> Result<(), UplinkError> {
    let values = values.iter().map(|(path, value)| (path.as_str(), value.as_str()));
    sysctl::set(values).map_err(|(path, source)| UplinkError::Sysctl { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(cloud: &str) -> Wanted {
        Wanted {
            cloud: cloud.to_owned(),
            fabric: "rw-x-fabric".to_owned(),
            port: "uplink0".to_owned(),
            mac: Mac([0x0a, 1, 2, 3, 4, 0xff]),
            pool: "203.0.113.0/24".parse().unwrap(),
            through: Through::Machine { mac: Mac([0x0a, 0, 0, 0, 0, 1]), set_forwarding: false },
        }
    }

    #[test]
    fn names_fit_into_what_linux_allows() {
        assert_eq!(own_link(&wanted("serve")), "rw-serve");
        assert_eq!(own_link(&wanted("twelve-bytes")), "rw-twelve-bytes");
        assert_eq!(own_link(&wanted("thirteen-byte")), "rw-0a01020304ff");
    }

    #[test]
    fn addresses_on_the_wire_are_local_and_nobody_elses() {
        let cloud = wanted("x").mac;
        let parents = [Some(Mac([0x52, 0x54, 0, 1, 2, 3])), Some(Mac([0x03, 0, 0, 0, 0, 1])), None];
        for parent in parents {
            let mac = beside(parent, cloud);
            assert!(mac.0[0] & 3 == 2 && Some(mac) != parent, "{mac}");
        }
        assert_ne!(beside(parents[0], cloud), beside(parents[1], cloud));
    }

    #[test]
    fn without_a_list_there_is_nothing_to_undo() {
        let dir = tempfile::tempdir().unwrap();
        undo(dir.path()).unwrap();
    }

    #[test]
    fn what_an_earlier_boot_left_is_only_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut record = Record::of(&wanted("x")).unwrap();
        record.boot = "another".to_owned();
        // Were this set, it would show: there is no such value.
        record.sysctls = vec![("ipv4/ip_forward".to_owned(), "nonsense".to_owned())];
        record.write(dir.path()).unwrap();
        undo(dir.path()).unwrap();
        assert!(Record::read(dir.path()).unwrap().is_none());
    }
}
