//! Launching instances.

use std::net::Ipv4Addr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{
    Applied, Change, Fault, ImageId, InstanceId, InterfaceId, InterfaceSource, Launch, LaunchInterface,
    MetadataOptions, NewInterface, NewPrefixes, Region, ReservationId, SecondaryAddresses, SecurityGroupId,
    SubnetId, Tags,
};
use serde::Deserialize;

use super::default_vpc::subnet_or_default;
use super::instance::Reservation;
use super::ipv6_address::{NewIpv6Address, new_addresses};
use super::network_interface::{ConnectionTrackingSpecification, NewAddress, addresses};
use super::prefix::{NewIpv4Prefix, NewIpv6Prefix, new_prefixes};
use super::tag::{TagSpecification, tags_for_launch};
use super::{Action, image, instance_type};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::ec2::time::now;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RunInstances {
    image_id: ImageId,
    min_count: u32,
    max_count: u32,
    instance_type: Option<String>,
    key_name: Option<String>,
    subnet_id: Option<SubnetId>,
    private_ip_address: Option<Ipv4Addr>,
    ipv6_address_count: Option<u32>,
    #[serde(default)]
    ipv6_address: Vec<NewIpv6Address>,
    #[serde(default)]
    security_group_id: Vec<SecurityGroupId>,
    #[serde(default)]
    network_interface: Vec<InterfaceSpecification>,
    user_data: Option<String>,
    metadata_options: Option<NewMetadataOptions>,
    #[serde(default)]
    disable_api_termination: bool,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InterfaceSpecification {
    device_index: u32,
    network_interface_id: Option<InterfaceId>,
    subnet_id: Option<SubnetId>,
    description: Option<String>,
    #[serde(default)]
    security_group_id: Vec<SecurityGroupId>,
    private_ip_address: Option<Ipv4Addr>,
    #[serde(default)]
    private_ip_addresses: Vec<NewAddress>,
    secondary_private_ip_address_count: Option<u32>,
    ipv6_address_count: Option<u32>,
    #[serde(default)]
    ipv6_addresses: Vec<NewIpv6Address>,
    ipv4_prefix_count: Option<u32>,
    #[serde(default)]
    ipv4_prefix: Vec<NewIpv4Prefix>,
    ipv6_prefix_count: Option<u32>,
    #[serde(default)]
    ipv6_prefix: Vec<NewIpv6Prefix>,
    connection_tracking_specification: Option<ConnectionTrackingSpecification>,
    delete_on_termination: Option<bool>,
    associate_public_ip_address: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewMetadataOptions {
    http_tokens: Option<HttpTokens>,
    http_put_response_hop_limit: Option<u8>,
}

/// Whether the metadata service asks for tokens.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum HttpTokens {
    Optional,
    Required,
}

/// What of the metadata service cannot be chosen.
pub(super) const METADATA_LIMITS: &[Limit] = &[
    ("HttpEndpoint", &["enabled"]),
    ("HttpProtocolIpv6", &["disabled"]),
    ("InstanceMetadataTags", &["disabled"]),
];

/// The type of instances for which none is asked.
const DEFAULT_TYPE: &str = "m1.small";
/// More than anybody launches at once; keeps a request from filling the memory.
const MOST: u32 = 1000;

impl Action for RunInstances {
    const LIMITS: &'static [Limit] = &[
        ("AdditionalInfo", &[]),
        ("BlockDeviceMapping", &[]),
        ("CapacityReservationSpecification.CapacityReservationPreference", &["none", "open"]),
        ("CapacityReservationSpecification", &[]),
        ("CpuOptions", &[]),
        ("CreditSpecification", &[]),
        ("DisableApiStop", &["false"]),
        ("EbsOptimized", &["false"]),
        ("ElasticGpuSpecification", &[]),
        ("ElasticInferenceAccelerator", &[]),
        ("EnablePrimaryIpv6", &["false"]),
        ("EnclaveOptions.Enabled", &["false"]),
        ("HibernationOptions.Configured", &["false"]),
        ("IamInstanceProfile", &[]),
        ("InstanceInitiatedShutdownBehavior", &["stop"]),
        ("InstanceMarketOptions", &[]),
        ("Ipv6Address.N.IsPrimaryIpv6", &["false"]),
        ("KernelId", &[]),
        ("LaunchTemplate", &[]),
        ("LicenseSpecification", &[]),
        ("MaintenanceOptions.AutoRecovery", &["default", "disabled"]),
        ("MetadataOptions.HttpEndpoint", &["enabled"]),
        ("MetadataOptions.HttpProtocolIpv6", &["disabled"]),
        ("MetadataOptions.InstanceMetadataTags", &["disabled"]),
        ("Monitoring.Enabled", &["false"]),
        ("Monitoring.MetricCategoryId", &[]),
        ("NetworkInterface.N.AssociateCarrierIpAddress", &["false"]),
        ("NetworkInterface.N.EnaQueueCount", &[]),
        ("NetworkInterface.N.EnaSrdSpecification", &[]),
        ("NetworkInterface.N.InterfaceType", &["interface"]),
        ("NetworkInterface.N.Ipv6Addresses.N.IsPrimaryIpv6", &["false"]),
        ("NetworkInterface.N.NetworkCardIndex", &["0"]),
        ("NetworkInterface.N.PrimaryIpv6", &["false"]),
        ("NetworkPerformanceOptions.BandwidthWeighting", &["default"]),
        ("Operator", &[]),
        ("Placement.Tenancy", &["default"]),
        ("Placement", &[]),
        ("PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord", &["false"]),
        ("PrivateDnsNameOptions.EnableResourceNameDnsARecord", &["false"]),
        ("PrivateDnsNameOptions.HostnameType", &["ip-name"]),
        ("RamdiskId", &[]),
        ("SecondaryInterface", &[]),
        ("SecurityGroup", &[]),
    ];
    const TAKES_TOKEN: bool = true;
    type Answer = Reservation;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<Reservation, Error> {
        let (fewest, most) = (self.min_count, self.max_count);
        if fewest == 0 || most < fewest || most > MOST {
            return Err(Error::InvalidValue {
                value: format!("{fewest}, {most}"),
                name: "MinCount, MaxCount".to_owned(),
                reason: format!("Expecting 1 to {MOST} instances, and no more at least than at most."),
            });
        }
        let launch = self.launch(call, token.as_ref())?;
        let (pool, image) =
            (call.pool(), Some(launch.image).filter(|image| !image::is_declared(call, *image)));
        let (reservation, instances): (ReservationId, Vec<InstanceId>) =
            call.commit_once(token, move |transaction| {
                // It may have been deregistered just now.
                if let Some(image) = image.filter(|image| !transaction.region().images().contains_key(image))
                {
                    return Err(Fault::ImageNotFound(image).into());
                }
                let mut count = most;
                if transaction.region().associates_public_ip(&launch)? {
                    count = pool.count(transaction, most).max(fewest);
                }
                loop {
                    match transaction.apply(Change::RunInstances(Launch { count, ..launch.clone() })) {
                        Ok(Applied::Instances { reservation, instances }) => {
                            for &instance in &instances {
                                pool.serve_instance(transaction, instance)?;
                            }
                            return Ok((reservation, instances));
                        }
                        Ok(_) => return Err(Error::Unexpected),
                        // As many as there is room for.
                        Err(Fault::InsufficientFreeAddresses(_) | Fault::InsufficientCidrBlocks(_))
                            if count > fewest =>
                        {
                            count -= 1;
                        }
                        Err(fault) => return Err(fault.into()),
                    }
                }
            })?;
        Ok(Reservation::of(call, &call.region(), reservation, &instances))
    }
}

