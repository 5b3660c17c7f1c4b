//! The prefixes of interfaces: blocks of addresses that are theirs as a whole.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address_pool::AddressPool;
use crate::fault::{Fault, InvalidValue};
use crate::id::InterfaceId;
use crate::interface::NetworkInterface;
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;
use crate::subnet::Subnet;

/// Prefixes to be; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPrefixes {
    /// So many of IPv4: of the subnet's reservations for prefixes, or else the lowest free ones.
    pub ipv4_count: u32,
    /// As many of IPv6.
    pub ipv6_count: u32,
    /// And these.
    pub these: Vec<IpNet>,
}

/// How long prefixes of interfaces are (EC2 User Guide, "Prefix delegation for Amazon EC2 network interfaces").
pub(crate) fn prefix_length(family: AddressFamily) -> u8 {
    match family {
        AddressFamily::Ipv4 => 28,
        AddressFamily::Ipv6 => 80,
    }
}

impl NewPrefixes {
    /// How many of a family.
    pub(crate) fn count(&self, family: AddressFamily) -> usize {
        let count = match family {
            AddressFamily::Ipv4 => self.ipv4_count,
            AddressFamily::Ipv6 => self.ipv6_count,
        };
        (count as usize)
            .saturating_add(self.these.iter().filter(|prefix| AddressFamily::of(**prefix) == family).count())
    }
}

impl NetworkInterface {
    /// Its prefixes of a family, oldest first.
    pub fn prefixes_of(&self, family: AddressFamily) -> impl Iterator<Item = IpNet> {
        self.prefixes.iter().copied().filter(move |&prefix| AddressFamily::of(prefix) == family)
    }

    /// Whether an address, one of its own or one of a prefix, is the interface's.
    pub fn owns(&self, address: IpAddr) -> bool {
        let one_of_its_own = match address {
            IpAddr::V4(address) => self.addresses().any(|own| own == address),
            IpAddr::V6(address) => self.ipv6_addresses.contains(&address),
        };
        one_of_its_own || self.prefixes.iter().any(|prefix| prefix.contains(&address))
    }

    /// How many addresses and prefixes of a family it has.
    pub(crate) fn slots(&self, family: AddressFamily) -> usize {
        let addresses = match family {
            AddressFamily::Ipv4 => self.addresses().count(),
            AddressFamily::Ipv6 => self.ipv6_addresses.len(),
        };
        addresses + self.prefixes_of(family).count()
    }
}

impl Region {
    pub(crate) fn assign_prefixes(
        &mut self,
        id: InterfaceId,
        new: &NewPrefixes,
    ) -> Result<Vec<IpNet>, Fault> {
        let interface = self.own_interface(id)?;
        for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
            let slots = interface.slots(family).saturating_add(new.count(family));
            self.quotas.allow(Quota::AddressesPerInterface, slots)?;
        }
        self.allow_more_addresses(id, (new.count(AddressFamily::Ipv4), new.count(AddressFamily::Ipv6)))?;
        let subnet = self.subnet(interface.subnet)?;
        let mut pool = AddressPool::of(self);
        let mut assigned = take_these(subnet, new, &mut pool)?;
        assigned.extend(take_counted(subnet, new, &mut pool)?);
        self.check_more(interface, &[], &assigned)?;

        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.prefixes.extend(&assigned);
        }
        Ok(assigned)
    }

    pub(crate) fn unassign_prefixes(&mut self, id: InterfaceId, prefixes: &[IpNet]) -> Result<(), Fault> {
        let interface = self.own_interface(id)?;
        if let Some(&prefix) = prefixes.iter().find(|prefix| !interface.prefixes.contains(prefix)) {
            return Err(InvalidValue::PrefixNotOfInterface { interface: id, prefix }.into());
        }

        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.prefixes.retain(|own| !prefixes.contains(own));
        }
        Ok(())
    }
}

/// The prefixes that were asked for by name.
pub(super) fn take_these(
    subnet: &Subnet,
    new: &NewPrefixes,
    pool: &mut AddressPool<'_>,
) -> Result<Vec<IpNet>, Fault> {
    new.these
        .iter()
        .map(|prefix| pool.take_prefix(subnet, AddressFamily::of(*prefix), Some(*prefix)))
        .collect()
}

