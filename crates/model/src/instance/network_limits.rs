//! How many interfaces and addresses an instance can have, by its type.

use crate::fault::Fault;
use crate::id::{InstanceId, InterfaceId};
use crate::interface::NetworkInterface;
use crate::prefix_list::AddressFamily;
use crate::quota::Quota;
use crate::region::Region;

/// What instances of a type can have (EC2 User Guide, "IP addresses per network interface").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkLimits {
    /// Network interfaces.
    pub interfaces: usize,
    /// Private IPv4 addresses of each interface, the primary one and prefixes included, and as many of IPv6 if the type
    /// knows IPv6.
    pub addresses: usize,
}

const TYPES: [(&str, usize, usize); 18] = [
    ("c5.large", 3, 10),
    ("c5.xlarge", 4, 15),
    ("m1.small", 2, 4),
    ("m4.large", 2, 10),
    ("m4.xlarge", 4, 15),
    ("m5.large", 3, 10),
    ("m5.xlarge", 4, 15),
    ("t1.micro", 2, 2),
    ("t2.large", 3, 12),
    ("t2.medium", 3, 6),
    ("t2.micro", 2, 2),
    ("t2.nano", 2, 2),
    ("t2.small", 3, 4),
    ("t3.large", 3, 12),
    ("t3.medium", 3, 6),
    ("t3.micro", 2, 2),
    ("t3.nano", 2, 2),
    ("t3.small", 3, 4),
];

impl NetworkLimits {
    /// Those of a type, such as "t3.micro", if they are known.
    pub fn of(instance_type: &str) -> Option<NetworkLimits> {
        let known = TYPES.iter().find(|(name, ..)| *name == instance_type);
        known.map(|&(_, interfaces, addresses)| NetworkLimits { interfaces, addresses })
    }
}

impl Region {
    /// Those of a type; of one that is not known, what any can have.
    fn network_limits(&self, instance_type: &str) -> NetworkLimits {
        NetworkLimits::of(instance_type).unwrap_or(NetworkLimits {
            interfaces: self.quotas.interfaces_per_instance,
            addresses: self.quotas.addresses_per_interface,
        })
    }

    /// Whether an instance of a type can have so many interfaces.
    pub(crate) fn allow_interfaces(&self, instance_type: &str, count: usize) -> Result<(), Fault> {
        if count > self.network_limits(instance_type).interfaces {
            return Err(Fault::InterfaceCount { count, instance_type: instance_type.to_owned() });
        }
        Ok(())
    }

    /// Whether an interface of an instance of a type can have so many private addresses, or so many IPv6 addresses.
    pub(crate) fn allow_addresses(&self, instance_type: &str, counts: (usize, usize)) -> Result<(), Fault> {
        if counts.0.max(counts.1) > self.network_limits(instance_type).addresses {
            return Err(Fault::LimitExceeded(Quota::AddressesPerInterface));
        }
        Ok(())
    }

    /// Whether an interface can have so many more private addresses, and so many more IPv6 addresses: that is for the
    /// instance to say that it is attached to.
    pub(crate) fn allow_more_addresses(
        &self,
        interface: InterfaceId,
        more: (usize, usize),
    ) -> Result<(), Fault> {
        let interface = self.interface(interface)?;
        let Some(attachment) = &interface.attachment else { return Ok(()) };
        let instance = self.instance(attachment.instance)?;
        let (v4, v6) = counts(interface);
        let counts = (v4.saturating_add(more.0), v6.saturating_add(more.1));
        self.allow_addresses(&instance.instance_type, counts)
    }

    /// Whether an instance can be of a type, with the interfaces that it has.
    pub(crate) fn allow_type(&self, instance: InstanceId, instance_type: &str) -> Result<(), Fault> {
        let own = &self.instance(instance)?.interfaces;
        self.allow_interfaces(instance_type, own.len())?;
        let mut interfaces = own.iter().filter_map(|id| self.interfaces.get(id));
        interfaces.try_for_each(|interface| self.allow_addresses(instance_type, counts(interface)))
    }
}

