//! One instance, as it is shown.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{ImageId, Instance, InstanceId, MetadataOptions, Region, StateReason, SubnetId, VpcId};
use serde::Serialize;

use super::ShownState;
use crate::ec2::Call;
use crate::ec2::action::image::{self, ROOT_DEVICE_NAME, ROOT_DEVICE_TYPE};
use crate::ec2::action::instance_type;
use crate::ec2::action::network_interface::{ShownInterface, shown_interface};
use crate::ec2::action::place::zone_id;
use crate::ec2::action::security_group::{Membership, memberships};
use crate::ec2::action::tag::{Tag, tag_set};
use crate::ec2::filter::Names;
use crate::ec2::time::Timestamp;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownInstance {
    instance_id: InstanceId,
    image_id: ImageId,
    instance_state: ShownState,
    private_dns_name: String,
    dns_name: String,
    reason: &'static str,
    state_reason: Option<ShownReason>,
    key_name: Option<String>,
    ami_launch_index: u32,
    client_token: String,
    product_codes: Vec<()>,
    instance_type: String,
    launch_time: Timestamp,
    placement: Placement,
    monitoring: Monitoring,
    subnet_id: Option<SubnetId>,
    vpc_id: Option<VpcId>,
    private_ip_address: Option<Ipv4Addr>,
    ip_address: Option<Ipv4Addr>,
    ipv6_address: Option<Ipv6Addr>,
    source_dest_check: Option<bool>,
    group_set: Vec<Membership>,
    architecture: String,
    root_device_type: &'static str,
    root_device_name: &'static str,
    block_device_mapping: Vec<()>,
    virtualization_type: &'static str,
    hypervisor: &'static str,
    platform_details: &'static str,
    usage_operation: &'static str,
    ebs_optimized: bool,
    ena_support: bool,
    tag_set: Vec<Tag>,
    network_interface_set: Vec<ShownInterface>,
    cpu_options: Option<CpuOptions>,
    hibernation_options: HibernationOptions,
    enclave_options: EnclaveOptions,
    metadata_options: ShownMetadataOptions,
}

