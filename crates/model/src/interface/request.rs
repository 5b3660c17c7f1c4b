//! Making network interfaces.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address_pool::AddressPool;
use crate::fault::{Fault, InvalidValue};
use crate::id::{InterfaceId, SecurityGroupId, SubnetId, VpcId};
use crate::interface::prefix::{take_counted, take_these};
use crate::interface::{
    Attachment, ConnectionTracking, InterfaceKind, NetworkInterface, NewPrefixes, instance_type,
};
use crate::mac::MacAddress;
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;
use crate::tag::{self, Tags};

/// An interface to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewInterface {
    /// Where it is.
    pub subnet: SubnetId,
    /// Its primary address; the lowest free one of the subnet if none is asked for.
    pub private_ip: Option<Ipv4Addr>,
    /// Its other addresses.
    pub secondary: SecondaryAddresses,
    /// Its security groups in order; the VPC's default group if there are none.
    pub groups: Vec<SecurityGroupId>,
    /// Whether it is confined to its own addresses.
    pub source_dest_check: bool,
    /// In words; at most 255 characters.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
    /// Its IPv6 addresses; as the subnet says if nothing is asked for.
    #[serde(default)]
    pub ipv6: Option<Ipv6Addresses>,
    /// For how long its security groups remember connections.
    #[serde(default)]
    pub connection_tracking: ConnectionTracking,
    /// Its prefixes.
    #[serde(default)]
    pub prefixes: NewPrefixes,
}

/// IPv6 addresses to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ipv6Addresses {
    /// So many, the lowest free ones of the subnet.
    Count(u32),
    /// These.
    These(Vec<Ipv6Addr>),
}

/// Secondary private addresses to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecondaryAddresses {
    /// So many, the lowest free ones of the subnet.
    Count(u32),
    /// These.
    These(Vec<Ipv4Addr>),
}

/// A [`NewInterface`] that nothing is wrong with.
#[derive(Debug, Clone)]
pub(crate) struct PlannedInterface {
    pub(crate) vpc: VpcId,
    private_ip: Ipv4Addr,
    secondary_ips: Vec<Ipv4Addr>,
    ipv6_addresses: Vec<Ipv6Addr>,
    prefixes: Vec<IpNet>,
    groups: Vec<SecurityGroupId>,
    new: NewInterface,
}

const LONGEST_DESCRIPTION: usize = 255;

impl NewInterface {
    /// One with an address and the default group, and nothing else.
    pub fn new(subnet: SubnetId) -> NewInterface {
        NewInterface {
            subnet,
            private_ip: None,
            secondary: SecondaryAddresses::Count(0),
            groups: Vec::new(),
            source_dest_check: true,
            description: String::new(),
            tags: Tags::new(),
            ipv6: None,
            connection_tracking: ConnectionTracking::default(),
            prefixes: NewPrefixes::default(),
        }
    }

    /// Whether only one interface can be like this.
    pub(crate) fn asks_for_addresses(&self) -> bool {
        let these = matches!(&self.secondary, SecondaryAddresses::These(these) if !these.is_empty());
        let these6 = matches!(&self.ipv6, Some(Ipv6Addresses::These(these)) if !these.is_empty());
        self.private_ip.is_some() || these || these6 || !self.prefixes.these.is_empty()
    }
}

impl PlannedInterface {
    /// Whether it can be an interface of an instance of a type.
    pub(crate) fn check_type(&self, instance_type: &str) -> Result<(), Fault> {
        instance_type::check(instance_type, &self.ipv6_addresses, &self.prefixes)
    }

    /// How many private and IPv6 addresses it has, prefixes among them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let of = |family| self.prefixes.iter().filter(|prefix| AddressFamily::of(**prefix) == family).count();
        (
            1 + self.secondary_ips.len() + of(AddressFamily::Ipv4),
            self.ipv6_addresses.len() + of(AddressFamily::Ipv6),
        )
    }
}

impl SecondaryAddresses {
    /// How many.
    pub(crate) fn count(&self) -> usize {
        match self {
            SecondaryAddresses::Count(count) => *count as usize,
            SecondaryAddresses::These(these) => these.len(),
        }
    }
}

impl Region {
    pub(crate) fn create_network_interface(&mut self, new: NewInterface) -> Result<InterfaceId, Fault> {
        let planned = self.plan_interface(new, &mut AddressPool::of(self))?;
        self.quotas.allow(Quota::Interfaces, self.interfaces.len() + 1)?;

        let id = self.draw();
        self.insert_interface(id, planned, None, false);
        Ok(id)
    }