/// The prefixes that were asked for by their number.
pub(super) fn take_counted(
    subnet: &Subnet,
    new: &NewPrefixes,
    pool: &mut AddressPool<'_>,
) -> Result<Vec<IpNet>, Fault> {
    let v4 = (0..new.ipv4_count).map(|_| AddressFamily::Ipv4);
    let all = v4.chain((0..new.ipv6_count).map(|_| AddressFamily::Ipv6));
    all.map(|family| pool.take_prefix(subnet, family, None)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{
        Applied, Change, InterfaceSource, Ipv6Addresses, Launch, NewInterface, ReservationType,
        SecondaryAddresses, Tags,
    };

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn these(texts: &[&str]) -> NewPrefixes {
        NewPrefixes { these: texts.iter().map(|text| net(text)).collect(), ..NewPrefixes::default() }
    }

    fn count(ipv4_count: u32, ipv6_count: u32) -> NewPrefixes {
        NewPrefixes { ipv4_count, ipv6_count, these: Vec::new() }
    }

    #[test]
    fn prefixes_are_counted_or_named() {
        let mut network = Network::with_ipv6();
        let (_, interface) = network.instance();
        let assign = |prefixes| Change::AssignPrefixes { interface, prefixes };
        let two = network.apply(assign(count(1, 1)));
        assert_eq!(two, Applied::Prefixes(vec![net("10.0.1.16/28"), net("2001:db8:0:101:1::/80")]));
        network.apply(assign(these(&["10.0.1.64/28", "2001:db8:0:101:ff::/80"])));
        let own = &network.region.interfaces()[&interface];
        assert_eq!(own.prefixes_of(AddressFamily::Ipv4).last(), Some(net("10.0.1.64/28")));
        assert!(own.owns("2001:db8:0:101:ff::7".parse().unwrap()) && !own.owns("10.0.1.80".parse().unwrap()));

        for (prefix, code) in [
            ("10.0.1.16/28", "InvalidIPAddress.InUse"),
            ("10.0.1.0/28", "InvalidParameterValue"),
            ("10.0.1.240/28", "InvalidParameterValue"),
            ("10.0.1.33/28", "InvalidParameterValue"),
            ("10.0.1.32/27", "InvalidParameterValue"),
            ("10.0.2.16/28", "InvalidParameterValue"),
            ("2001:db8:0:101::/80", "InvalidParameterValue"),
            ("2001:db8:0:101:2::/81", "InvalidParameterValue"),
        ] {
            assert_eq!(network.refused(assign(these(&[prefix]))).code(), code, "{prefix}");
        }
        let twice = network.refused(assign(these(&["10.0.1.32/28", "10.0.1.32/28"])));
        assert_eq!(twice.code(), "InvalidIPAddress.InUse");
        let many = network.refused(assign(count(48, 0)));
        assert_eq!(many.code(), "PrivateIpAddressLimitExceeded");
        // One that is no instance's yet could have more than there are.
        let new = NewInterface { prefixes: count(20, 0), ..NewInterface::new(network.subnet) };
        assert_eq!(network.refused(Change::CreateNetworkInterface(new)).code(), "InsufficientCidrBlocks");

        let unassign = |text| Change::UnassignPrefixes { interface, prefixes: vec![net(text)] };
        network.apply(unassign("10.0.1.16/28"));
        assert_eq!(network.refused(unassign("10.0.1.16/28")).code(), "InvalidParameterValue");
        assert_eq!(network.apply(assign(count(1, 0))), Applied::Prefixes(vec![net("10.0.1.16/28")]));
    }

    #[test]
    fn nobody_else_has_an_address_of_a_prefix() {
        let mut network = Network::with_ipv6();
        let (one, other) = (network.interface(&[]), network.interface(&[]));
        network.apply(Change::AssignPrefixes {
            interface: one,
            prefixes: these(&["10.0.1.16/28", "2001:db8:0:101:1::/80"]),
        });
        let addresses = SecondaryAddresses::These(vec!["10.0.1.20".parse().unwrap()]);
        for allow_reassignment in [false, true] {
            let addresses = addresses.clone();
            let take = Change::AssignPrivateIpAddresses { interface: other, addresses, allow_reassignment };
            assert_eq!(network.refused(take).code(), "InvalidIPAddress.InUse");
        }
        let take6 = Ipv6Addresses::These(vec!["2001:db8:0:101:1::4".parse().unwrap()]);
        let take6 = Change::AssignIpv6Addresses { interface: other, addresses: take6 };
        assert_eq!(network.refused(take6).code(), "InvalidIPAddress.InUse");
        let many = SecondaryAddresses::Count(30);
        let many =
            Change::AssignPrivateIpAddresses { interface: other, addresses: many, allow_reassignment: false };
        let Applied::PrivateAddresses(assigned) = network.apply(many) else { panic!() };
        assert!(assigned.iter().all(|address| !net("10.0.1.16/28").contains(&IpAddr::V4(*address))));

        let prefix = Change::AssignPrefixes { interface: one, prefixes: these(&["10.0.1.32/28"]) };
        assert_eq!(network.refused(prefix).code(), "InvalidIPAddress.InUse");
        let subnet = network.region.subnets()[&network.subnet].ipv6.unwrap();
        let disassociate = Change::DisassociateSubnetCidrBlock { association: subnet.association };
        assert_eq!(network.refused(disassociate).code(), "InvalidCidrBlock.InUse");
    }

    #[test]
    fn reservations_for_prefixes_come_first() {
        let mut network = Network::new();
        for (cidr, reservation_type) in
            [("10.0.1.128/27", ReservationType::Prefix), ("10.0.1.16/28", ReservationType::Explicit)]
        {
            network.apply(Change::CreateSubnetCidrReservation {
                subnet: network.subnet,
                cidr: net(cidr),
                reservation_type,
                description: String::new(),
                tags: Tags::new(),
            });
        }
        let interface = network.interface(&[]);
        let three = network.apply(Change::AssignPrefixes { interface, prefixes: count(3, 0) });
        let expected = ["10.0.1.128/28", "10.0.1.144/28", "10.0.1.32/28"];
        assert_eq!(three, Applied::Prefixes(expected.map(net).into()));
        network.apply(Change::AssignPrefixes { interface, prefixes: these(&["10.0.1.16/28"]) });
    }

    #[test]
    fn launches_with_prefixes() {
        let mut network = Network::new();
        let new = NewInterface { prefixes: count(1, 0), ..NewInterface::new(network.subnet) };
        let launch = |instance_type: &str, new: NewInterface| {
            let image = "ami-00000000".parse().unwrap();
            Launch { count: 2, ..Launch::new(image, instance_type.to_owned(), new) }
        };
        for old in ["m1.small", "t2.micro", "i3.large"] {
            let fault = network.refused(Change::RunInstances(launch(old, new.clone())));
            assert_eq!(fault, Fault::PrefixesNotSupported(old.to_owned()));
        }
        let named = NewInterface { prefixes: these(&["10.0.1.64/28"]), ..new.clone() };
        let fault = network.refused(Change::RunInstances(launch("t3.micro", named)));
        assert_eq!(fault, Fault::OneForSeveral);
        network.apply(Change::RunInstances(launch("t3.micro", new.clone())));
        network.apply(Change::RunInstances(launch("i3.metal", new.clone())));
        let all = network.region.interfaces().values().flat_map(|interface| &interface.prefixes);
        let mut all: Vec<_> = all.map(ToString::to_string).collect();
        all.sort();
        assert_eq!(all, ["10.0.1.16/28", "10.0.1.32/28", "10.0.1.48/28", "10.0.1.64/28"]);

        let Applied::Interface(interface) = network.apply(Change::CreateNetworkInterface(new)) else {
            panic!()
        };
        let mut old = launch("t2.micro", NewInterface::new(network.subnet));
        old.count = 1;
        old.interfaces[0].source = InterfaceSource::Existing(interface);
        assert_eq!(network.refused(Change::RunInstances(old)).code(), "InvalidParameterCombination");
    }
}
