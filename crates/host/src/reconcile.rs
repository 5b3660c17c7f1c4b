//! Desired minus actual: what to do so that the kernel has what the plan says. A first start, a restart after
//! a crash and the repair of what somebody deleted are this one road.

use std::collections::BTreeSet;

use crate::kernel::{Kernel, KernelError, LinkKind, Observed, ObservedLink, ObservedNamespace, sysctl};
use crate::plan::{End, NamespacePlan, Plan, Route, Veth};
use crate::step::Step;

/// How often the kernel is compared with the plan before giving up. Once does, as a rule; again when a step
/// took away what another had found (a primary address takes its secondaries along).
const ROUNDS: usize = 3;

/// Why the kernel was not brought to the plan.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// What is there could not be found out.
    #[error(transparent)]
    Observe(KernelError),
    /// A step failed; those before it are done.
    #[error("cannot {step}: {source}")]
    Step {
        /// The step.
        step: Box<Step>,
        /// Why.
        source: KernelError,
    },
    /// All steps were done, again and again, and these remain: somebody works against us.
    #[error("still to do after {ROUNDS} rounds: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Diverging(Vec<Step>),
}

/// Brings the kernel to the plan, tells `progress` of each step before it is done, and returns what is there
/// in the end (interface indices, for one).
///
/// # Errors
/// See [`ReconcileError`].
pub fn reconcile(
    plan: &Plan,
    kernel: &mut dyn Kernel,
    progress: &mut dyn FnMut(&Step),
) -> Result<Observed, ReconcileError> {
    for _ in 0..ROUNDS {
        let observed = kernel.observe(plan).map_err(ReconcileError::Observe)?;
        let steps = diff(plan, &observed);
        if steps.is_empty() {
            return Ok(observed);
        }
        for step in steps {
            progress(&step);
            kernel
                .perform(&step)
                .map_err(|source| ReconcileError::Step { step: Box::new(step.clone()), source })?;
        }
    }
    let observed = kernel.observe(plan).map_err(ReconcileError::Observe)?;
    match diff(plan, &observed) {
        steps if steps.is_empty() => Ok(observed),
        steps => Err(ReconcileError::Diverging(steps)),
    }
}

/// The steps from what is there to what is planned, in an order that works.
pub fn diff(plan: &Plan, observed: &Observed) -> Vec<Step> {
    let mut diff = Diff { plan, observed, gone: BTreeSet::new(), steps: Vec::new() };
    diff.delete_links();
    diff.steps.extend(observed.strays.iter().map(|name| Step::DeleteNamespace { name: name.clone() }));
    for (name, namespace) in &plan.namespaces {
        diff.namespace(name, namespace);
    }
    for (name, namespace) in &plan.namespaces {
        diff.bridges(name, namespace);
    }
    for veth in &plan.veths {
        diff.veth(veth);
    }
    for (name, namespace) in &plan.namespaces {
        diff.addresses(name, namespace);
        diff.routes(name, namespace);
        diff.neighbors(name, namespace);
    }
    diff.steps
}

struct Diff<'a> {
    plan: &'a Plan,
    observed: &'a Observed,
    /// Links that the steps so far delete: (namespace, link).
    gone: BTreeSet<(&'a str, &'a str)>,
    steps: Vec<Step>,
}

impl<'a> Diff<'a> {
    /// Deletes links in the way of planned ones, and links of the kinds we make that are not planned.
    fn delete_links(&mut self) {
        for veth in &self.plan.veths {
            if !self.is_pair(veth) {
                self.delete_link(&veth.a.namespace, &veth.a.link);
                self.delete_link(&veth.b.namespace, &veth.b.link);
            }
        }
        for (name, namespace) in &self.plan.namespaces {
            for bridge in &namespace.bridges {
                if self.link(name, bridge).is_some_and(|link| link.kind != LinkKind::Bridge) {
                    self.delete_link(name, bridge);
                }
            }
            if namespace.leave_addresses {
                continue;
            }
            let planned = self.plan.links(name);
            for (link, found) in self.found(name).into_iter().flat_map(|found| &found.links) {
                let known = planned.contains(link.as_str()) || namespace.foreign.contains(link);
                if found.kind != LinkKind::Other && !known {
                    self.delete_link(name, link);
                }
            }
        }
    }

