//! Public addresses that interfaces get without an Elastic IP address, for as long as their instance runs (EC2 User
//! Guide, "Amazon EC2 instance IP addressing", "Public IPv4 addresses").

use std::net::Ipv4Addr;

use crate::fault::{Fault, NotPermitted};
use crate::id::{InstanceId, InterfaceId};
use crate::instance::InstanceState;
use crate::region::Region;

impl Region {
    /// Whether an interface is to get a public address now: after its instance was launched or started, or an
    /// Elastic IP address was taken from it. One of several interfaces gets none, and none gets one while any of its
    /// private addresses has an Elastic IP address.
    pub fn awaits_public_address(&self, id: InterfaceId) -> bool {
        let Some(interface) = self.interfaces.get(&id) else { return false };
        let attachment = interface.attachment.as_ref();
        let instance = attachment.and_then(|attachment| self.instances.get(&attachment.instance));
        let alone_in_use = instance.is_some_and(|instance| {
            matches!(instance.state, InstanceState::Pending | InstanceState::Running)
                && instance.interfaces == [id]
        });
        interface.associate_public_ip
            && interface.public_ip.is_none()
            && alone_in_use
            && !self.has_elastic_ip(id)
    }

    pub(crate) fn assign_public_address(
        &mut self,
        id: InterfaceId,
        public_ip: Ipv4Addr,
    ) -> Result<(), Fault> {
        self.interface(id)?;
        if !self.awaits_public_address(id) {
            return Err(NotPermitted::PublicAddress(id).into());
        }
        self.can_be_public(public_ip)?;

        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.public_ip = Some(public_ip);
        }
        Ok(())
    }

    pub(crate) fn release_public_address(&mut self, id: InterfaceId) {
        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.public_ip = None;
        }
    }

    /// Takes the public addresses from all interfaces of an instance, but no Elastic IP addresses.
    pub(crate) fn release_public_addresses(&mut self, instance: InstanceId) {
        let own = self.instances.get(&instance).map(|instance| instance.interfaces.clone());
        for interface in own.into_iter().flatten() {
            self.release_public_address(interface);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Applied, Change, InterfaceSource, Launch, LaunchInterface, NewInterface};

    const FIRST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
    const SECOND: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);

    fn launch(network: &Network, asked: &[Option<bool>]) -> Change {
        let interface = |(device_index, &associate_public_ip)| LaunchInterface {
            device_index,
            delete_on_termination: device_index > 0,
            source: InterfaceSource::New {
                interface: NewInterface::new(network.subnet),
                associate_public_ip,
            },
        };
        let interfaces = (0..).zip(asked).map(interface).collect();
        Change::RunInstances(Launch { interfaces, ..network.launch() })
    }

    fn launched(network: &mut Network, asked: &[Option<bool>]) -> (InstanceId, InterfaceId) {
        let change = launch(network, asked);
        let Applied::Instances { instances, .. } = network.apply(change) else { panic!() };
        (instances[0], network.region.instances()[&instances[0]].interfaces[0])
    }

    fn assign(interface: InterfaceId, public_ip: Ipv4Addr) -> Change {
        Change::AssignPublicAddress { interface, public_ip }
    }

    fn set(instance: InstanceId, state: InstanceState) -> Change {
        Change::SetInstanceState { instance, state }
    }

    fn public(network: &Network, interface: InterfaceId) -> Option<Ipv4Addr> {
        let private_ip = network.region.interfaces()[&interface].private_ip;
        network.region.public_address_of(interface, private_ip)
    }

    #[test]
    fn the_launch_decides_or_else_the_subnet() {
        let mut network = Network::new();
        let subnet = network.subnet;
        for (map_public_ip_on_launch, asked, awaits) in [
            (false, None, false),
            (false, Some(true), true),
            (true, None, true),
            (true, Some(false), false),
            (true, Some(true), true),
        ] {
            network.apply(Change::ModifySubnetAttribute { subnet, map_public_ip_on_launch });
            let (_, interface) = launched(&mut network, &[asked]);
            assert_eq!(network.region.awaits_public_address(interface), awaits, "{asked:?}");
        }
        let (_, first) = launched(&mut network, &[None, None]);
        assert!(!network.region.awaits_public_address(first), "one of several");
        for asked in [Some(true), Some(false)] {
            let several = launch(&network, &[None, asked]);
            assert_eq!(network.refused(several), Fault::PublicIpForSeveral);
        }
        let loose = network.interface(&[]);
        assert!(!network.region.awaits_public_address(loose));
        let nowhere = "subnet-00000000".parse().unwrap();
        let modify = Change::ModifySubnetAttribute { subnet: nowhere, map_public_ip_on_launch: true };
        assert_eq!(network.refused(modify), Fault::SubnetNotFound(nowhere));
    }

    #[test]
    fn an_address_lasts_until_the_stop() {
        let mut network = Network::new();
        let (instance, interface) = launched(&mut network, &[Some(true)]);
        network.apply(assign(interface, FIRST));
        assert_eq!(public(&network, interface), Some(FIRST));
        let again = network.refused(assign(interface, SECOND));
        assert_eq!(again, NotPermitted::PublicAddress(interface).into());
        let (_, other) = launched(&mut network, &[Some(true)]);
        assert_eq!(network.refused(assign(other, FIRST)), Fault::AddressInUse(FIRST.into()));
        let taken = Change::AllocateAddress { public_ip: FIRST, tags: crate::Tags::new() };
        assert_eq!(network.refused(taken), Fault::AddressInUse(FIRST.into()));

        network.apply(set(instance, InstanceState::Running));
        network.apply(Change::StopInstance { instance, time: 1 });
        assert_eq!(public(&network, interface), Some(FIRST), "the machine may still run");
        network.apply(set(instance, InstanceState::Stopped));
        assert_eq!(public(&network, interface), None);
        assert_eq!(network.refused(assign(interface, FIRST)).code(), "OperationNotPermitted");
        network.apply(Change::StartInstance { instance, time: 2 });
        network.apply(assign(interface, SECOND));
        assert_eq!(public(&network, interface), Some(SECOND));

        network.apply(Change::TerminateInstance { instance, time: 3 });
        network.apply(set(instance, InstanceState::Terminated));
        let kept = &network.region.interfaces()[&interface];
        assert_eq!((kept.associate_public_ip, kept.public_ip), (false, None));
    }

    #[test]
    fn an_elastic_ip_takes_its_place() {
        let mut network = Network::new();
        let igw = network.internet_gateway();
        let (_, interface) = launched(&mut network, &[Some(true)]);
        network.apply(assign(interface, FIRST));
        let detach = Change::DetachInternetGateway { igw, vpc: network.vpc };
        assert_eq!(network.refused(detach).code(), "DependencyViolation");

        let (_, association) = network.elastic_ip(13, interface);
        assert_eq!(public(&network, interface), Some(Ipv4Addr::new(203, 0, 113, 13)));
        assert!(network.region.public_addresses().all(|address| address != FIRST));
        assert!(!network.region.awaits_public_address(interface));
        network.apply(Change::DisassociateAddress { association });
        assert_eq!(public(&network, interface), None);
        network.apply(assign(interface, SECOND));
        assert_eq!(public(&network, interface), Some(SECOND));
    }
}
