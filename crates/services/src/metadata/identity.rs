//! From a caller's interface to the instance that is answered.

use model::{Instance, InstanceId, NetworkInterface, Region, RegionKey};

use crate::Caller;

/// The instance behind a caller. Whichever of its interfaces the caller used, it is the same instance.
pub(super) struct Identity<'a> {
    pub(super) region: &'a Region,
    pub(super) instance: &'a Instance,
}

/// Tells instances of all regions apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InstanceKey {
    pub(super) region: RegionKey,
    pub(super) instance: InstanceId,
}

impl<'a> Identity<'a> {
    /// The instance that the caller's interface is attached to, if it is.
    pub(super) fn of(caller: &'a Caller) -> Option<Self> {
        let region = &*caller.region;
        let attachment = region.interfaces().get(&caller.interface)?.attachment.as_ref()?;
        let instance = region.instances().get(&attachment.instance)?;
        Some(Identity { region, instance })
    }

    pub(super) fn key(&self) -> InstanceKey {
        InstanceKey { region: self.region.key().clone(), instance: self.instance.id }
    }

    /// How many hops an answer that holds a token may travel.
    pub(super) fn hop_limit(&self) -> u8 {
        self.instance.metadata.hop_limit
    }

    /// Whether the instance answers only requests that show a token.
    pub(super) fn token_required(&self) -> bool {
        self.instance.metadata.tokens_required
    }

    /// Its interfaces in the order of their device indexes, so the primary first.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = &'a NetworkInterface> {
        self.instance.interfaces.iter().filter_map(|id| self.region.interfaces().get(id))
    }

    pub(super) fn private_dns_name(&self, interface: &NetworkInterface) -> String {
        self.region.private_dns_name(interface.private_ip)
    }

    pub(super) fn group_names(&self, interface: &'a NetworkInterface) -> impl Iterator<Item = &'a str> {
        interface
            .groups
            .iter()
            .filter_map(|group| self.region.security_groups().get(group))
            .map(|group| group.name.as_str())
    }
}