    /// Finds addresses and groups for an interface.
    pub(crate) fn plan_interface(
        &self,
        new: NewInterface,
        pool: &mut AddressPool<'_>,
    ) -> Result<PlannedInterface, Fault> {
        let subnet = self.subnet(new.subnet)?;
        let groups = self.groups_in(subnet.id, new.groups.clone())?;
        let more = new.prefixes.count(AddressFamily::Ipv4);
        let slots = new.secondary.count().saturating_add(1).saturating_add(more);
        self.quotas.allow(Quota::AddressesPerInterface, slots)?;
        // Those that were asked for go first, so that they are free.
        let asked = new.private_ip.map(|address| pool.take(subnet, Some(address))).transpose()?;
        let mut prefixes = take_these(subnet, &new.prefixes, pool)?;
        let (private_ip, secondary_ips) = match &new.secondary {
            SecondaryAddresses::These(these) => {
                let these = these.iter().map(|&address| pool.take(subnet, Some(address)));
                let these = these.collect::<Result<_, _>>()?;
                (asked.map_or_else(|| pool.take(subnet, None), Ok)?, these)
            }
            SecondaryAddresses::Count(count) => {
                let first = asked.map_or_else(|| pool.take(subnet, None), Ok)?;
                (first, (0..*count).map(|_| pool.take(subnet, None)).collect::<Result<_, _>>()?)
            }
        };
        let on_creation = Ipv6Addresses::Count(subnet.assign_ipv6_address_on_creation.into());
        let ipv6 = new.ipv6.as_ref().unwrap_or(&on_creation);
        let ipv6_addresses =
            self.take_ipv6_addresses(subnet, new.prefixes.count(AddressFamily::Ipv6), ipv6, pool)?;
        prefixes.extend(take_counted(subnet, &new.prefixes, pool)?);
        new.connection_tracking.check()?;
        check_description(&new.description)?;
        tag::check(&new.tags)?;
        Ok(PlannedInterface {
            vpc: subnet.vpc,
            private_ip,
            secondary_ips,
            ipv6_addresses,
            prefixes,
            groups,
            new,
        })
    }

    pub(crate) fn insert_interface(
        &mut self,
        id: InterfaceId,
        planned: PlannedInterface,
        attachment: Option<Attachment>,
        associate_public_ip: bool,
    ) {
        let PlannedInterface { vpc, private_ip, secondary_ips, ipv6_addresses, prefixes, groups, new } =
            planned;
        let interface = NetworkInterface {
            id,
            subnet: new.subnet,
            vpc,
            mac: MacAddress::of(id),
            private_ip,
            secondary_ips,
            ipv6_addresses,
            prefixes,
            groups,
            source_dest_check: new.source_dest_check,
            description: new.description,
            connection_tracking: new.connection_tracking,
            attachment,
            associate_public_ip,
            public_ip: None,
            tags: new.tags,
            kind: InterfaceKind::Interface,
        };
        self.interfaces.insert(id, interface);
    }
}

pub(super) fn check_description(description: &str) -> Result<(), InvalidValue> {
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(InvalidValue::InterfaceDescription);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Applied, Change};

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 1, last)
    }

    fn addresses(network: &mut Network, new: NewInterface) -> Vec<u8> {
        let Applied::Interface(id) = network.apply(Change::CreateNetworkInterface(new)) else { panic!() };
        network.region.interfaces()[&id].addresses().map(|address| address.octets()[3]).collect()
    }

    #[test]
    fn addresses_are_counted_or_named() {
        let mut network = Network::new();
        let plain = NewInterface::new(network.subnet);
        let these = |these: &[u8]| SecondaryAddresses::These(these.iter().map(|&last| ip(last)).collect());
        assert_eq!(
            addresses(
                &mut network,
                NewInterface { secondary: SecondaryAddresses::Count(2), ..plain.clone() }
            ),
            [4, 5, 6]
        );
        assert_eq!(
            addresses(&mut network, NewInterface { secondary: these(&[7, 9]), ..plain.clone() }),
            [8, 7, 9]
        );
        let named = NewInterface {
            private_ip: Some(ip(11)),
            secondary: SecondaryAddresses::Count(2),
            ..plain.clone()
        };
        assert_eq!(addresses(&mut network, named), [11, 10, 12]);

        for (secondary, code) in [
            (these(&[20, 20]), "InvalidIPAddress.InUse"),
            (these(&[20, 9]), "InvalidIPAddress.InUse"),
            (these(&[3]), "InvalidParameterValue"),
            (SecondaryAddresses::Count(50), "PrivateIpAddressLimitExceeded"),
            (SecondaryAddresses::Count(u32::MAX), "PrivateIpAddressLimitExceeded"),
        ] {
            let new = NewInterface { secondary, ..plain.clone() };
            assert_eq!(network.refused(Change::CreateNetworkInterface(new)).code(), code);
        }
        let wordy = NewInterface { description: "d".repeat(256), ..plain };
        assert_eq!(network.refused(Change::CreateNetworkInterface(wordy)).code(), "InvalidParameterValue");
    }
}
