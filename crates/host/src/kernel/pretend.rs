//! A kernel of maps, for tests of what is asked of one.

use std::collections::BTreeMap;

use super::{
    Kernel, KernelError, LinkKind, Observed, ObservedLink, ObservedNamespace, ObservedRoute, sysctl,
};
use crate::namespace::NamespaceError;
use crate::plan::{End, Plan};
use crate::step::Step;

/// A pretended kernel. A test may change what is there at any time, as an administrator would.
#[derive(Debug, Clone, Default)]
pub struct Pretend {
    /// What is there.
    pub namespaces: BTreeMap<String, ObservedNamespace>,
    /// All steps asked of it, in order.
    pub asked: Vec<Step>,
    next_index: u32,
}

impl Kernel for Pretend {
    fn observe(&mut self, plan: &Plan) -> Result<Observed, KernelError> {
        let (planned, strays): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.namespaces.clone().into_iter().partition(|(name, _)| plan.namespaces.contains_key(name));
        Ok(Observed { namespaces: planned, strays: strays.into_keys().collect() })
    }

    fn perform(&mut self, step: &Step) -> Result<(), KernelError> {
        self.asked.push(step.clone());
        match step {
            Step::DeleteNamespace { name } => {
                let links = self.namespaces.remove(name).map(|namespace| namespace.links);
                for peer in links.into_iter().flatten().filter_map(|(_, link)| link.peer) {
                    self.remove_link(&peer.0, &peer.1);
                }
            }
            Step::DeleteLink { namespace, link } => {
                if let Some(peer) = self.remove_link(namespace, link).and_then(|link| link.peer) {
                    self.remove_link(&peer.0, &peer.1);
                }
            }
            Step::CreateNamespace { name, forwarding, ipv6 } => {
                if self.namespaces.contains_key(name) {
                    return Err(NamespaceError::Exists(name.clone()).into());
                }
                let mut made = ObservedNamespace::default();
                let sysctls = sysctl::wanted(*forwarding, *ipv6, []);
                made.sysctls = sysctls.into_iter().map(|(path, value)| (path, value.to_owned())).collect();
                self.namespaces.insert(name.clone(), made);
                self.add_link(name, "lo", LinkKind::Other)?.up = false;
            }
            Step::SetSysctls { namespace, values } => {
                self.namespace(namespace)?.sysctls.extend(values.iter().cloned());
            }
            Step::CreateBridge { namespace, bridge } => {
                self.add_link(namespace, bridge, LinkKind::Bridge)?;
            }
            Step::CreateVeth { veth } => {
                self.add_end(&veth.a, &veth.b, veth.mtu)?;
                self.add_end(&veth.b, &veth.a, veth.mtu)?.up = false;
            }
            Step::SetMac { namespace, link, mac } => self.link(namespace, link)?.mac = Some(*mac),
            Step::SetMtu { namespace, link, mtu } => self.link(namespace, link)?.mtu = *mtu,
            Step::SetBridge { namespace, link, bridge } => {
                if let Some(bridge) = bridge {
                    self.link(namespace, bridge)?;
                }
                self.link(namespace, link)?.bridge.clone_from(bridge);
            }
            Step::SetUp { namespace, link } => self.link(namespace, link)?.up = true,
            Step::DeleteAddress { namespace, link, address } => {
                self.namespace(namespace)?.addresses.remove(&(link.clone(), *address));
            }
            Step::AddAddress { namespace, link, address } => {
                self.link(namespace, link)?;
                self.namespace(namespace)?.addresses.insert((link.clone(), *address));
            }
            Step::DeleteRoute { namespace, route } => {
                self.namespace(namespace)?.routes.retain(|found| found.route != *route);
            }
            Step::AddRoute { namespace, route } => {
                let routes = &mut self.namespace(namespace)?.routes;
                routes.retain(|found| found.route.destination.trunc() != route.destination.trunc());
                routes.insert(ObservedRoute { route: route.clone(), ours: true });
            }
            Step::DeleteNeighbor { namespace, link, address } => {
                self.namespace(namespace)?.neighbors.retain(|(l, a, _)| (l, a) != (link, address));
            }
            Step::SetNeighbor { namespace, link, address, mac } => {
                self.link(namespace, link)?;
                let neighbors = &mut self.namespace(namespace)?.neighbors;
                neighbors.retain(|(l, a, _)| (l, a) != (link, address));
                neighbors.insert((link.clone(), *address, *mac));
            }
        }
        Ok(())
    }
}

impl Pretend {
    fn namespace(&mut self, name: &str) -> Result<&mut ObservedNamespace, KernelError> {
        let missing = || NamespaceError::Missing(name.to_owned());
        Ok(self.namespaces.get_mut(name).ok_or_else(missing)?)
    }

    fn link(&mut self, namespace: &str, link: &str) -> Result<&mut ObservedLink, KernelError> {
        self.namespace(namespace)?
            .links
            .get_mut(link)
            .ok_or_else(|| KernelError::NoLink { namespace: namespace.to_owned(), link: link.to_owned() })
    }

    /// A link takes what stands on it along.
    fn remove_link(&mut self, namespace: &str, name: &str) -> Option<ObservedLink> {
        let namespace = self.namespaces.get_mut(namespace)?;
        namespace.addresses.retain(|(link, _)| link != name);
        namespace.routes.retain(|found| found.route.link.as_deref() != Some(name));
        namespace.neighbors.retain(|(link, ..)| link != name);
        for port in namespace.links.values_mut().filter(|link| link.bridge.as_deref() == Some(name)) {
            port.bridge = None;
        }
        namespace.links.remove(name)
    }

    fn add_link(
        &mut self,
        namespace: &str,
        name: &str,
        kind: LinkKind,
    ) -> Result<&mut ObservedLink, KernelError> {
        self.next_index += 1;
        let index = self.next_index;
        let link = ObservedLink { index, kind, mac: None, mtu: 1500, up: true, bridge: None, peer: None };
        Ok(self.namespace(namespace)?.links.entry(name.to_owned()).or_insert(link))
    }

    fn add_end(&mut self, end: &End, other: &End, mtu: u32) -> Result<&mut ObservedLink, KernelError> {
        let link = self.add_link(&end.namespace, &end.link, LinkKind::Veth)?;
        link.mac = end.mac;
        link.mtu = mtu;
        link.peer = Some((other.namespace.clone(), other.link.clone()));
        Ok(link)
    }
}
