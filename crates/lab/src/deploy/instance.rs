//! Instances: their interfaces, user data and metadata options, and the public address that they may get.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use model::{
    Applied, Change, Fault, ImageId, InstanceAttribute, InstanceId, InterfaceSource, Launch, LaunchInterface,
    MetadataOptions, NewInterface, SecurityGroupId,
};

use super::ipv6::ipv6_addresses;
use super::resources::Properties;
use super::update::Revision;
use super::{Maker, PhysicalId};
use crate::error::{LabError, Place, TemplateFault, Wrong};
use crate::yaml::{Fields, Node};

const INTERFACE: &[&str] = &[
    "AssociatePublicIpAddress",
    "DeleteOnTermination",
    "Description",
    "DeviceIndex",
    "GroupSet",
    "Ipv6AddressCount",
    "Ipv6Addresses",
    "NetworkInterfaceId",
    "PrivateIpAddress",
    "SubnetId",
];
/// What one that is there already has its own of.
const OF_A_NEW_ONE: [&str; 7] = [
    "AssociatePublicIpAddress",
    "Description",
    "GroupSet",
    "Ipv6AddressCount",
    "Ipv6Addresses",
    "PrivateIpAddress",
    "SubnetId",
];
/// What the interfaces say where they are listed.
const OF_THE_INTERFACE: [&str; 5] =
    ["SubnetId", "PrivateIpAddress", "SecurityGroupIds", "Ipv6AddressCount", "Ipv6Addresses"];
const METADATA_OPTIONS: &[&str] = &["HttpPutResponseHopLimit", "HttpTokens"];

impl Maker<'_> {
    pub(super) fn instance(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let image_node = fields.required("ImageId")?;
        let image: ImageId = image_node.value("the id of an image")?;
        if !self.has_image(image) {
            return Err(image_node.error(TemplateFault::UnknownImage(image.to_string())));
        }
        let instance_type = instance_type(fields.required("InstanceType")?)?;
        let user_data = fields.optional("UserData").map(user_data).transpose()?;
        let (metadata, tags) = (metadata_options(fields)?, properties.tags()?);
        let source_dest_check = fields.optional("SourceDestCheck").map_or(Ok(true), Node::boolean)?;
        let (place, mut interfaces) = interfaces(properties, source_dest_check)?;
        interfaces.extend(self.attached_at_launch(properties)?);
        let launch = Launch {
            count: 1,
            image,
            instance_type,
            interfaces,
            key_name: self.key_name(properties)?,
            user_data,
            metadata,
            disable_api_termination: termination_protection(fields)?,
            time: self.cloud.time(),
            client_token: None,
            tags,
        };
        let applied = self.apply(properties, &place, Change::RunInstances(launch))?;
        let Applied::Instances { instances, .. } = applied else {
            unreachable!("RunInstances gives instances")
        };
        let [instance] = instances[..] else { unreachable!("a launch of one gives one") };
        let first = self.cloud.region().instances().get(&instance);
        if let Some(interface) = first.and_then(|instance| instance.interfaces.first().copied())
            && self.cloud.region().awaits_public_address(interface)
        {
            let public_ip = self.free_address(properties.resource)?;
            self.apply(properties, &place, Change::AssignPublicAddress { interface, public_ip })?;
        }
        Ok(PhysicalId::Instance(instance))
    }

    /// The name of a key pair that there is.
    fn key_name(&self, properties: &Properties<'_>) -> Result<Option<String>, LabError> {
        let Some(node) = properties.fields.optional("KeyName") else { return Ok(None) };
        let name = node.text("`KeyName`")?.to_owned();
        if self.cloud.region().key_pair_named(&name).is_some() {
            return Ok(Some(name));
        }
        let fault = Fault::KeyPairNotFound(name);
        let (logical, code) = (properties.resource.logical.clone(), fault.code());
        Err(node.error(TemplateFault::Refused { logical, code, message: fault.to_string() }))
    }

    /// What can be changed while it runs.
    pub(super) fn update_instance(
        &mut self,
        instance: InstanceId,
        revision: &Revision<'_>,
    ) -> Result<(), LabError> {
        let (fields, place) = (&revision.new.fields, &revision.new.resource.place);
        let modify = |attribute| Change::ModifyInstanceAttribute { instance, attribute };
        if revision.changes("SourceDestCheck") {
            let check = fields.optional("SourceDestCheck").map_or(Ok(true), Node::boolean)?;
            self.apply(&revision.new, place, modify(InstanceAttribute::SourceDestCheck(check)))?;
        }
        if revision.changes("SecurityGroupIds") {
            let groups = groups(fields, "SecurityGroupIds")?;
            self.apply(&revision.new, place, modify(InstanceAttribute::Groups(groups)))?;
        }
        if revision.changes("DisableApiTermination") {
            let disable = termination_protection(fields)?;
            self.apply(&revision.new, place, modify(InstanceAttribute::DisableApiTermination(disable)))?;
        }
        if revision.changes("MetadataOptions") {
            let options = metadata_options(fields)?;
            let change = Change::ModifyInstanceMetadataOptions {
                instance,
                hop_limit: Some(options.hop_limit),
                tokens_required: Some(options.tokens_required),
            };
            self.apply(&revision.new, place, change)?;
        }
        Ok(())
    }
}

