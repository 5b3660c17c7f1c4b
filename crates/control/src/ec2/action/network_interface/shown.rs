//! Network interfaces, as they are shown.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{
    AddressFamily, AllocationId, AssociationId, Attachment, AttachmentId, InstanceId, InterfaceId,
    InterfaceKind, NetworkInterface, Region, SubnetId, VpcId,
};
use serde::Serialize;

use super::connection_tracking::ShownConnectionTracking;
use crate::ec2::action::place::zone_id;
use crate::ec2::action::prefix::{ShownIpv4Prefix, ShownIpv6Prefix, shown_ipv4, shown_ipv6};
use crate::ec2::action::security_group::{Membership, memberships};
use crate::ec2::action::tag::{Tag, tag_set};
use crate::ec2::filter::{Findable, Names};
use crate::ec2::time::Timestamp;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct ShownInterface {
    network_interface_id: InterfaceId,
    subnet_id: SubnetId,
    vpc_id: VpcId,
    availability_zone: Findable<Option<String>>,
    availability_zone_id: Findable<Option<String>>,
    description: String,
    owner_id: String,
    requester_managed: Findable<bool>,
    status: &'static str,
    interface_type: &'static str,
    mac_address: String,
    private_ip_address: Ipv4Addr,
    private_dns_name: String,
    source_dest_check: bool,
    group_set: Vec<Membership>,
    attachment: Option<ShownAttachment>,
    association: Option<ShownAssociation>,
    private_ip_addresses_set: Vec<ShownPrivateAddress>,
    ipv6_addresses_set: Vec<ShownIpv6Address>,
    ipv4_prefix_set: Vec<ShownIpv4Prefix>,
    ipv6_prefix_set: Vec<ShownIpv6Prefix>,
    connection_tracking_configuration: Option<ShownConnectionTracking>,
    tag_set: Findable<Vec<Tag>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct ShownAttachment {
    attachment_id: AttachmentId,
    instance_id: Findable<InstanceId>,
    instance_owner_id: Findable<String>,
    device_index: u32,
    network_card_index: u32,
    status: &'static str,
    attach_time: Timestamp,
    delete_on_termination: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownAssociation {
    public_ip: Ipv4Addr,
    public_dns_name: String,
    ip_owner_id: String,
    /// That of an Elastic IP address.
    allocation_id: Findable<Option<AllocationId>>,
    association_id: Findable<Option<AssociationId>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownPrivateAddress {
    private_ip_address: Ipv4Addr,
    private_dns_name: String,
    primary: bool,
    association: Option<ShownAssociation>,
}

/// The owner of public addresses that are no Elastic IP addresses.
const EC2: &str = "amazon";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownIpv6Address {
    ipv6_address: Ipv6Addr,
    is_primary_ipv6: bool,
}

pub(super) const FILTERS: &Names = &[
    ("addresses.association.owner-id", "privateIpAddressesSet.association.ipOwnerId"),
    ("addresses.association.public-ip", "privateIpAddressesSet.association.publicIp"),
    ("addresses.primary", "privateIpAddressesSet.primary"),
    ("addresses.private-ip-address", "privateIpAddressesSet.privateIpAddress"),
    ("association.allocation-id", "association.allocationId"),
    ("association.association-id", "association.associationId"),
    ("association.ip-owner-id", "association.ipOwnerId"),
    ("association.public-dns-name", "association.publicDnsName"),
    ("association.public-ip", "association.publicIp"),
    ("attachment.attach-time", "attachment.attachTime"),
    ("attachment.attachment-id", "attachment.attachmentId"),
    ("attachment.delete-on-termination", "attachment.deleteOnTermination"),
    ("attachment.device-index", "attachment.deviceIndex"),
    ("attachment.instance-id", "attachment.instanceId"),
    ("attachment.instance-owner-id", "attachment.instanceOwnerId"),
    ("attachment.status", "attachment.status"),
    ("availability-zone", "availabilityZone"),
    ("availability-zone-id", "availabilityZoneId"),
    ("description", "description"),
    ("group-id", "groupSet.groupId"),
    ("group-name", "groupSet.groupName"),
    ("interface-type", "interfaceType"),
    ("ipv6-addresses.ipv6-address", "ipv6AddressesSet.ipv6Address"),
    ("mac-address", "macAddress"),
    ("network-interface-id", "networkInterfaceId"),
    ("owner-id", "ownerId"),
    ("private-dns-name", "privateDnsName"),
    ("private-ip-address", "privateIpAddress"),
    ("requester-id", "requesterId"),
    ("requester-managed", "requesterManaged"),
    ("source-dest-check", "sourceDestCheck"),
    ("status", "status"),
    ("subnet-id", "subnetId"),
    ("tag-key", "tagSet.key"),
    ("vpc-id", "vpcId"),
];

/// An interface, as it is shown.
pub(in crate::ec2::action) fn shown_interface(
    region: &Region,
    interface: &NetworkInterface,
) -> ShownInterface {
    let account = &region.key().account.0;
    let of_gateway = interface.kind == InterfaceKind::NatGateway;
    let zone = region.subnets().get(&interface.subnet).map(|subnet| subnet.availability_zone.clone());
    let addresses = interface.addresses().map(|address| ShownPrivateAddress {
        private_ip_address: address,
        private_dns_name: region.private_dns_name(address),
        primary: address == interface.private_ip,
        association: association(region, interface.id, address),
    });
    ShownInterface {
        network_interface_id: interface.id,
        subnet_id: interface.subnet,
        vpc_id: interface.vpc,
        availability_zone_id: zone.as_deref().map(zone_id).into(),
        availability_zone: zone.into(),
        description: interface.description.clone(),
        owner_id: account.clone(),
        requester_managed: of_gateway.into(),
        status: if of_gateway || interface.attachment.is_some() { "in-use" } else { "available" },
        interface_type: if of_gateway { "nat_gateway" } else { "interface" },
        mac_address: interface.mac.to_string(),
        private_ip_address: interface.private_ip,
        private_dns_name: region.private_dns_name(interface.private_ip),
        source_dest_check: interface.source_dest_check,
        group_set: memberships(region, &interface.groups),
        attachment: interface.attachment.as_ref().map(|attachment| ShownAttachment::of(region, attachment)),
        association: association(region, interface.id, interface.private_ip),
        private_ip_addresses_set: addresses.collect(),
        ipv6_addresses_set: interface
            .ipv6_addresses
            .iter()
            .map(|&ipv6_address| ShownIpv6Address { ipv6_address, is_primary_ipv6: false })
            .collect(),
        ipv4_prefix_set: shown_ipv4(interface.prefixes_of(AddressFamily::Ipv4)),
        ipv6_prefix_set: shown_ipv6(interface),
        connection_tracking_configuration: ShownConnectionTracking::of(interface.connection_tracking),
        tag_set: tag_set(&interface.tags).into(),
    }
}

impl ShownInterface {
    /// The public address that its primary one is mapped to.
    pub(in crate::ec2::action) fn public_ip(&self) -> Option<Ipv4Addr> {
        self.association.as_ref().map(|association| association.public_ip)
    }

    /// As a part of its instance: EC2 shows less of it there, but finds instances by all of it.
    pub(in crate::ec2::action) fn within_instance(mut self) -> Self {
        self.availability_zone.hide();
        self.availability_zone_id.hide();
        self.requester_managed.hide();
        self.tag_set.hide();
        if let Some(attachment) = &mut self.attachment {
            attachment.instance_id.hide();
            attachment.instance_owner_id.hide();
        }
        let of_addresses =
            self.private_ip_addresses_set.iter_mut().flat_map(|address| &mut address.association);
        for association in self.association.iter_mut().chain(of_addresses) {
            association.allocation_id.hide();
            association.association_id.hide();
        }
        self
    }

    /// The public DNS name of its primary address; empty if it has none.
    pub(in crate::ec2::action) fn public_dns_name(&self) -> String {
        self.association.as_ref().map(|association| association.public_dns_name.clone()).unwrap_or_default()
    }
}

impl ShownAttachment {
    /// An attachment, as it is shown.
    pub(in crate::ec2::action) fn of(region: &Region, attachment: &Attachment) -> ShownAttachment {
        ShownAttachment {
            attachment_id: attachment.id,
            instance_id: attachment.instance.into(),
            instance_owner_id: region.key().account.0.clone().into(),
            device_index: attachment.device_index,
            network_card_index: 0,
            status: "attached",
            attach_time: Timestamp(attachment.time),
            delete_on_termination: attachment.delete_on_termination,
        }
    }
}

fn association(region: &Region, interface: InterfaceId, private_ip: Ipv4Addr) -> Option<ShownAssociation> {
    let public_ip = region.public_address_of(interface, private_ip)?;
    let elastic = region.addresses().values().find(|address| address.public_ip == public_ip);
    let ip_owner_id = elastic.map_or(EC2, |_| &region.key().account.0);
    Some(ShownAssociation {
        public_ip,
        public_dns_name: region.public_dns_name(interface, public_ip).unwrap_or_default(),
        ip_owner_id: ip_owner_id.to_owned(),
        allocation_id: elastic.map(|address| address.allocation).into(),
        association_id: elastic.and_then(|address| Some(address.association.as_ref()?.id)).into(),
    })
}
