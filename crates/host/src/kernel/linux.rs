//! The kernel of this machine.

use std::collections::{BTreeMap, BTreeSet};

use rtnetlink::{Error, Handle};
use tokio::runtime::Runtime;

use super::netlink::{self, RawLink};
use super::netns::Entered;
use super::{Kernel, KernelError, Observed, ObservedLink, ObservedNamespace, sysctl};
use crate::ledger::{Ledger, Made};
use crate::namespace::{self, Namespace, NamespaceError};
use crate::plan::{End, NamespacePlan, Plan, Route, Veth};
use crate::step::Step;
use crate::teardown;

/// This machine's kernel. Needs root. It blocks, and holds an async runtime of its own: not to be used or
/// dropped inside another one's tasks.
#[derive(Debug)]
pub struct Linux {
    ledger: Ledger,
    namespaces: BTreeMap<String, Entered>,
    // Declared after what it drives, so dropped after it.
    runtime: Runtime,
}

impl Linux {
    /// Opens the kernel; what it makes, `ledger` lists first.
    ///
    /// # Errors
    /// `Socket`.
    pub fn open(ledger: Ledger) -> Result<Self, KernelError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(KernelError::Socket)?;
        Ok(Self { ledger, namespaces: BTreeMap::new(), runtime })
    }

    /// The ledger, for listing what is made beside the plan.
    pub fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Opens the namespace if it is pinned, and forgets one that has been replaced under its name.
    fn enter(&mut self, name: &str) -> Result<bool, KernelError> {
        let namespace = match Namespace::open(name) {
            Ok(namespace) => Some(namespace),
            Err(NamespaceError::Missing(_) | NamespaceError::NotPinned(_)) => None,
            Err(e) => return Err(e.into()),
        };
        let inode = namespace.as_ref().map(Namespace::inode);
        let known = self.namespaces.get(name).map(|entered| entered.namespace.inode());
        if known != inode {
            self.forget(name);
            if let Some(namespace) = namespace {
                self.namespaces.insert(name.to_owned(), Entered::open(&self.runtime, namespace)?);
            }
        }
        Ok(inode.is_some())
    }

    fn forget(&mut self, name: &str) {
        if let Some(entered) = self.namespaces.remove(name) {
            entered.close(&self.runtime);
        }
    }

    fn entered(&self, name: &str) -> Result<&Entered, KernelError> {
        self.namespaces.get(name).ok_or_else(|| NamespaceError::Missing(name.to_owned()).into())
    }

    /// Asks netlink in a namespace.
    fn ask<'a, T, F: Future<Output = Result<T, Error>>>(
        &'a self,
        namespace: &str,
        doing: &'static str,
        request: impl FnOnce(&'a Handle) -> F,
    ) -> Result<T, KernelError> {
        let handle = &self.entered(namespace)?.handle;
        self.runtime.block_on(request(handle)).map_err(|source| KernelError::Netlink {
            doing,
            namespace: namespace.to_owned(),
            source: Box::new(source),
        })
    }

    fn index(&self, namespace: &str, link: &str) -> Result<u32, KernelError> {
        self.find(namespace, link)?
            .ok_or_else(|| KernelError::NoLink { namespace: namespace.to_owned(), link: link.to_owned() })
    }

    fn find(&self, namespace: &str, link: &str) -> Result<Option<u32>, KernelError> {
        self.ask(namespace, "finding a link", |handle| netlink::index(handle, link))
    }

    fn route_link(&self, namespace: &str, route: &Route) -> Result<Option<u32>, KernelError> {
        route.link.as_ref().map(|link| self.index(namespace, link)).transpose()
    }

    fn create_namespace(&mut self, name: &str, forwarding: bool, ipv6: bool) -> Result<(), KernelError> {
        let owned = namespace::owned();
        if owned.directory {
            self.ledger.record(&Made::NetnsDirectory)?;
        }
        if owned.mount {
            self.ledger.record(&Made::NetnsMount)?;
        }
        self.ledger.record(&Made::Namespace { name: name.to_owned() })?;
        // Links take their parameters from `default` when they are made, so no link ever has the machine's.
        let wanted = sysctl::wanted(forwarding, ipv6, ["lo"]);
        let namespace = Namespace::create_with(name, || {
            let values = wanted.iter().map(|(path, value)| (path.as_str(), *value));
            sysctl::set(values)
                .map_err(|(path, e)| std::io::Error::new(e.kind(), format!("/proc/sys/net/{path}: {e}")))
        })?;
        self.forget(name);
        self.namespaces.insert(name.to_owned(), Entered::open(&self.runtime, namespace)?);
        Ok(())
    }

    fn delete_namespace(&mut self, name: &str) -> Result<(), KernelError> {
        self.forget(name);
        teardown::delete_namespace(name).map_err(KernelError::Teardown)
    }

    fn create_veth(&self, veth: &Veth) -> Result<(), KernelError> {
        let Veth { a, b, mtu } = veth;
        let there = self.entered(&b.namespace)?.namespace.fd();
        self.ask(&a.namespace, "creating a veth pair", |handle| {
            netlink::create_veth(handle, a, (b, there), *mtu)
        })
    }

    fn set_sysctls(&self, namespace: &str, values: &[(String, String)]) -> Result<(), KernelError> {
        let entered = self.entered(namespace)?;
        let values = values.iter().map(|(path, value)| (path.as_str(), value.as_str()));
        entered.namespace.run(|| sysctl::set(values))?.map_err(|(path, source)| KernelError::Sysctl {
            namespace: namespace.to_owned(),
            path,
            source,
        })
    }

    /// All of one namespace but who its veths' peers are.
    fn observe_namespace(
        &self,
        name: &str,
        planned: &NamespacePlan,
    ) -> Result<(ObservedNamespace, Vec<RawLink>), KernelError> {
        let raw = self.ask(name, "listing links", netlink::links)?;
        let names: BTreeMap<u32, String> = raw.iter().map(|link| (link.index, link.name.clone())).collect();
        let addresses = self.ask(name, "listing addresses", |h| netlink::addresses(h, &names))?;
        let routes = self.ask(name, "listing routes", |h| netlink::routes(h, &names))?;
        let neighbors = self.ask(name, "listing neighbors", |h| netlink::neighbors(h, &names))?;
        let wanted = sysctl::wanted(planned.forwarding, planned.ipv6(), names.values().map(String::as_str));
        let paths = wanted.iter().map(|(path, _)| path.as_str());
        let sysctls = self.entered(name)?.namespace.run(|| sysctl::read(paths))?;
        let sysctls = sysctls.map_err(|(path, source)| KernelError::Sysctl {
            namespace: name.to_owned(),
            path,
            source,
        })?;
        let link = |link: &RawLink| ObservedLink {
            index: link.index,
            kind: link.kind,
            mac: link.mac,
            mtu: link.mtu,
            up: link.up,
            bridge: link.bridge.and_then(|index| names.get(&index).cloned()),
            peer: None,
        };
        let links = raw.iter().map(|raw| (raw.name.clone(), link(raw))).collect();
        Ok((ObservedNamespace { links, addresses, routes, neighbors, sysctls }, raw))
    }
}