fn termination_protection(fields: &Fields<'_>) -> Result<bool, LabError> {
    fields.optional("DisableApiTermination").map_or(Ok(false), Node::boolean)
}

/// The interfaces that an instance is launched with, and the place to blame if it cannot be.
fn interfaces(
    properties: &Properties<'_>,
    source_dest_check: bool,
) -> Result<(Place, Vec<LaunchInterface>), LabError> {
    let fields = &properties.fields;
    let Some(list) = fields.optional("NetworkInterfaces") else {
        let subnet = fields.required("SubnetId")?;
        let interface = NewInterface {
            private_ip: properties.optional_address("PrivateIpAddress")?,
            groups: groups(fields, "SecurityGroupIds")?,
            source_dest_check,
            ipv6: ipv6_addresses(fields)?,
            ..NewInterface::new(subnet.value("the id of a subnet")?)
        };
        let place = fields.optional("PrivateIpAddress").unwrap_or(subnet).place.clone();
        let first =
            LaunchInterface { device_index: 0, delete_on_termination: true, source: interface.into() };
        return Ok((place, vec![first]));
    };
    if let Some(node) = OF_THE_INTERFACE.into_iter().find_map(|key| fields.optional(key)) {
        return Err(node.error(TemplateFault::Refused {
            logical: properties.resource.logical.clone(),
            code: "InvalidParameterCombination",
            message:
                "Network interfaces and an instance-level subnet ID, address or security groups may not be \
                      specified on the same request."
                    .to_owned(),
        }));
    }
    let interfaces = fields.items("NetworkInterfaces")?.iter();
    let interfaces = interfaces.map(|node| interface(node, source_dest_check)).collect::<Result<_, _>>()?;
    Ok((list.place.clone(), interfaces))
}

/// The source/destination check is the instance's, for all that it is launched with.
fn interface(node: &Node, source_dest_check: bool) -> Result<LaunchInterface, LabError> {
    let fields = Fields::of(node, "a network interface", INTERFACE)?;
    let device_index = fields.required("DeviceIndex")?.value("a device index such as 0")?;
    let delete = fields.optional("DeleteOnTermination").map(Node::boolean).transpose()?;
    if let Some(node) = fields.optional("NetworkInterfaceId") {
        if let Some(other) = OF_A_NEW_ONE.into_iter().find_map(|key| fields.optional(key)) {
            let keys = &["NetworkInterfaceId", "a new one's properties"];
            return Err(other.error(Wrong::OneOf { what: "a network interface".to_owned(), keys }));
        }
        let source = InterfaceSource::Existing(node.value("the id of a network interface")?);
        let delete_on_termination = delete.unwrap_or(false);
        return Ok(LaunchInterface { device_index, delete_on_termination, source });
    }
    let description = fields.optional("Description").map(|node| node.text("`Description`")).transpose()?;
    let interface = NewInterface {
        private_ip: fields.optional("PrivateIpAddress").map(Node::ipv4).transpose()?,
        groups: groups(&fields, "GroupSet")?,
        source_dest_check,
        description: description.unwrap_or_default().to_owned(),
        ipv6: ipv6_addresses(&fields)?,
        ..NewInterface::new(fields.required("SubnetId")?.value("the id of a subnet")?)
    };
    let associate_public_ip = fields.optional("AssociatePublicIpAddress").map(Node::boolean).transpose()?;
    Ok(LaunchInterface {
        device_index,
        delete_on_termination: delete.unwrap_or(true),
        source: InterfaceSource::New { interface, associate_public_ip },
    })
}

pub(super) fn groups(fields: &Fields<'_>, key: &'static str) -> Result<Vec<SecurityGroupId>, LabError> {
    fields.items(key)?.iter().map(|node| node.value("the id of a security group")).collect()
}

/// `family.size`; what an instance gets of it is not decided by a list here.
fn instance_type(node: &Node) -> Result<String, LabError> {
    let text = node.text("`InstanceType`")?;
    let word = |s: &str| {
        !s.is_empty() && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if text.split_once('.').is_some_and(|(family, size)| word(family) && word(size)) {
        return Ok(text.to_owned());
    }
    let expected = "an instance type such as t1.micro";
    Err(node.error(Wrong::Value { value: text.to_owned(), expected }))
}

/// CloudFormation takes user data in base64 only; `Fn::Base64` makes it.
fn user_data(node: &Node) -> Result<Vec<u8>, LabError> {
    let text = node.text("`UserData`")?;
    BASE64.decode(text).map_err(|_| {
        let value: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
        node.error(Wrong::Value { value, expected: "base64 (Fn::Base64 makes it)" })
    })
}

fn metadata_options(fields: &Fields<'_>) -> Result<MetadataOptions, LabError> {
    let mut options = MetadataOptions::default();
    let Some(node) = fields.optional("MetadataOptions") else { return Ok(options) };
    let fields = Fields::of(node, "`MetadataOptions`", METADATA_OPTIONS)?;
    if let Some(node) = fields.optional("HttpPutResponseHopLimit") {
        options.hop_limit = node.value("a number from 1 to 64")?;
    }
    if let Some(node) = fields.optional("HttpTokens") {
        options.tokens_required = match node.text("`HttpTokens`")? {
            "required" => true,
            "optional" => false,
            other => {
                let value = other.to_owned();
                return Err(node.error(Wrong::Value { value, expected: "optional or required" }));
            }
        };
    }
    Ok(options)
}
