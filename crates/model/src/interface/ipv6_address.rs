//! The IPv6 addresses of interfaces.

use std::net::Ipv6Addr;

use crate::address_pool::AddressPool;
use crate::fault::{Fault, InvalidValue};
use crate::id::InterfaceId;
use crate::interface::{Ipv6Addresses, NetworkInterface};
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;
use crate::subnet::Subnet;

impl Region {
    pub(crate) fn assign_ipv6_addresses(
        &mut self,
        id: InterfaceId,
        addresses: &Ipv6Addresses,
    ) -> Result<Vec<Ipv6Addr>, Fault> {
        let interface = self.own_interface(id)?;
        self.allow_more_addresses(id, (0, addresses.count()))?;
        let subnet = self.subnet(interface.subnet)?;
        let own = interface.slots(AddressFamily::Ipv6);
        let assigned = self.take_ipv6_addresses(subnet, own, addresses, &mut AddressPool::of(self))?;
        self.check_more(interface, &assigned, &[])?;

        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.ipv6_addresses.extend(&assigned);
        }
        Ok(assigned)
    }

    pub(crate) fn unassign_ipv6_addresses(
        &mut self,
        id: InterfaceId,
        addresses: &[Ipv6Addr],
    ) -> Result<(), Fault> {
        let interface = self.own_interface(id)?;
        if let Some(&address) = addresses.iter().find(|address| !interface.ipv6_addresses.contains(address)) {
            let address = address.into();
            return Err(InvalidValue::AddressNotOfInterface { interface: id, address }.into());
        }

        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.ipv6_addresses.retain(|own| !addresses.contains(own));
        }
        Ok(())
    }

    /// Addresses for an interface in a subnet that has `own` already, prefixes among them.
    pub(super) fn take_ipv6_addresses(
        &self,
        subnet: &Subnet,
        own: usize,
        asked: &Ipv6Addresses,
        pool: &mut AddressPool<'_>,
    ) -> Result<Vec<Ipv6Addr>, Fault> {
        self.quotas.allow(Quota::AddressesPerInterface, own.saturating_add(asked.count()))?;
        match asked {
            Ipv6Addresses::Count(count) => (0..*count).map(|_| pool.take6(subnet, None)).collect(),
            Ipv6Addresses::These(these) => {
                these.iter().map(|&address| pool.take6(subnet, Some(address))).collect()
            }
        }
    }
}

impl NetworkInterface {
    /// Whether it has an IPv6 address, or a prefix of some.
    pub(crate) fn has_ipv6(&self) -> bool {
        !self.ipv6_addresses.is_empty() || self.prefixes_of(AddressFamily::Ipv6).next().is_some()
    }
}