/// How many private and IPv6 addresses an interface has, prefixes among them.
pub(crate) fn counts(interface: &NetworkInterface) -> (usize, usize) {
    (interface.slots(AddressFamily::Ipv4), interface.slots(AddressFamily::Ipv6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{
        Applied, Change, InstanceAttribute, InstanceState, InterfaceSource, Ipv6Addresses, Launch,
        LaunchInterface, NewInterface, SecondaryAddresses,
    };

    fn refused(network: &mut Network, change: Change, code: &str) -> Fault {
        let fault = network.refused(change);
        assert_eq!(fault.code(), code);
        fault
    }

    fn with(network: &Network, secondary: u32, ipv6: u32) -> NewInterface {
        let secondary = SecondaryAddresses::Count(secondary);
        NewInterface {
            secondary,
            ipv6: Some(Ipv6Addresses::Count(ipv6)),
            ..NewInterface::new(network.subnet)
        }
    }

    #[test]
    fn a_launch_has_what_its_type_can_have() {
        let mut network = Network::with_ipv6();
        let launch = |network: &Network, interfaces: Vec<NewInterface>| {
            let interfaces = (0..).zip(interfaces).map(|(device_index, new)| LaunchInterface {
                device_index,
                delete_on_termination: true,
                source: InterfaceSource::from(new),
            });
            let (instance_type, interfaces) = ("t3.micro".to_owned(), interfaces.collect());
            Change::RunInstances(Launch { instance_type, interfaces, ..network.launch() })
        };
        let plain = with(&network, 0, 0);
        let three = launch(&network, vec![plain.clone(), plain.clone(), plain.clone()]);
        let fault = refused(&mut network, three, "AttachmentLimitExceeded");
        assert_eq!(fault.to_string(), "Interface count 3 exceeds the limit for t3.micro");
        for many in [with(&network, 2, 0), with(&network, 0, 3)] {
            let change = launch(&network, vec![plain.clone(), many]);
            refused(&mut network, change, "PrivateIpAddressLimitExceeded");
        }
        let most = launch(&network, vec![with(&network, 1, 2), with(&network, 1, 2)]);
        network.apply(most);

        // An interface that was there before may have too many.
        let Applied::Interface(large) = network.apply(Change::CreateNetworkInterface(with(&network, 2, 0)))
        else {
            panic!()
        };
        let Change::RunInstances(existing) = network.launch_with(large) else { panic!() };
        let launch = |instance_type: &str| {
            Change::RunInstances(Launch { instance_type: instance_type.to_owned(), ..existing.clone() })
        };
        refused(&mut network, launch("t3.micro"), "PrivateIpAddressLimitExceeded");
        network.apply(launch("t3.small"));
    }

    #[test]
    fn what_comes_later_is_counted_too() {
        let mut network = Network::with_ipv6();
        let (instance, interface) = network.instance();
        for state in [InstanceState::Running, InstanceState::Stopped] {
            network.apply(Change::SetInstanceState { instance, state });
        }
        let to = |instance_type: &str| Change::ModifyInstanceAttribute {
            instance,
            attribute: InstanceAttribute::InstanceType(instance_type.to_owned()),
        };
        let assign = |count| Change::AssignPrivateIpAddresses {
            interface,
            addresses: SecondaryAddresses::Count(count),
            allow_reassignment: false,
        };
        let assign6 =
            |count| Change::AssignIpv6Addresses { interface, addresses: Ipv6Addresses::Count(count) };
        network.apply(to("t3.micro"));
        refused(&mut network, assign(2), "PrivateIpAddressLimitExceeded");
        refused(&mut network, assign6(3), "PrivateIpAddressLimitExceeded");
        network.apply(assign(1));
        network.apply(assign6(2));
        refused(&mut network, assign(1), "PrivateIpAddressLimitExceeded");
        refused(&mut network, assign6(1), "PrivateIpAddressLimitExceeded");
        network.apply(to("t3.small"));
        network.apply(assign(2));
        refused(&mut network, to("t3.micro"), "PrivateIpAddressLimitExceeded");

        let attach = |interface, device_index| Change::AttachNetworkInterface {
            interface,
            instance,
            device_index,
            time: 0,
        };
        let Applied::Interface(large) = network.apply(Change::CreateNetworkInterface(with(&network, 4, 0)))
        else {
            panic!()
        };
        refused(&mut network, attach(large, 1), "PrivateIpAddressLimitExceeded");
        for index in 1..3 {
            let more = network.interface(&[]);
            network.apply(attach(more, index));
        }
        let more = network.interface(&[]);
        refused(&mut network, attach(more, 3), "AttachmentLimitExceeded");
        refused(&mut network, to("m4.large"), "AttachmentLimitExceeded");
        network.apply(to("m5.xlarge"));
        network.apply(attach(more, 3));
    }
}