#[derive(Serialize)]
struct ShownReason {
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Placement {
    availability_zone: Option<String>,
    availability_zone_id: Option<String>,
    group_name: &'static str,
    tenancy: &'static str,
}

#[derive(Serialize)]
struct Monitoring {
    state: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CpuOptions {
    core_count: u32,
    threads_per_core: u32,
}

#[derive(Serialize)]
struct HibernationOptions {
    configured: bool,
}

#[derive(Serialize)]
struct EnclaveOptions {
    enabled: bool,
}

/// How the metadata service answers an instance, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct ShownMetadataOptions {
    state: &'static str,
    http_tokens: &'static str,
    http_put_response_hop_limit: u8,
    http_endpoint: &'static str,
    http_protocol_ipv6: &'static str,
    instance_metadata_tags: &'static str,
}

pub(super) const FILTERS: &Names = &[
    ("architecture", "instance.architecture"),
    ("availability-zone", "instance.placement.availabilityZone"),
    ("availability-zone-id", "instance.placement.availabilityZoneId"),
    ("dns-name", "instance.dnsName"),
    ("ebs-optimized", "instance.ebsOptimized"),
    ("ena-support", "instance.enaSupport"),
    ("enclave-options.enabled", "instance.enclaveOptions.enabled"),
    ("group-id", "instance.groupSet.groupId"),
    ("group-name", "instance.groupSet.groupName"),
    ("hibernation-options.configured", "instance.hibernationOptions.configured"),
    ("client-token", "instance.clientToken"),
    ("hypervisor", "instance.hypervisor"),
    ("image-id", "instance.imageId"),
    ("instance-id", "instance.instanceId"),
    ("instance-lifecycle", "instance.instanceLifecycle"),
    ("instance-state-code", "instance.instanceState.code"),
    ("instance-state-name", "instance.instanceState.name"),
    ("instance-type", "instance.instanceType"),
    ("instance.group-id", "instance.groupSet.groupId"),
    ("instance.group-name", "instance.groupSet.groupName"),
    ("ip-address", "instance.ipAddress"),
    ("ipv6-address", "instance.ipv6Address"),
    ("key-name", "instance.keyName"),
    ("launch-index", "instance.amiLaunchIndex"),
    ("launch-time", "instance.launchTime"),
    ("metadata-options.http-endpoint", "instance.metadataOptions.httpEndpoint"),
    ("metadata-options.http-put-response-hop-limit", "instance.metadataOptions.httpPutResponseHopLimit"),
    ("metadata-options.http-tokens", "instance.metadataOptions.httpTokens"),
    ("metadata-options.state", "instance.metadataOptions.state"),
    ("monitoring-state", "instance.monitoring.state"),
    (
        "network-interface.addresses.association.allocation-id",
        "instance.networkInterfaceSet.privateIpAddressesSet.association.allocationId",
    ),
    (
        "network-interface.addresses.association.association-id",
        "instance.networkInterfaceSet.privateIpAddressesSet.association.associationId",
    ),
    (
        "network-interface.addresses.association.ip-owner-id",
        "instance.networkInterfaceSet.privateIpAddressesSet.association.ipOwnerId",
    ),
    (
        "network-interface.addresses.association.public-ip",
        "instance.networkInterfaceSet.privateIpAddressesSet.association.publicIp",
    ),
    ("network-interface.addresses.primary", "instance.networkInterfaceSet.privateIpAddressesSet.primary"),
    (
        "network-interface.addresses.private-ip-address",
        "instance.networkInterfaceSet.privateIpAddressesSet.privateIpAddress",
    ),
    ("network-interface.association.allocation-id", "instance.networkInterfaceSet.association.allocationId"),
    (
        "network-interface.association.association-id",
        "instance.networkInterfaceSet.association.associationId",
    ),
    ("network-interface.association.ip-owner-id", "instance.networkInterfaceSet.association.ipOwnerId"),
    ("network-interface.association.public-ip", "instance.networkInterfaceSet.association.publicIp"),
    ("network-interface.attachment.attachment-id", "instance.networkInterfaceSet.attachment.attachmentId"),
    (
        "network-interface.attachment.delete-on-termination",
        "instance.networkInterfaceSet.attachment.deleteOnTermination",
    ),
    ("network-interface.attachment.device-index", "instance.networkInterfaceSet.attachment.deviceIndex"),
    ("network-interface.attachment.instance-id", "instance.networkInterfaceSet.attachment.instanceId"),
    ("network-interface.attachment.status", "instance.networkInterfaceSet.attachment.status"),
    ("network-interface.availability-zone", "instance.networkInterfaceSet.availabilityZone"),
    ("network-interface.description", "instance.networkInterfaceSet.description"),
    ("network-interface.group-id", "instance.networkInterfaceSet.groupSet.groupId"),
    ("network-interface.group-name", "instance.networkInterfaceSet.groupSet.groupName"),
    (
        "network-interface.ipv6-addresses.ipv6-address",
        "instance.networkInterfaceSet.ipv6AddressesSet.ipv6Address",
    ),
    ("network-interface.mac-address", "instance.networkInterfaceSet.macAddress"),
    ("network-interface.network-interface-id", "instance.networkInterfaceSet.networkInterfaceId"),
    ("network-interface.owner-id", "instance.networkInterfaceSet.ownerId"),
    ("network-interface.private-dns-name", "instance.networkInterfaceSet.privateDnsName"),
    ("network-interface.private-ip-address", "instance.networkInterfaceSet.privateIpAddress"),
    ("network-interface.source-dest-check", "instance.networkInterfaceSet.sourceDestCheck"),
    ("network-interface.status", "instance.networkInterfaceSet.status"),
    ("network-interface.subnet-id", "instance.networkInterfaceSet.subnetId"),
    ("network-interface.vpc-id", "instance.networkInterfaceSet.vpcId"),
    ("owner-id", "ownerId"),
    ("platform", "instance.platform"),
    ("platform-details", "instance.platformDetails"),
    ("private-dns-name", "instance.privateDnsName"),
    ("private-ip-address", "instance.privateIpAddress"),
    ("product-code", "instance.productCodes.productCode"),
    ("reason", "instance.reason"),
    ("reservation-id", "reservationId"),
    ("root-device-name", "instance.rootDeviceName"),
    ("root-device-type", "instance.rootDeviceType"),
    ("source-dest-check", "instance.sourceDestCheck"),
    ("state-reason-code", "instance.stateReason.code"),
    ("state-reason-message", "instance.stateReason.message"),
    ("subnet-id", "instance.subnetId"),
    ("tag-key", "instance.tagSet.key"),
    ("tenancy", "instance.placement.tenancy"),
    ("usage-operation", "instance.usageOperation"),
    ("virtualization-type", "instance.virtualizationType"),
    ("vpc-id", "instance.vpcId"),
];

impl ShownInstance {
    /// An instance, as it is shown. A terminated one has no interfaces any more, and nothing that comes with them.
    pub(super) fn of(call: &Call<'_>, region: &Region, instance: &Instance) -> ShownInstance {
        let interfaces = instance.interfaces.iter().filter_map(|id| region.interfaces().get(id));
        let network_interface_set: Vec<_> =
            interfaces.map(|interface| shown_interface(region, interface).within_instance()).collect();
        let primary = instance.interfaces.first().and_then(|id| region.interfaces().get(id));
        let subnet = primary.and_then(|interface| region.subnets().get(&interface.subnet));
        let zone = subnet.map(|subnet| subnet.availability_zone.clone());
        let user_initiated = instance.state_reason == Some(StateReason::UserInitiatedShutdown);
        ShownInstance {
            instance_id: instance.id,
            image_id: instance.image,
            instance_state: instance.state.into(),
            private_dns_name: primary
                .map(|interface| region.private_dns_name(interface.private_ip))
                .unwrap_or_default(),
            dns_name: network_interface_set.first().map(ShownInterface::public_dns_name).unwrap_or_default(),
            reason: if user_initiated { "User initiated" } else { "" },
            state_reason: instance
                .state_reason
                .map(|reason| ShownReason { code: reason.code(), message: reason.to_string() }),
            key_name: instance.key_name.clone(),
            ami_launch_index: instance.launch_index,
            client_token: instance.client_token.clone().unwrap_or_default(),
            product_codes: Vec::new(),
            instance_type: instance.instance_type.clone(),
            launch_time: Timestamp(instance.launch_time),
            placement: Placement {
                availability_zone_id: zone.as_deref().map(zone_id),
                availability_zone: zone,
                group_name: "",
                tenancy: "default",
            },
            monitoring: Monitoring { state: "disabled" },
            subnet_id: primary.map(|interface| interface.subnet),
            vpc_id: primary.map(|interface| interface.vpc),
            private_ip_address: primary.map(|interface| interface.private_ip),
            ip_address: network_interface_set.first().and_then(ShownInterface::public_ip),
            ipv6_address: primary.and_then(|interface| interface.ipv6_addresses.first().copied()),
            source_dest_check: primary.map(|interface| interface.source_dest_check),
            group_set: primary.map(|interface| memberships(region, &interface.groups)).unwrap_or_default(),
            architecture: image::architecture(call).to_owned(),
            root_device_type: ROOT_DEVICE_TYPE,
            root_device_name: ROOT_DEVICE_NAME,
            block_device_mapping: Vec::new(),
            virtualization_type: "hvm",
            hypervisor: "xen",
            platform_details: "Linux/UNIX",
            usage_operation: "RunInstances",
            ebs_optimized: false,
            ena_support: true,
            tag_set: tag_set(&instance.tags),
            network_interface_set,
            cpu_options: instance_type::named(&instance.instance_type).map(|known| CpuOptions {
                core_count: known.cores,
                threads_per_core: known.threads_per_core,
            }),
            hibernation_options: HibernationOptions { configured: false },
            enclave_options: EnclaveOptions { enabled: false },
            metadata_options: instance.metadata.into(),
        }
    }
}

impl From<MetadataOptions> for ShownMetadataOptions {
    fn from(options: MetadataOptions) -> Self {
        ShownMetadataOptions {
            state: "applied",
            http_tokens: if options.tokens_required { "required" } else { "optional" },
            http_put_response_hop_limit: options.hop_limit,
            http_endpoint: "enabled",
            http_protocol_ipv6: "disabled",
            instance_metadata_tags: "disabled",
        }
    }
}