impl Ipv6Addresses {
    pub(super) fn count(&self) -> usize {
        match self {
            Ipv6Addresses::Count(count) => *count as usize,
            Ipv6Addresses::These(these) => these.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{
        Applied, Change, InstanceAttribute, InstanceState, InterfaceSource, Launch, NewInterface,
        SubnetIpv6Attribute,
    };

    fn ip(last: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0x101, 0, 0, 0, last)
    }

    fn assign(interface: InterfaceId, addresses: Ipv6Addresses) -> Change {
        Change::AssignIpv6Addresses { interface, addresses }
    }

    fn launch(network: &Network, instance_type: &str, ipv6: Option<Ipv6Addresses>) -> Change {
        let image = "ami-00000000".parse().unwrap();
        let mut launch = Launch::new(image, instance_type.to_owned(), NewInterface::new(network.subnet));
        let InterfaceSource::New { interface: new, .. } = &mut launch.interfaces[0].source else { panic!() };
        new.ipv6 = ipv6;
        Change::RunInstances(launch)
    }

    #[test]
    fn addresses_are_counted_or_named() {
        let mut network = Network::with_ipv6();
        let (interface, other) = (network.interface(&[]), network.interface(&[]));
        let two = network.apply(assign(interface, Ipv6Addresses::Count(2)));
        assert_eq!(two, Applied::Ipv6Addresses(vec![ip(4), ip(5)]));
        network.apply(assign(interface, Ipv6Addresses::These(vec![ip(0x99)])));
        assert_eq!(network.region.interface_by_address(network.vpc, ip(0x99)).unwrap().id, interface);
        let last = Ipv6Addr::from(u128::from(ip(0)) | u128::from(u64::MAX));
        for (these, code) in [
            (vec![ip(0x99)], "InvalidIPAddress.InUse"),
            (vec![ip(7), ip(7)], "InvalidIPAddress.InUse"),
            (vec![ip(3)], "InvalidParameterValue"),
            (vec![last], "InvalidParameterValue"),
            (vec!["2001:db8:0:102::4".parse().unwrap()], "InvalidParameterValue"),
        ] {
            assert_eq!(network.refused(assign(other, Ipv6Addresses::These(these))).code(), code);
        }
        let many = network.refused(assign(interface, Ipv6Addresses::Count(48)));
        assert_eq!(many.code(), "PrivateIpAddressLimitExceeded");
        let unassign = |addresses| Change::UnassignIpv6Addresses { interface, addresses };
        network.apply(unassign(vec![ip(4), ip(0x99)]));
        assert_eq!(network.region.interfaces()[&interface].ipv6_addresses, [ip(5)]);
        assert_eq!(network.refused(unassign(vec![ip(5), ip(4)])).code(), "InvalidParameterValue");

        let mut without = Network::new();
        let interface = without.interface(&[]);
        let fault = without.refused(assign(interface, Ipv6Addresses::Count(1)));
        assert_eq!(fault, InvalidValue::SubnetWithoutIpv6(without.subnet).into());
    }

    #[test]
    fn new_interfaces_get_what_the_subnet_says() {
        let mut network = Network::with_ipv6();
        let attribute = SubnetIpv6Attribute::AssignAddressOnCreation(true);
        network.apply(Change::ModifySubnetIpv6Attribute { subnet: network.subnet, attribute });
        for (ipv6, expected) in [
            (None, vec![ip(4)]),
            (Some(Ipv6Addresses::Count(0)), vec![]),
            (Some(Ipv6Addresses::These(vec![ip(9), ip(8)])), vec![ip(9), ip(8)]),
        ] {
            let new = NewInterface { ipv6, ..NewInterface::new(network.subnet) };
            let Applied::Interface(id) = network.apply(Change::CreateNetworkInterface(new)) else { panic!() };
            assert_eq!(network.region.interfaces()[&id].ipv6_addresses, expected);
        }
    }

    #[test]
    fn old_machines_know_ipv4_only() {
        let mut network = Network::with_ipv6();
        let one = Some(Ipv6Addresses::Count(1));
        for old in ["t1.micro", "m1.small", "m3.medium"] {
            let fault = network.refused(launch(&network, old, one.clone()));
            assert_eq!(
                (fault.code(), fault),
                ("InvalidParameterCombination", Fault::Ipv6NotSupported(old.into()))
            );
        }
        let Applied::Instances { instances, .. } = network.apply(launch(&network, "t1.micro", None)) else {
            panic!()
        };
        let (instance, interface) = (instances[0], network.region.instances()[&instances[0]].interfaces[0]);
        assert_eq!(
            network.refused(assign(interface, Ipv6Addresses::Count(1))).code(),
            "InvalidParameterCombination"
        );
        network.apply(Change::SetInstanceState { instance, state: InstanceState::Running });
        let new = NewInterface { ipv6: one.clone(), ..NewInterface::new(network.subnet) };
        let Applied::Interface(second) = network.apply(Change::CreateNetworkInterface(new)) else { panic!() };
        let attach = Change::AttachNetworkInterface { interface: second, instance, device_index: 1, time: 0 };
        assert_eq!(network.refused(attach).code(), "InvalidParameterCombination");

        let Applied::Instances { instances, .. } = network.apply(launch(&network, "t3.micro", one)) else {
            panic!()
        };
        let instance = instances[0];
        network.apply(Change::SetInstanceState { instance, state: InstanceState::Running });
        network.apply(Change::StopInstance { instance, time: 0 });
        network.apply(Change::SetInstanceState { instance, state: InstanceState::Stopped });
        let turn = |to: &str| Change::ModifyInstanceAttribute {
            instance,
            attribute: InstanceAttribute::InstanceType(to.to_owned()),
        };
        assert_eq!(network.refused(turn("t1.micro")).code(), "InvalidParameterCombination");
        network.apply(turn("t3.small"));
    }
}
