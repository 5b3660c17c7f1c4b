//! Interfaces that come to instances and go from them.

use crate::fault::{Fault, InvalidValue, NotPermitted};
use crate::id::{AttachmentId, InstanceId, InterfaceId};
use crate::instance::{InstanceState, counts};
use crate::interface::Attachment;
use crate::region::Region;

impl Region {
    pub(crate) fn attach_network_interface(
        &mut self,
        id: InterfaceId,
        instance: InstanceId,
        device_index: u32,
        time: u64,
    ) -> Result<AttachmentId, Fault> {
        let interface = self.interface(id)?;
        let to = self.settled(instance)?;
        if interface.is_in_use() {
            return Err(Fault::InterfaceInUse(id));
        }
        if self.device_indexes(instance).any(|taken| taken == device_index) {
            return Err(InvalidValue::DeviceIndexInUse { instance, device_index }.into());
        }
        let home = to.interfaces.first().and_then(|first| self.interfaces.get(first));
        if let Some(home) = home
            && self.subnet(home.subnet)?.availability_zone != self.subnet(interface.subnet)?.availability_zone
        {
            return Err(Fault::ZonesApart);
        }
        self.allow_interfaces(&to.instance_type, to.interfaces.len() + 1)?;
        self.allow_addresses(&to.instance_type, counts(interface))?;
        interface.check_type(&to.instance_type)?;
        let place = self.device_indexes(instance).filter(|&taken| taken < device_index).count();

        let attachment = self.draw();
        let tie = Attachment { id: attachment, instance, device_index, delete_on_termination: false, time };
        if let Some(interface) = self.interfaces.get_mut(&id) {
            interface.attachment = Some(tie);
        }
        if let Some(instance) = self.instances.get_mut(&instance) {
            instance.interfaces.insert(place, id);
        }
        Ok(attachment)
    }

    pub(crate) fn detach_network_interface(&mut self, id: AttachmentId) -> Result<(), Fault> {
        let mut attached = self
            .interfaces
            .values()
            .filter_map(|interface| Some((interface.id, interface.attachment.as_ref()?)));
        let (interface, attachment) =
            attached.find(|(_, attachment)| attachment.id == id).ok_or(Fault::AttachmentNotFound(id))?;
        if attachment.device_index == 0 {
            return Err(NotPermitted::PrimaryInterface.into());
        }
        let instance = attachment.instance;
        self.settled(instance)?;

        if let Some(interface) = self.interfaces.get_mut(&interface) {
            interface.attachment = None;
        }
        if let Some(instance) = self.instances.get_mut(&instance) {
            instance.interfaces.retain(|&own| own != interface);
        }
        Ok(())
    }

    /// The device indexes of an instance's interfaces, lowest first.
    fn device_indexes(&self, instance: InstanceId) -> impl Iterator<Item = u32> {
        let own = self.instances.get(&instance).into_iter().flat_map(|instance| &instance.interfaces);
        own.filter_map(|id| Some(self.interfaces.get(id)?.attachment.as_ref()?.device_index))
    }

    /// An instance whose interfaces can change.
    fn settled(&self, id: InstanceId) -> Result<&crate::Instance, Fault> {
        let instance = self.instance(id)?;
        match instance.state {
            InstanceState::Running | InstanceState::Stopped => Ok(instance),
            _ => Err(Fault::InstanceNotSettled(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, cidr, tags};
    use crate::{Applied, Change, NewInterface};

    fn attach(interface: InterfaceId, instance: InstanceId, device_index: u32) -> Change {
        Change::AttachNetworkInterface { interface, instance, device_index, time: 5 }
    }

    fn running(network: &mut Network) -> (InstanceId, InterfaceId) {
        let (instance, interface) = network.instance();
        network.apply(Change::SetInstanceState { instance, state: InstanceState::Running });
        (instance, interface)
    }

    #[test]
    fn interfaces_are_in_the_order_of_their_device_index() {
        let mut network = Network::new();
        let (instance, primary) = running(&mut network);
        let (second, third) = (network.interface(&[]), network.interface(&[]));
        network.apply(attach(third, instance, 2));
        let Applied::Attachment(attachment) = network.apply(attach(second, instance, 1)) else { panic!() };
        assert_eq!(network.region.instances()[&instance].interfaces, [primary, second, third]);

        let fault = network.refused(Change::DeleteNetworkInterface { interface: second });
        assert_eq!(fault.code(), "InvalidParameterValue");
        network.apply(Change::DetachNetworkInterface { attachment });
        assert_eq!(network.region.instances()[&instance].interfaces, [primary, third]);
        assert_eq!(network.region.interfaces()[&second].attachment, None);
        let again = network.refused(Change::DetachNetworkInterface { attachment });
        assert_eq!(again, Fault::AttachmentNotFound(attachment));
        let own = network.region.interfaces()[&primary].attachment.clone().unwrap().id;
        let fault = network.refused(Change::DetachNetworkInterface { attachment: own });
        assert_eq!(fault.code(), "OperationNotPermitted");
    }

    #[test]
    fn what_cannot_be_attached() {
        let mut network = Network::new();
        let (instance, primary) = network.instance();
        let interface = network.interface(&[]);
        assert_eq!(network.refused(attach(interface, instance, 1)).code(), "IncorrectState");
        network.apply(Change::SetInstanceState { instance, state: InstanceState::Running });
        assert_eq!(network.refused(attach(primary, instance, 1)).code(), "InvalidNetworkInterface.InUse");
        let taken = network.refused(attach(interface, instance, 0));
        assert_eq!(taken, InvalidValue::DeviceIndexInUse { instance, device_index: 0 }.into());

        let elsewhere = Change::CreateSubnet {
            vpc: network.vpc,
            cidr: cidr("10.0.2.0/24"),
            availability_zone: Some("eu-west-1b".to_owned()),
            tags: tags("b"),
        };
        let Applied::Subnet(subnet) = network.apply(elsewhere) else { panic!() };
        let far = Change::CreateNetworkInterface(NewInterface::new(subnet));
        let Applied::Interface(far) = network.apply(far) else { panic!() };
        assert_eq!(network.refused(attach(far, instance, 1)), Fault::ZonesApart);

        for index in 1..4 {
            let interface = network.interface(&[]);
            network.apply(attach(interface, instance, index));
        }
        assert_eq!(network.refused(attach(interface, instance, 4)).code(), "AttachmentLimitExceeded");
    }
}
