//! What can be changed about an interface.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{AttachmentId, InterfaceId, SecurityGroupId};
use crate::interface::ConnectionTracking;
use crate::interface::request::check_description;
use crate::region::Region;

/// One thing about an interface, and what it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InterfaceAttribute {
    /// Its security groups in order; at least one.
    Groups(Vec<SecurityGroupId>),
    /// Whether it is confined to its own addresses.
    SourceDestCheck(bool),
    /// In words; at most 255 characters.
    Description(String),
    /// What becomes of it when its instance is terminated.
    DeleteOnTermination {
        /// What ties it to its instance.
        attachment: AttachmentId,
        /// Whether it goes.
        delete: bool,
    },
    /// For how long its security groups remember connections.
    ConnectionTracking(ConnectionTracking),
}

impl Region {
    pub(crate) fn modify_network_interface_attribute(
        &mut self,
        id: InterfaceId,
        attribute: InterfaceAttribute,
    ) -> Result<(), Fault> {
        let subnet = self.own_interface(id)?.subnet;
        let attribute = match attribute {
            InterfaceAttribute::Groups(groups) if groups.is_empty() => {
                return Err(InvalidValue::NoGroups.into());
            }
            InterfaceAttribute::Groups(groups) => InterfaceAttribute::Groups(self.groups_in(subnet, groups)?),
            InterfaceAttribute::Description(description) => {
                check_description(&description)?;
                InterfaceAttribute::Description(description)
            }
            InterfaceAttribute::ConnectionTracking(tracking) => {
                tracking.check()?;
                InterfaceAttribute::ConnectionTracking(tracking)
            }
            other => other,
        };
        let interface = self.interfaces.get_mut(&id).ok_or(Fault::InterfaceNotFound(id))?;
        match attribute {
            InterfaceAttribute::Groups(groups) => interface.groups = groups,
            InterfaceAttribute::SourceDestCheck(check) => interface.source_dest_check = check,
            InterfaceAttribute::Description(description) => interface.description = description,
            InterfaceAttribute::ConnectionTracking(tracking) => interface.connection_tracking = tracking,
            InterfaceAttribute::DeleteOnTermination { attachment, delete } => {
                let own = interface.attachment.as_mut().filter(|own| own.id == attachment);
                own.ok_or(Fault::AttachmentNotFound(attachment))?.delete_on_termination = delete;
            }
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
    fn one_thing_at_a_time() {
        let mut network = Network::new();
        let (group, stranger) = (network.security_group("web"), network.other_group());
        let ((_, interface), (_, other)) = (network.instance(), network.instance());
        let modify = |attribute| Change::ModifyNetworkInterfaceAttribute { interface, attribute };
        let attachment_of =
            |network: &Network, id| network.region.interfaces()[&id].attachment.clone().unwrap().id;
        let (own, foreign) = (attachment_of(&network, interface), attachment_of(&network, other));

        network.apply(modify(InterfaceAttribute::Groups(vec![group])));
        network.apply(modify(InterfaceAttribute::SourceDestCheck(false)));
        network.apply(modify(InterfaceAttribute::Description("ours".to_owned())));
        network.apply(modify(InterfaceAttribute::DeleteOnTermination { attachment: own, delete: false }));
        let changed = network.region.interfaces()[&interface].clone();
        assert_eq!(changed.groups, [group]);
        assert!(!changed.source_dest_check && changed.description == "ours");
        assert!(!changed.attachment.unwrap().delete_on_termination);

        for (attribute, code) in [
            (InterfaceAttribute::Groups(vec![]), "InvalidParameterValue"),
            (InterfaceAttribute::Groups(vec![stranger]), "InvalidParameter"),
            (InterfaceAttribute::Description("d".repeat(256)), "InvalidParameterValue"),
            (
                InterfaceAttribute::DeleteOnTermination { attachment: foreign, delete: true },
                "InvalidAttachmentID.NotFound",
            ),
        ] {
            assert_eq!(network.refused(modify(attribute)).code(), code);
        }
    }
}