    fn delete_link(&mut self, namespace: &'a str, link: &'a str) {
        let Some(found) = self.link(namespace, link) else { return };
        self.gone.insert((namespace, link));
        if let Some((namespace, link)) = &found.peer {
            self.gone.insert((namespace, link));
        }
        self.steps.push(Step::DeleteLink { namespace: namespace.to_owned(), link: link.to_owned() });
    }

    fn namespace(&mut self, name: &str, plan: &NamespacePlan) {
        let Some(found) = self.found(name) else {
            self.steps.push(Step::CreateNamespace {
                name: name.to_owned(),
                forwarding: plan.forwarding,
                ipv6: plan.ipv6(),
            });
            self.set_up(name, "lo");
            return;
        };
        if !plan.leave_addresses {
            let links =
                found.links.keys().map(String::as_str).filter(|link| !self.gone.contains(&(name, link)));
            let values: Vec<_> = sysctl::wanted(plan.forwarding, plan.ipv6(), links)
                .into_iter()
                .filter(|(path, value)| found.sysctls.get(path).is_some_and(|now| now != value))
                .map(|(path, value)| (path, value.to_owned()))
                .collect();
            if !values.is_empty() {
                self.steps.push(Step::SetSysctls { namespace: name.to_owned(), values });
            }
        }
        if found.links.get("lo").is_some_and(|lo| !lo.up) {
            self.set_up(name, "lo");
        }
    }

    fn bridges(&mut self, name: &str, plan: &NamespacePlan) {
        for bridge in &plan.bridges {
            match self.link(name, bridge) {
                None => {
                    self.steps.push(Step::CreateBridge { namespace: name.to_owned(), bridge: bridge.clone() })
                }
                Some(found) if !found.up && !plan.leave_addresses => self.set_up(name, bridge),
                Some(_) => {}
            }
        }
    }

    fn veth(&mut self, veth: &Veth) {
        if self.link(&veth.a.namespace, &veth.a.link).is_some() {
            self.end(&veth.a, veth.mtu);
            self.end(&veth.b, veth.mtu);
            return;
        }
        let Veth { mut a, mut b, mtu } = veth.clone();
        if self.is_guest(&b.namespace) {
            // The first end is up at once; a guest's, found down later, would be taken for the guest's wish.
            std::mem::swap(&mut a, &mut b);
        }
        self.steps.push(Step::CreateVeth { veth: Veth { a: a.clone(), b: b.clone(), mtu } });
        for end in [&a, &b] {
            if end.bridge.is_some() {
                let (namespace, link) = (end.namespace.clone(), end.link.clone());
                self.steps.push(Step::SetBridge { namespace, link, bridge: end.bridge.clone() });
            }
        }
        self.set_up(&b.namespace, &b.link);
    }

    /// Corrects the end of a pair that is there.
    fn end(&mut self, end: &End, mtu: u32) {
        let (namespace, link) = (end.namespace.clone(), end.link.clone());
        match self.link(&end.namespace, &end.link) {
            None => {}
            Some(_) if self.is_guest(&namespace) => {}
            Some(found) => {
                if let Some(mac) = end.mac.filter(|mac| found.mac != Some(*mac)) {
                    let (namespace, link) = (namespace.clone(), link.clone());
                    self.steps.push(Step::SetMac { namespace, link, mac });
                }
                if found.mtu != mtu {
                    let (namespace, link) = (namespace.clone(), link.clone());
                    self.steps.push(Step::SetMtu { namespace, link, mtu });
                }
                // A bridge that was deleted and made anew has no ports, whatever was found.
                let bridge =
                    found.bridge.as_deref().filter(|bridge| !self.gone.contains(&(&namespace, bridge)));
                if bridge != end.bridge.as_deref() {
                    self.steps.push(Step::SetBridge { namespace, link, bridge: end.bridge.clone() });
                }
                if !found.up {
                    self.set_up(&end.namespace, &end.link);
                }
            }
        }
    }