impl Kernel for Linux {
    fn observe(&mut self, plan: &Plan) -> Result<Observed, KernelError> {
        let mut observed = Observed::default();
        let listed: Vec<String> = self.ledger.made().iter().filter_map(namespace_name).collect();
        for name in listed.into_iter().filter(|name| !plan.namespaces.contains_key(name)) {
            if self.enter(&name)? || namespace::is_left(&name) {
                observed.strays.insert(name);
            }
        }
        let mut raw = BTreeMap::new();
        for (name, planned) in &plan.namespaces {
            if self.enter(name)? {
                if !self.ledger.made().contains(&Made::Namespace { name: name.clone() }) {
                    return Err(KernelError::Foreign(name.clone()));
                }
                let (namespace, links) = self.observe_namespace(name, planned)?;
                observed.namespaces.insert(name.clone(), namespace);
                raw.insert(name.as_str(), links);
            }
        }
        // Only planned neighbours are asked for: each question is a request.
        let pairs = plan.veths.iter().map(|veth| (&veth.a, &veth.b));
        let pairs: BTreeSet<(&str, &str)> = pairs
            .flat_map(|(a, b)| [(a, b), (b, a)])
            .map(|(from, to): (&End, &End)| (from.namespace.as_str(), to.namespace.as_str()))
            .collect();
        for (here, there) in pairs {
            let (Some(links), Some(others)) = (raw.get(here), raw.get(there)) else { continue };
            let id = match here == there {
                true => None,
                false => self.ask(here, "finding a namespace", |h| netlink::namespace_id(h, there))?,
            };
            if id.is_none() && here != there {
                continue;
            }
            let Some(namespace) = observed.namespaces.get_mut(here) else { continue };
            for link in links {
                let Some(peer) = link.peer.as_ref().filter(|peer| peer.namespace_id == id) else { continue };
                let other = others.iter().find(|other| other.index == peer.index);
                if let (Some(other), Some(link)) = (other, namespace.links.get_mut(&link.name)) {
                    link.peer = Some((there.to_owned(), other.name.clone()));
                }
            }
        }
        Ok(observed)
    }

