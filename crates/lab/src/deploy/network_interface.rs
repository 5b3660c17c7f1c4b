//! Network interfaces of their own, and what ties them to instances.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use model::{
    Applied, AttachmentId, Change, InstanceId, InterfaceAttribute, InterfaceId, InterfaceSource,
    LaunchInterface, NewInterface, NewPrefixes, SecondaryAddresses,
};

use super::instance::groups;
use super::ipv6::ipv6_addresses;
use super::resources::Properties;
use super::update::Revision;
use super::{Maker, PhysicalId};
use crate::error::{LabError, TemplateFault};
use crate::template::expression::Expression;
use crate::yaml::{Fields, Node};

const ADDRESS: &[&str] = &["Primary", "PrivateIpAddress"];

impl Maker<'_> {
    pub(super) fn network_interface(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let subnet = fields.required("SubnetId")?;
        let (primary, secondary) = addresses(properties)?;
        let new = NewInterface {
            private_ip: primary,
            secondary,
            groups: groups(fields, "GroupSet")?,
            source_dest_check: fields.optional("SourceDestCheck").map_or(Ok(true), Node::boolean)?,
            description: description(fields)?,
            tags: properties.tags()?,
            ipv6: ipv6_addresses(fields)?,
            prefixes: prefixes(fields)?,
            ..NewInterface::new(subnet.value("the id of a subnet")?)
        };
        let place = fields.optional("PrivateIpAddress").unwrap_or(subnet).place.clone();
        match self.apply(properties, &place, Change::CreateNetworkInterface(new))? {
            Applied::Interface(id) => Ok(PhysicalId::Interface(id)),
            _ => unreachable!("CreateNetworkInterface gives an interface"),
        }
    }

    pub(super) fn update_network_interface(
        &mut self,
        interface: InterfaceId,
        revision: &Revision<'_>,
    ) -> Result<(), LabError> {
        let (fields, place) = (&revision.new.fields, &revision.new.resource.place);
        let modify = |attribute| Change::ModifyNetworkInterfaceAttribute { interface, attribute };
        if revision.changes("Description") {
            self.apply(&revision.new, place, modify(InterfaceAttribute::Description(description(fields)?)))?;
        }
        if revision.changes("GroupSet") {
            let groups = groups(fields, "GroupSet")?;
            self.apply(&revision.new, place, modify(InterfaceAttribute::Groups(groups)))?;
        }
        if revision.changes("SourceDestCheck") {
            let check = fields.optional("SourceDestCheck").map_or(Ok(true), Node::boolean)?;
            self.apply(&revision.new, place, modify(InterfaceAttribute::SourceDestCheck(check)))?;
        }
        Ok(())
    }

    /// The interface may be attached already, since the instance's launch.
    pub(super) fn interface_attachment(
        &mut self,
        properties: &Properties<'_>,
    ) -> Result<PhysicalId, LabError> {
        let node = properties.fields.required("NetworkInterfaceId")?;
        let wanted = Attachment::read(&properties.fields)?;
        let own = self.cloud.region().interfaces().get(&wanted.interface);
        let there = own.and_then(|own| own.attachment.as_ref()).filter(|attachment| {
            (attachment.instance, attachment.device_index) == (wanted.instance, wanted.device_index)
        });
        if let Some(attachment) = there {
            return Ok(PhysicalId::InterfaceAttachment(attachment.id));
        }
        let attach = Change::AttachNetworkInterface {
            interface: wanted.interface,
            instance: wanted.instance,
            device_index: wanted.device_index,
            time: self.cloud.time(),
        };
        let Applied::Attachment(id) = self.apply(properties, &node.place, attach)? else {
            unreachable!("AttachNetworkInterface gives an attachment")
        };
        self.delete_on_termination(id, properties)?;
        Ok(PhysicalId::InterfaceAttachment(id))
    }

    /// Whether the interface goes with its instance, which is all that can be changed about an attachment.
    pub(super) fn delete_on_termination(
        &mut self,
        attachment: AttachmentId,
        properties: &Properties<'_>,
    ) -> Result<(), LabError> {
        let wanted = Attachment::read(&properties.fields)?;
        let attribute = InterfaceAttribute::DeleteOnTermination { attachment, delete: wanted.delete };
        let change = Change::ModifyNetworkInterfaceAttribute { interface: wanted.interface, attribute };
        self.apply(properties, &properties.resource.place, change).map(drop)
    }

    /// The interfaces that other resources of the template attach to this one: EC2 attaches none to an instance that
    /// is pending, so it is launched with them.
    pub(super) fn attached_at_launch(
        &self,
        properties: &Properties<'_>,
    ) -> Result<Vec<LaunchInterface>, LabError> {
        let mut interfaces = Vec::new();
        for attachment in self.template.attachments_of(&properties.resource.logical) {
            let property = |key| attachment.properties.field(key);
            let resolve = |value: &Expression| value.resolve(&|target, place| self.get(target, place));
            let (Some(interface), Some(index)) = (property("NetworkInterfaceId"), property("DeviceIndex"))
            else {
                continue; // It will be refused itself.
            };
            let delete =
                property("DeleteOnTermination").map(|value| resolve(value)?.boolean()).transpose()?;
            interfaces.push(LaunchInterface {
                device_index: resolve(index)?.value(DEVICE_INDEX)?,
                delete_on_termination: delete.unwrap_or(true),
                source: InterfaceSource::Existing(resolve(interface)?.value(INTERFACE)?),
            });
        }
        Ok(interfaces)
    }
}