    fn addresses(&mut self, name: &'a str, plan: &NamespacePlan) {
        let planned_links = self.plan.links(name);
        let found = self.found(name).map(|found| &found.addresses).into_iter().flatten();
        let found: BTreeSet<_> = found.filter(|(link, _)| !self.gone.contains(&(name, link))).collect();
        for (link, address) in &found {
            let known = planned_links.contains(link.as_str()) && !plan.leave_addresses;
            if known && !plan.addresses.contains(&(link.clone(), *address)) {
                let (namespace, link) = (name.to_owned(), link.clone());
                self.steps.push(Step::DeleteAddress { namespace, link, address: *address });
            }
        }
        for planned @ (link, address) in &plan.addresses {
            if !found.contains(planned) {
                let (namespace, link) = (name.to_owned(), link.clone());
                self.steps.push(Step::AddAddress { namespace, link, address: *address });
            }
        }
    }

    fn routes(&mut self, name: &'a str, plan: &NamespacePlan) {
        let found: Vec<_> = self
            .found(name)
            .into_iter()
            .flat_map(|found| &found.routes)
            .filter(|found| !found.route.link.as_ref().is_some_and(|link| self.gone.contains(&(name, link))))
            .collect();
        for found in &found {
            let planned = plan.routes.iter().any(|route| is_route(route, &found.route));
            if found.ours && !planned && !plan.leave_addresses {
                self.steps.push(Step::DeleteRoute { namespace: name.to_owned(), route: found.route.clone() });
            }
        }
        for route in &plan.routes {
            if !found.iter().any(|found| is_route(route, &found.route)) {
                self.steps.push(Step::AddRoute { namespace: name.to_owned(), route: route.clone() });
            }
        }
    }

    fn neighbors(&mut self, name: &'a str, plan: &NamespacePlan) {
        let planned_links = self.plan.links(name);
        let found = self.found(name).map(|found| &found.neighbors).into_iter().flatten();
        let found: BTreeSet<_> = found.filter(|(link, ..)| !self.gone.contains(&(name, link))).collect();
        for (link, address, _) in &found {
            let known = planned_links.contains(link.as_str()) && !plan.leave_addresses;
            if known && !plan.neighbors.iter().any(|(l, a, _)| (l, a) == (link, address)) {
                let (namespace, link) = (name.to_owned(), link.clone());
                self.steps.push(Step::DeleteNeighbor { namespace, link, address: *address });
            }
        }
        for planned @ (link, address, mac) in &plan.neighbors {
            if !found.contains(planned) {
                let (namespace, link) = (name.to_owned(), link.clone());
                self.steps.push(Step::SetNeighbor { namespace, link, address: *address, mac: *mac });
            }
        }
    }

    fn is_guest(&self, namespace: &str) -> bool {
        self.plan.namespaces.get(namespace).is_some_and(|plan| plan.leave_addresses)
    }

    fn set_up(&mut self, namespace: &str, link: &str) {
        self.steps.push(Step::SetUp { namespace: namespace.to_owned(), link: link.to_owned() });
    }

    fn found(&self, namespace: &str) -> Option<&'a ObservedNamespace> {
        self.observed.namespaces.get(namespace)
    }

    /// The link as found, unless the steps so far delete it.
    fn link(&self, namespace: &str, link: &str) -> Option<&'a ObservedLink> {
        let found = self.found(namespace)?.links.get(link)?;
        (!self.gone.contains(&(namespace, link))).then_some(found)
    }

    /// Whether the two ends exist and are each other's peer.
    fn is_pair(&self, veth: &Veth) -> bool {
        let leads_to = |from: &End, to: &End| {
            self.link(&from.namespace, &from.link).is_some_and(|found| {
                found.kind == LinkKind::Veth
                    && found.peer.as_ref().is_some_and(|(n, l)| (n, l) == (&to.namespace, &to.link))
            })
        };
        leads_to(&veth.a, &veth.b) && leads_to(&veth.b, &veth.a)
    }
}

/// Whether the route that the kernel shows is the planned one.
fn is_route(planned: &Route, found: &Route) -> bool {
    planned.destination.trunc() == found.destination.trunc()
        && planned.via == found.via
        && (planned.link.is_none() || planned.link == found.link)
}

#[cfg(test)]
mod tests;