impl RunInstances {
    /// The launch that is asked for, of one instance.
    fn launch(self, call: &Call<'_>, token: Option<&ClientToken>) -> Result<Launch, Error> {
        image::check(call, &call.region(), self.image_id)?;
        let instance_type = self.instance_type.unwrap_or_else(|| DEFAULT_TYPE.to_owned());
        instance_type::find(&instance_type)?;
        let [tags, tags_of_interfaces] = tags_for_launch(self.tag_specification)?;
        let interfaces = if self.network_interface.is_empty() {
            let subnet = subnet_or_default(self.subnet_id, &call.region())?;
            let new = NewInterface {
                private_ip: self.private_ip_address,
                groups: self.security_group_id,
                tags: tags_of_interfaces,
                ipv6: new_addresses(self.ipv6_address_count, self.ipv6_address)?,
                ..NewInterface::new(subnet)
            };
            vec![LaunchInterface { device_index: 0, delete_on_termination: true, source: new.into() }]
        } else {
            if self.subnet_id.is_some()
                || self.private_ip_address.is_some()
                || self.ipv6_address_count.is_some()
                || !self.ipv6_address.is_empty()
                || !self.security_group_id.is_empty()
            {
                return Err(Error::Combination(
                    "Network interfaces and an instance-level subnet ID, address or security groups may not be \
                     specified on the same request.",
                ));
            }
            let specified = self.network_interface.into_iter();
            let region = call.region();
            specified
                .map(|interface| interface.launched(&tags_of_interfaces, &region))
                .collect::<Result<_, _>>()?
        };
        let defaults = MetadataOptions::default();
        let metadata = self.metadata_options.map_or(defaults, |options| MetadataOptions {
            hop_limit: options.http_put_response_hop_limit.unwrap_or(defaults.hop_limit),
            tokens_required: options.http_tokens.map_or(defaults.tokens_required, HttpTokens::required),
        });
        Ok(Launch {
            count: 1,
            image: self.image_id,
            instance_type,
            interfaces,
            key_name: self.key_name,
            user_data: self.user_data.as_deref().map(user_data).transpose()?.flatten(),
            metadata,
            disable_api_termination: self.disable_api_termination,
            time: now(),
            client_token: token.map(|token| token.token.clone()),
            tags,
        })
    }
}

