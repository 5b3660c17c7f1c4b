//! Subnets.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{AddressFamily, Applied, Change, Fault, Region, Subnet, SubnetId, SubnetIpv6Attribute, VpcId};
use serde::{Deserialize, Serialize};

use super::place::{zone_id, zone_of};
use super::subnet_cidr::{ShownIpv6Cidr, shown_cidr};
use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, DONE, Describe, Done, Given, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSubnet {
    vpc_id: VpcId,
    cidr_block: Ipv4Net,
    ipv6_cidr_block: Option<Ipv6Net>,
    availability_zone: Option<String>,
    availability_zone_id: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
pub(super) struct CreateSubnetAnswer {
    subnet: ShownSubnet,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSubnets {
    #[serde(default)]
    subnet_id: Vec<SubnetId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSubnet {
    subnet_id: SubnetId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModifySubnetAttribute {
    subnet_id: SubnetId,
    map_public_ip_on_launch: Option<Given<bool>>,
    assign_ipv6_address_on_creation: Option<Given<bool>>,
    enable_dns64: Option<Given<bool>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownSubnet {
    subnet_id: SubnetId,
    subnet_arn: String,
    vpc_id: VpcId,
    owner_id: String,
    state: &'static str,
    cidr_block: Ipv4Net,
    available_ip_address_count: u64,
    availability_zone: String,
    availability_zone_id: String,
    default_for_az: bool,
    map_public_ip_on_launch: bool,
    map_customer_owned_ip_on_launch: bool,
    assign_ipv6_address_on_creation: bool,
    ipv6_native: bool,
    enable_dns64: bool,
    ipv6_cidr_block_association_set: Vec<ShownIpv6Cidr>,
    private_dns_name_options_on_launch: PrivateDnsNameOptions,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PrivateDnsNameOptions {
    hostname_type: &'static str,
    enable_resource_name_dns_a_record: bool,
    #[serde(rename = "enableResourceNameDnsAAAARecord")]
    enable_resource_name_dns_aaaa_record: bool,
}

const FILTERS: &Names = &[
    ("availability-zone", "availabilityZone"),
    ("availability-zone-id", "availabilityZoneId"),
    ("availabilityZone", "availabilityZone"),
    ("available-ip-address-count", "availableIpAddressCount"),
    ("cidr", "cidrBlock"),
    ("cidr-block", "cidrBlock"),
    ("cidrBlock", "cidrBlock"),
    ("default-for-az", "defaultForAz"),
    ("defaultForAz", "defaultForAz"),
    ("enable-dns64", "enableDns64"),
    ("ipv6-cidr-block-association.association-id", "ipv6CidrBlockAssociationSet.associationId"),
    ("ipv6-cidr-block-association.ipv6-cidr-block", "ipv6CidrBlockAssociationSet.ipv6CidrBlock"),
    ("ipv6-cidr-block-association.state", "ipv6CidrBlockAssociationSet.ipv6CidrBlockState.state"),
    ("ipv6-native", "ipv6Native"),
    ("map-customer-owned-ip-on-launch", "mapCustomerOwnedIpOnLaunch"),
    ("map-public-ip-on-launch", "mapPublicIpOnLaunch"),
    ("owner-id", "ownerId"),
    ("state", "state"),
    ("subnet-arn", "subnetArn"),
    ("subnet-id", "subnetId"),
    ("tag-key", "tagSet.key"),
    ("vpc-id", "vpcId"),
];

impl Action for CreateSubnet {
    const LIMITS: &'static [Limit] = &[
        ("Ipv4IpamPoolId", &[]),
        ("Ipv4NetmaskLength", &[]),
        ("Ipv6IpamPoolId", &[]),
        ("Ipv6Native", &["false"]),
        ("Ipv6NetmaskLength", &[]),
        ("OutpostArn", &[]),
    ];
    type Answer = CreateSubnetAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<CreateSubnetAnswer, Error> {
        let tags = tags_for("subnet", self.tag_specification)?;
        let availability_zone = match (self.availability_zone, self.availability_zone_id) {
            (Some(_), Some(_)) => {
                return Err(Error::Combination("Give an availability zone or its id, not both."));
            }
            (zone, None) => zone,
            (None, Some(id)) => Some(zone_of(&call.key.region, &id)?),
        };
        let create =
            Change::CreateSubnet { vpc: self.vpc_id, cidr: self.cidr_block, availability_zone, tags };
        call.commit(move |transaction| {
            let Applied::Subnet(id) = transaction.apply(create)? else { return Err(Error::Unexpected) };
            if let Some(cidr) = self.ipv6_cidr_block {
                transaction.apply(Change::AssociateSubnetCidrBlock { subnet: id, cidr })?;
            }
            let region = transaction.region();
            let subnet = region.subnets().get(&id).ok_or(Error::Unexpected)?;
            Ok(CreateSubnetAnswer { subnet: shown(region, subnet) })
        })
    }
}

impl Describe for DescribeSubnets {
    const SET: &'static str = "subnetSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownSubnet;

    fn by_id(&self) -> bool {
        !self.subnet_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownSubnet)>, Error> {
        let region = call.region();
        let subnets = pick(&self.subnet_id, region.subnets(), Fault::SubnetNotFound)?;
        Ok(subnets.into_iter().map(|subnet| (subnet.id.to_string(), shown(&region, subnet))).collect())
    }
}

impl Action for DeleteSubnet {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DeleteSubnet { subnet: self.subnet_id })?;
        Ok(DONE)
    }
}

impl Action for ModifySubnetAttribute {
    const LIMITS: &'static [Limit] = &[
        ("CustomerOwnedIpv4Pool", &[]),
        ("DisableLniAtDeviceIndex", &[]),
        ("EnableLniAtDeviceIndex", &[]),
        ("EnableResourceNameDnsAAAARecordOnLaunch", &[]),
        ("EnableResourceNameDnsARecordOnLaunch", &[]),
        ("MapCustomerOwnedIpOnLaunch", &[]),
        ("PrivateDnsHostnameTypeOnLaunch", &[]),
    ];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let subnet = self.subnet_id;
        let asked = (self.map_public_ip_on_launch, self.assign_ipv6_address_on_creation, self.enable_dns64);
        let change = match asked {
            (Some(Given { value: map_public_ip_on_launch }), None, None) => {
                Change::ModifySubnetAttribute { subnet, map_public_ip_on_launch }
            }
            (None, Some(Given { value }), None) => {
                let attribute = SubnetIpv6Attribute::AssignAddressOnCreation(value);
                Change::ModifySubnetIpv6Attribute { subnet, attribute }
            }
            (None, None, Some(Given { value })) => {
                let attribute = SubnetIpv6Attribute::EnableDns64(value);
                Change::ModifySubnetIpv6Attribute { subnet, attribute }
            }
            (None, None, None) => return Err(Error::Combination("No attributes specified.")),
            _ => return Err(Error::Combination("Fields for multiple attribute types specified.")),
        };
        call.apply(change)?;
        Ok(DONE)
    }
}

/// A subnet, as it is shown.
pub(super) fn shown(region: &Region, subnet: &Subnet) -> ShownSubnet {
    let key = region.key();
    let inside = region.interfaces().values().filter(|interface| interface.subnet == subnet.id);
    // Those that are only reserved are not used.
    let used = inside.map(|interface| {
        let prefixes = interface.prefixes_of(AddressFamily::Ipv4);
        let of_prefixes = prefixes.map(|prefix| size(prefix.max_prefix_len() - prefix.prefix_len()));
        interface.addresses().count() as u64 + of_prefixes.sum::<u64>()
    });
    let taken = subnet.reserved().len() as u64 + used.sum::<u64>();
    ShownSubnet {
        subnet_id: subnet.id,
        subnet_arn: format!("arn:aws:ec2:{}:{}:subnet/{}", key.region.0, key.account.0, subnet.id),
        vpc_id: subnet.vpc,
        owner_id: key.account.0.clone(),
        state: "available",
        cidr_block: subnet.cidr,
        available_ip_address_count: size(32 - subnet.cidr.prefix_len()).saturating_sub(taken),
        availability_zone: subnet.availability_zone.clone(),
        availability_zone_id: zone_id(&subnet.availability_zone),
        default_for_az: subnet.default_for_az,
        map_public_ip_on_launch: subnet.map_public_ip_on_launch,
        map_customer_owned_ip_on_launch: false,
        assign_ipv6_address_on_creation: subnet.assign_ipv6_address_on_creation,
        ipv6_native: false,
        enable_dns64: subnet.enable_dns64,
        ipv6_cidr_block_association_set: subnet
            .ipv6
            .map(|block| shown_cidr(block, "associated"))
            .into_iter()
            .collect(),
        private_dns_name_options_on_launch: PrivateDnsNameOptions {
            hostname_type: "ip-name",
            enable_resource_name_dns_a_record: false,
            enable_resource_name_dns_aaaa_record: false,
        },
        tag_set: tag_set(&subnet.tags),
    }
}

/// How many addresses a block has, by the length of its host part.
fn size(host_bits: u8) -> u64 {
    1 << host_bits
}
