//! The attributes of network interfaces, one at a time.

use model::{AttachmentId, Change, Fault, InterfaceAttribute, InterfaceId, SecurityGroupId};
use serde::{Deserialize, Serialize};

use super::network_interface::{ConnectionTrackingSpecification, ShownAttachment};
use super::security_group::{Membership, memberships};
use super::{Action, DONE, Done, Given, Shown};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModifyNetworkInterfaceAttribute {
    network_interface_id: InterfaceId,
    description: Option<Given<String>>,
    source_dest_check: Option<Given<bool>>,
    #[serde(default)]
    security_group_id: Vec<SecurityGroupId>,
    attachment: Option<AttachmentChanges>,
    connection_tracking_specification: Option<ConnectionTrackingSpecification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttachmentChanges {
    attachment_id: AttachmentId,
    delete_on_termination: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResetNetworkInterfaceAttribute {
    network_interface_id: InterfaceId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeNetworkInterfaceAttribute {
    network_interface_id: InterfaceId,
    attribute: Attribute,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Attribute {
    Attachment,
    Description,
    GroupSet,
    SourceDestCheck,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeNetworkInterfaceAttributeAnswer {
    network_interface_id: InterfaceId,
    attachment: Option<ShownAttachment>,
    description: Option<Shown<String>>,
    group_set: Option<Vec<Membership>>,
    source_dest_check: Option<Shown<bool>>,
}

impl Action for ModifyNetworkInterfaceAttribute {
    const LIMITS: &'static [Limit] = &[
        ("AssociatePublicIpAddress", &[]),
        ("AssociatedSubnetId", &[]),
        ("Attachment.DefaultEnaQueueCount", &[]),
        ("Attachment.EnaQueueCount", &[]),
        ("EnablePrimaryIpv6", &["false"]),
        ("EnaSrdSpecification", &[]),
    ];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let interface = self.network_interface_id;
        let groups = Some(self.security_group_id).filter(|groups| !groups.is_empty());
        let attachment = self.attachment.map(|changes| InterfaceAttribute::DeleteOnTermination {
            attachment: changes.attachment_id,
            delete: changes.delete_on_termination,
        });
        call.commit(move |transaction| {
            let tracking = self.connection_tracking_specification.map(|asked| {
                let before = transaction.region().interfaces().get(&interface);
                let before = before.map(|interface| interface.connection_tracking).unwrap_or_default();
                InterfaceAttribute::ConnectionTracking(asked.over(before))
            });
            let mut asked = [
                self.description.map(|given| InterfaceAttribute::Description(given.value)),
                self.source_dest_check.map(|given| InterfaceAttribute::SourceDestCheck(given.value)),
                groups.map(InterfaceAttribute::Groups),
                attachment,
                tracking,
            ]
            .into_iter()
            .flatten();
            let attribute = asked.next().ok_or(Error::Combination("No attributes specified."))?;
            if asked.next().is_some() {
                return Err(Error::Combination("Fields for multiple attribute types specified."));
            }
            transaction.apply(Change::ModifyNetworkInterfaceAttribute { interface, attribute })?;
            Ok(DONE)
        })
    }
}

impl Action for ResetNetworkInterfaceAttribute {
    const LIMITS: &'static [Limit] = &[("SourceDestCheck", &["", "true", "sourceDestCheck"])];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let attribute = InterfaceAttribute::SourceDestCheck(true);
        let interface = self.network_interface_id;
        call.apply(Change::ModifyNetworkInterfaceAttribute { interface, attribute })?;
        Ok(DONE)
    }
}

impl Action for DescribeNetworkInterfaceAttribute {
    type Answer = DescribeNetworkInterfaceAttributeAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let region = call.region();
        let id = self.network_interface_id;
        let interface = region.interfaces().get(&id).ok_or(Fault::InterfaceNotFound(id))?;
        let mut answer = DescribeNetworkInterfaceAttributeAnswer {
            network_interface_id: id,
            attachment: None,
            description: None,
            group_set: None,
            source_dest_check: None,
        };
        match self.attribute {
            Attribute::Attachment => {
                let attachment = interface.attachment.as_ref();
                answer.attachment = attachment.map(|attachment| ShownAttachment::of(&region, attachment));
            }
            Attribute::Description => {
                answer.description = Some(Shown { value: interface.description.clone() });
            }
            Attribute::GroupSet => answer.group_set = Some(memberships(&region, &interface.groups)),
            Attribute::SourceDestCheck => {
                answer.source_dest_check = Some(Shown { value: interface.source_dest_check });
            }
        }
        Ok(answer)
    }
}