const DEVICE_INDEX: &str = "a device index such as 1";
const INTERFACE: &str = "the id of a network interface";

/// What is to be attached to what.
struct Attachment {
    interface: InterfaceId,
    instance: InstanceId,
    device_index: u32,
    delete: bool,
}

impl Attachment {
    fn read(fields: &Fields<'_>) -> Result<Self, LabError> {
        Ok(Self {
            interface: fields.required("NetworkInterfaceId")?.value(INTERFACE)?,
            instance: fields.required("InstanceId")?.value("the id of an instance")?,
            device_index: fields.required("DeviceIndex")?.value(DEVICE_INDEX)?,
            delete: fields.optional("DeleteOnTermination").map_or(Ok(true), Node::boolean)?,
        })
    }
}

fn description(fields: &Fields<'_>) -> Result<String, LabError> {
    let description = fields.optional("Description").map(|node| node.text("`Description`")).transpose()?;
    Ok(description.unwrap_or_default().to_owned())
}

/// The primary private address, if one is asked for, and the others.
fn addresses(properties: &Properties<'_>) -> Result<(Option<Ipv4Addr>, SecondaryAddresses), LabError> {
    let fields = &properties.fields;
    let mut primary = properties.optional_address("PrivateIpAddress")?;
    let mut others = Vec::new();
    for node in fields.items("PrivateIpAddresses")? {
        let entry = Fields::of(node, "a private address", ADDRESS)?;
        let address = entry.required("PrivateIpAddress")?.ipv4()?;
        match entry.required("Primary")?.boolean()? {
            false => others.push(address),
            true if primary.is_some_and(|primary| primary != address) => {
                let (property, value) = ("Primary", "true".to_owned());
                let why = "there is another primary address";
                return Err(node.error(TemplateFault::PropertyValue { property, value, why }));
            }
            true => primary = Some(address),
        }
    }
    let secondary = match fields.optional("SecondaryPrivateIpAddressCount") {
        Some(node) if others.is_empty() => SecondaryAddresses::Count(node.value("a number of addresses")?),
        Some(node) => {
            let (property, value) = ("SecondaryPrivateIpAddressCount", node.text("this")?.to_owned());
            let why = "the addresses are named";
            return Err(node.error(TemplateFault::PropertyValue { property, value, why }));
        }
        None if others.is_empty() => SecondaryAddresses::Count(0),
        None => SecondaryAddresses::These(others),
    };
    Ok((primary, secondary))
}

/// How the prefixes of a family are asked for.
struct PrefixKeys {
    count: &'static str,
    list: &'static str,
    entry: &'static [&'static str],
    /// What EC2 gives to no interface besides.
    addresses: [&'static str; 2],
}

const IPV4: PrefixKeys = PrefixKeys {
    count: "Ipv4PrefixCount",
    list: "Ipv4Prefixes",
    entry: &["Ipv4Prefix"],
    addresses: ["SecondaryPrivateIpAddressCount", "PrivateIpAddresses"],
};
const IPV6: PrefixKeys = PrefixKeys {
    count: "Ipv6PrefixCount",
    list: "Ipv6Prefixes",
    entry: &["Ipv6Prefix"],
    addresses: ["Ipv6AddressCount", "Ipv6Addresses"],
};

fn prefixes(fields: &Fields<'_>) -> Result<NewPrefixes, LabError> {
    let (ipv4_count, v4) = prefixes_of(fields, &IPV4, |node| {
        node.value::<Ipv4Net>("an IPv4 network such as 10.0.0.16/28").map(IpNet::V4)
    })?;
    let (ipv6_count, v6) = prefixes_of(fields, &IPV6, |node| {
        node.value::<Ipv6Net>("an IPv6 network such as 2001:db8:0:0:1::/80").map(IpNet::V6)
    })?;
    Ok(NewPrefixes { ipv4_count, ipv6_count, these: v4.into_iter().chain(v6).collect() })
}

/// How many prefixes of a family, and which.
fn prefixes_of(
    fields: &Fields<'_>,
    keys: &PrefixKeys,
    read: fn(&Node) -> Result<IpNet, LabError>,
) -> Result<(u32, Vec<IpNet>), LabError> {
    let (counted, listed) = (fields.optional(keys.count), fields.optional(keys.list));
    let mut others = keys.addresses.into_iter().chain(counted.map(|_| keys.list));
    if counted.or(listed).is_some()
        && let Some((property, node)) = others.find_map(|key| Some((key, fields.optional(key)?)))
    {
        let (value, why) = ("…".to_owned(), "prefixes, or their number, are asked for");
        return Err(node.error(TemplateFault::PropertyValue { property, value, why }));
    }
    let entry = |node: &Node| {
        let fields = Fields::of(node, "a prefix", keys.entry)?;
        read(fields.required(keys.entry[0])?)
    };
    let count = counted.map(|node| node.value("a number of prefixes")).transpose()?;
    let these = fields.items(keys.list)?.iter().map(entry).collect::<Result<_, _>>()?;
    Ok((count.unwrap_or_default(), these))
}