    fn perform(&mut self, step: &Step) -> Result<(), KernelError> {
        tracing::debug!(%step);
        match step {
            Step::DeleteNamespace { name } => self.delete_namespace(name),
            Step::CreateNamespace { name, forwarding, ipv6 } => {
                self.create_namespace(name, *forwarding, *ipv6)
            }
            Step::SetSysctls { namespace, values } => self.set_sysctls(namespace, values),
            Step::CreateVeth { veth } => self.create_veth(veth),
            Step::DeleteLink { namespace, link } => match self.find(namespace, link)? {
                Some(link) => self.ask(namespace, "deleting a link", |h| netlink::delete_link(h, link)),
                None => Ok(()),
            },
            Step::CreateBridge { namespace, bridge } => {
                self.ask(namespace, "creating a bridge", |h| netlink::create_bridge(h, bridge))
            }
            Step::SetMac { namespace, link, mac } => {
                let link = self.index(namespace, link)?;
                self.ask(namespace, "setting a MAC", |h| netlink::set_mac(h, link, *mac))
            }
            Step::SetMtu { namespace, link, mtu } => {
                let link = self.index(namespace, link)?;
                self.ask(namespace, "setting an MTU", |h| netlink::set_mtu(h, link, *mtu))
            }
            Step::SetBridge { namespace, link, bridge } => {
                let link = self.index(namespace, link)?;
                let bridge = bridge.as_ref().map(|bridge| self.index(namespace, bridge)).transpose()?;
                self.ask(namespace, "setting a bridge", |h| netlink::set_bridge(h, link, bridge))
            }
            Step::SetUp { namespace, link } => {
                let link = self.index(namespace, link)?;
                self.ask(namespace, "setting a link up", |h| netlink::set_up(h, link))
            }
            Step::DeleteAddress { namespace, link, address } => {
                let link = self.index(namespace, link)?;
                self.ask(namespace, "removing an address", |h| netlink::delete_address(h, link, *address))
            }
            Step::AddAddress { namespace, link, address } => {
                let link = self.index(namespace, link)?;
                self.ask(namespace, "adding an address", |h| netlink::add_address(h, link, *address))
            }
            Step::DeleteRoute { namespace, route } => {
                let link = self.route_link(namespace, route)?;
                self.ask(namespace, "removing a route", |h| netlink::delete_route(h, route, link))
            }
            Step::AddRoute { namespace, route } => {
                let link = self.route_link(namespace, route)?;
                self.ask(namespace, "adding a route", |h| netlink::add_route(h, route, link))
            }
            Step::DeleteNeighbor { namespace, link, address } => {
                let link = self.index(namespace, link)?;
                self.ask(namespace, "removing a neighbor", |h| netlink::delete_neighbor(h, link, *address))
            }
            Step::SetNeighbor { namespace, link, address, mac } => {
                let link = self.index(namespace, link)?;
                self.ask(namespace, "setting a neighbor", |h| netlink::set_neighbor(h, link, *address, *mac))
            }
        }
    }
}

fn namespace_name(made: &Made) -> Option<String> {
    match made {
        Made::Namespace { name } => Some(name.clone()),
        _ => None,
    }
}
