//! What can be changed about an instance.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::id::{InstanceId, SecurityGroupId};
use crate::instance::{InstanceState, MetadataOptions, check_metadata, check_user_data};
use crate::interface::InterfaceAttribute;
use crate::region::Region;
use crate::user_data;

/// One thing about an instance, and what it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceAttribute {
    /// Whether its one interface is confined to its own addresses.
    SourceDestCheck(bool),
    /// The security groups of its one interface in order; at least one.
    Groups(Vec<SecurityGroupId>),
    /// At most 16 KiB, as it is to get it. Only while it is stopped.
    UserData(#[serde(with = "user_data")] Option<Vec<u8>>),
    /// Such as "t3.micro". Not looked up. Only while it is stopped.
    InstanceType(String),
    /// Whether it is protected from being terminated.
    DisableApiTermination(bool),
}

impl Region {
    pub(crate) fn modify_instance_attribute(
        &mut self,
        id: InstanceId,
        attribute: InstanceAttribute,
    ) -> Result<(), Fault> {
        match attribute {
            InstanceAttribute::SourceDestCheck(check) => {
                let interface = self.only_interface(id)?;
                self.modify_network_interface_attribute(interface, InterfaceAttribute::SourceDestCheck(check))
            }
            InstanceAttribute::Groups(groups) => {
                let interface = self.only_interface(id)?;
                self.modify_network_interface_attribute(interface, InterfaceAttribute::Groups(groups))
            }
            InstanceAttribute::UserData(data) => {
                self.stopped(id)?;
                check_user_data(data.as_ref())?;
                self.instance_mut(id)?.user_data = data;
                Ok(())
            }
            InstanceAttribute::InstanceType(instance_type) => {
                self.stopped(id)?;
                self.check_type_fits(id, &instance_type)?;
                self.allow_type(id, &instance_type)?;
                self.instance_mut(id)?.instance_type = instance_type;
                Ok(())
            }
            InstanceAttribute::DisableApiTermination(disable) => {
                self.lasting(id)?;
                self.instance_mut(id)?.disable_api_termination = disable;
                Ok(())
            }
        }
    }

    pub(crate) fn modify_instance_metadata_options(
        &mut self,
        id: InstanceId,
        hop_limit: Option<u8>,
        tokens_required: Option<bool>,
    ) -> Result<(), Fault> {
        self.lasting(id)?;
        let before = self.instance(id)?.metadata;
        let options = MetadataOptions {
            hop_limit: hop_limit.unwrap_or(before.hop_limit),
            tokens_required: tokens_required.unwrap_or(before.tokens_required),
        };
        check_metadata(options)?;

        self.instance_mut(id)?.metadata = options;
        Ok(())
    }

    fn stopped(&self, id: InstanceId) -> Result<(), Fault> {
        match self.instance(id)?.state {
            InstanceState::Stopped => Ok(()),
            _ => Err(Fault::InstanceNotStopped(id)),
        }
    }

    fn lasting(&self, id: InstanceId) -> Result<(), Fault> {
        if self.instance(id)?.state.is_ending() {
            return Err(Fault::IncorrectInstanceState { instance: id, wanted: "modified" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;
    use crate::fixture::Network;

    #[test]
    fn some_things_only_while_it_is_stopped() {
        let mut network = Network::new();
        let (instance, _) = network.instance();
        let modify = |attribute| Change::ModifyInstanceAttribute { instance, attribute };
        let quiet = [
            InstanceAttribute::UserData(Some(b"#!/bin/sh".to_vec())),
            InstanceAttribute::InstanceType("t3.large".to_owned()),
        ];
        for attribute in quiet.clone() {
            let fault = network.refused(modify(attribute));
            assert_eq!(
                (fault.code(), fault),
                ("IncorrectInstanceState", Fault::InstanceNotStopped(instance))
            );
        }
        for state in [InstanceState::Running, InstanceState::Stopped] {
            network.apply(Change::SetInstanceState { instance, state });
        }
        for attribute in quiet {
            network.apply(modify(attribute));
        }
        let large = InstanceAttribute::UserData(Some(vec![0; 16385]));
        assert_eq!(network.refused(modify(large)).code(), "InvalidParameterValue");
        let changed = &network.region.instances()[&instance];
        assert_eq!(changed.user_data.as_deref(), Some(b"#!/bin/sh".as_slice()));
        assert_eq!(changed.instance_type, "t3.large");
    }

    #[test]
    fn its_interface_if_it_has_one() {
        let mut network = Network::new();
        let (instance, interface) = network.instance();
        let group = network.security_group("web");
        let modify = |attribute| Change::ModifyInstanceAttribute { instance, attribute };
        network.apply(modify(InstanceAttribute::SourceDestCheck(false)));
        network.apply(modify(InstanceAttribute::Groups(vec![group])));
        let changed = &network.region.interfaces()[&interface];
        assert_eq!((changed.source_dest_check, changed.groups.as_slice()), (false, [group].as_slice()));

        network.apply(Change::SetInstanceState { instance, state: InstanceState::Running });
        let second = network.interface(&[]);
        network.apply(Change::AttachNetworkInterface {
            interface: second,
            instance,
            device_index: 1,
            time: 0,
        });
        let fault = network.refused(modify(InstanceAttribute::SourceDestCheck(true)));
        assert_eq!(fault, Fault::NotOneInterface(instance));
    }

    #[test]
    fn metadata_options_change_one_by_one() {
        let mut network = Network::new();
        let (instance, _) = network.instance();
        let modify = |hop_limit, tokens_required| Change::ModifyInstanceMetadataOptions {
            instance,
            hop_limit,
            tokens_required,
        };
        network.apply(modify(Some(64), None));
        network.apply(modify(None, Some(true)));
        let options = network.region.instances()[&instance].metadata;
        assert_eq!(options, MetadataOptions { hop_limit: 64, tokens_required: true });
        assert_eq!(network.refused(modify(Some(65), None)).code(), "InvalidParameterValue");
    }
}
