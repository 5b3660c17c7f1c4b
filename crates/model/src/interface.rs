//! Network interfaces.

use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{AttachmentId, InstanceId, InterfaceId, SecurityGroupId, SubnetId, VpcId};
use crate::mac::MacAddress;
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::Tags;

mod attachment;
mod attribute;
mod connection_tracking;
mod instance_type;
mod ipv6_address;
mod prefix;
mod private_address;
mod public_address;
mod request;

pub use attribute::InterfaceAttribute;
pub use connection_tracking::ConnectionTracking;
pub use instance_type::knows_ipv6;
pub use prefix::NewPrefixes;
pub(crate) use prefix::prefix_length;
pub(crate) use private_address::once_each;
pub(crate) use request::PlannedInterface;
pub use request::{Ipv6Addresses, NewInterface, SecondaryAddresses};

/// An elastic network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkInterface {
    /// Its id.
    pub id: InterfaceId,
    /// Where it is.
    pub subnet: SubnetId,
    /// The VPC of its subnet.
    pub vpc: VpcId,
    /// Made from the id.
    pub mac: MacAddress,
    /// Its primary address.
    pub private_ip: Ipv4Addr,
    /// Its other private addresses, oldest first.
    pub secondary_ips: Vec<Ipv4Addr>,
    /// Its IPv6 addresses, oldest first.
    #[serde(default)]
    pub ipv6_addresses: Vec<Ipv6Addr>,
    /// The blocks of addresses that are its own as a whole: /28 of IPv4 and /80 of IPv6, oldest first.
    #[serde(default)]
    pub prefixes: Vec<IpNet>,
    /// Its security groups in the order they were given; at least one, but none if it is a NAT gateway's.
    pub groups: Vec<SecurityGroupId>,
    /// Whether it is confined to its own addresses: as source of what it sends, as destination of what it receives.
    pub source_dest_check: bool,
    /// In words.
    pub description: String,
    /// For how long its security groups remember connections.
    #[serde(default)]
    pub connection_tracking: ConnectionTracking,
    /// The instance it is attached to.
    pub attachment: Option<Attachment>,
    /// Whether it gets a public address whenever its instance starts: EC2's AssociatePublicIpAddress.
    #[serde(default)] // Older snapshots lack it.
    pub associate_public_ip: bool,
    /// The public address that its primary address is mapped to by that, which is no Elastic IP address.
    pub public_ip: Option<Ipv4Addr>,
    /// Its tags.
    pub tags: Tags,
    /// Whose it is.
    #[serde(default)]
    pub kind: InterfaceKind,
}

/// Whose an interface is: EC2's InterfaceType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum InterfaceKind {
    /// Its owner's, for instances.
    #[default]
    Interface,
    /// A NAT gateway's. Only the gateway changes it.
    NatGateway,
}

/// What ties an interface to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// The instance.
    pub instance: InstanceId,
    /// Which of the instance's interfaces it is; 0 is the primary.
    pub device_index: u32,
    /// Whether the interface goes when the instance is terminated.
    pub delete_on_termination: bool,
    /// Since when, in seconds since 1970.
    pub time: u64,
}

impl NetworkInterface {
    /// All its private IPv4 addresses, the primary first.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        iter::once(self.private_ip).chain(self.secondary_ips.iter().copied())
    }

    /// Whether an instance has it, or a gateway.
    pub(crate) fn is_in_use(&self) -> bool {
        self.attachment.is_some() || self.kind != InterfaceKind::Interface
    }

    /// The host name that EC2 gives to whoever has its primary address: "ip-10-0-0-4".
    pub fn host_name(&self) -> String {
        host_name(self.private_ip)
    }
}

pub(crate) fn host_name(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("ip-{a}-{b}-{c}-{d}")
}

impl Region {
    /// The interface that has a private IPv4 address, or an IPv6 address, in a VPC: as one of its own, or by a prefix.
    pub fn interface_by_address(&self, vpc: VpcId, address: impl Into<IpAddr>) -> Option<&NetworkInterface> {
        let address = address.into();
        let mut inside = self.interfaces.values().filter(|interface| interface.vpc == vpc);
        inside.find(|interface| interface.owns(address))
    }

    pub(crate) fn interface(&self, id: InterfaceId) -> Result<&NetworkInterface, Fault> {
        self.interfaces.get(&id).ok_or(Fault::InterfaceNotFound(id))
    }

    /// An interface that its owner can change.
    pub(crate) fn own_interface(&self, id: InterfaceId) -> Result<&NetworkInterface, Fault> {
        let interface = self.interface(id)?;
        match interface.kind {
            InterfaceKind::Interface => Ok(interface),
            InterfaceKind::NatGateway => Err(Fault::RequesterManaged(id)),
        }
    }

    pub(crate) fn delete_network_interface(&mut self, id: InterfaceId) -> Result<(), Fault> {
        if self.interface(id)?.is_in_use() {
            return Err(InvalidValue::InterfaceInUse(id).into());
        }

        self.remove_interface(id);
        Ok(())
    }

    pub(crate) fn remove_interface(&mut self, id: InterfaceId) {
        self.unmap(id, |_| true);
        self.interfaces.remove(&id);
    }

    /// The groups of an interface in the subnet: as asked, or the default group.
    pub(crate) fn groups_in(
        &self,
        subnet: SubnetId,
        asked: Vec<SecurityGroupId>,
    ) -> Result<Vec<SecurityGroupId>, Fault> {
        let vpc = self.subnet(subnet)?.vpc;
        if asked.is_empty() {
            return Ok(vec![self.vpc(vpc)?.default_security_group]);
        }
        for (at, &group) in asked.iter().enumerate() {
            if self.security_group(group)?.vpc != vpc {
                return Err(Fault::GroupAndSubnetApart { group, subnet });
            }
            if asked[..at].contains(&group) {
                return Err(InvalidValue::GroupRepeated(group).into());
            }
        }
        self.quotas.allow(Quota::GroupsPerInterface, asked.len())?;
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;
    use crate::fixture::Network;

    #[test]
    fn an_interface_comes_and_goes() {
        let mut network = Network::new();
        network.internet_gateway();
        let id = network.interface(&[]);
        let (allocation, _) = network.elastic_ip(13, id);
        let interface = network.region.interfaces()[&id].clone();
        assert_eq!(interface.attachment, None);
        assert_eq!(interface.private_ip, Ipv4Addr::new(10, 0, 1, 4));
        assert_eq!(
            network.refused(Change::DeleteSubnet { subnet: network.subnet }).code(),
            "DependencyViolation"
        );

        network.apply(Change::DeleteNetworkInterface { interface: id });
        assert_eq!(network.region.addresses()[&allocation].association, None);
        let again = network.refused(Change::DeleteNetworkInterface { interface: id });
        assert_eq!(again, Fault::InterfaceNotFound(id));

        let (_, attached) = network.instance();
        let fault = network.refused(Change::DeleteNetworkInterface { interface: attached });
        assert_eq!(fault.to_string(), format!("Network interface '{attached}' is currently in use."));
    }

    #[test]
    fn five_groups_at_most() {
        let mut network = Network::new();
        let groups: Vec<_> = (0..6).map(|n| network.security_group(&n.to_string())).collect();
        network.interface(&groups[..5]);
        let six = NewInterface { groups, ..NewInterface::new(network.subnet) };
        let fault = network.refused(Change::CreateNetworkInterface(six));
        assert_eq!(fault.code(), "SecurityGroupsPerInterfaceLimitExceeded");
    }
}