impl InterfaceSpecification {
    fn launched(self, tags: &Tags, region: &Region) -> Result<LaunchInterface, Error> {
        let (private_ip, secondary) = addresses(
            self.private_ip_address,
            self.private_ip_addresses,
            self.secondary_private_ip_address_count,
        )?;
        let ipv6 = new_addresses(self.ipv6_address_count, self.ipv6_addresses)?;
        let prefixes = new_prefixes(
            (self.ipv4_prefix_count, self.ipv4_prefix),
            (self.ipv6_prefix_count, self.ipv6_prefix),
            [secondary.is_some(), ipv6.is_some()],
        )?;
        let source = match (self.network_interface_id, self.subnet_id) {
            (None, asked) => InterfaceSource::New {
                interface: NewInterface {
                    private_ip,
                    secondary: secondary.unwrap_or(SecondaryAddresses::Count(0)),
                    groups: self.security_group_id,
                    description: self.description.unwrap_or_default(),
                    tags: tags.clone(),
                    ipv6,
                    prefixes,
                    connection_tracking: ConnectionTrackingSpecification::of_new(
                        self.connection_tracking_specification,
                    ),
                    ..NewInterface::new(subnet_or_default(asked, region)?)
                },
                associate_public_ip: self.associate_public_ip_address,
            },
            (Some(interface), None)
                if self.security_group_id.is_empty()
                    && private_ip.is_none()
                    && secondary.is_none()
                    && ipv6.is_none()
                    && prefixes == NewPrefixes::default()
                    && self.associate_public_ip_address.is_none() =>
            {
                InterfaceSource::Existing(interface)
            }
            (Some(_), _) => {
                return Err(Error::Combination(
                    "A network interface may not specify both a network interface ID and a subnet, address, public \
                     address or security groups.",
                ));
            }
        };
        let is_new = matches!(source, InterfaceSource::New { .. });
        Ok(LaunchInterface {
            device_index: self.device_index,
            delete_on_termination: self.delete_on_termination.unwrap_or(is_new),
            source,
        })
    }
}

impl HttpTokens {
    pub(super) fn required(self) -> bool {
        matches!(self, HttpTokens::Required)
    }
}

/// User data, which requests give in base64. None of it is the same as an empty one.
pub(super) fn user_data(text: &str) -> Result<Option<Vec<u8>>, Error> {
    let text: String = text.split_ascii_whitespace().collect();
    let data = STANDARD.decode(&text).map_err(|_| Error::InvalidValue {
        value: text,
        name: "UserData".to_owned(),
        reason: "Invalid BASE64 encoding of user data".to_owned(),
    })?;
    Ok(Some(data).filter(|data| !data.is_empty()))
}
