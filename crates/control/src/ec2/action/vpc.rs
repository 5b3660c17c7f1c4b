//! VPCs.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{Applied, Change, CidrAssociation, Fault, Region, Vpc, VpcAttribute, VpcId, VpcIpv6CidrBlock};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, DONE, Describe, Done, Given, Shown, StateOf, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateVpc {
    cidr_block: Ipv4Net,
    #[serde(default)]
    amazon_provided_ipv6_cidr_block: bool,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
pub(super) struct CreateVpcAnswer {
    vpc: ShownVpc,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeVpcs {
    #[serde(default)]
    vpc_id: Vec<VpcId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteVpc {
    vpc_id: VpcId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeVpcAttribute {
    vpc_id: VpcId,
    attribute: AttributeName,
}

#[derive(Deserialize, PartialEq)]
enum AttributeName {
    #[serde(rename = "enableDnsSupport")]
    DnsSupport,
    #[serde(rename = "enableDnsHostnames")]
    DnsHostnames,
    #[serde(rename = "enableNetworkAddressUsageMetrics")]
    NetworkAddressUsageMetrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeVpcAttributeAnswer {
    vpc_id: VpcId,
    enable_dns_support: Option<Shown<bool>>,
    enable_dns_hostnames: Option<Shown<bool>>,
    enable_network_address_usage_metrics: Option<Shown<bool>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModifyVpcAttribute {
    vpc_id: VpcId,
    enable_dns_support: Option<Given<bool>>,
    enable_dns_hostnames: Option<Given<bool>>,
    enable_network_address_usage_metrics: Option<Given<bool>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownVpc {
    vpc_id: VpcId,
    owner_id: String,
    state: &'static str,
    cidr_block: Ipv4Net,
    cidr_block_association_set: Vec<ShownCidr>,
    ipv6_cidr_block_association_set: Vec<ShownIpv6Cidr>,
    dhcp_options_id: String,
    instance_tenancy: &'static str,
    is_default: bool,
    tag_set: Vec<Tag>,
}

/// A CIDR block of a VPC, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownCidr {
    association_id: model::VpcCidrAssociationId,
    cidr_block: Ipv4Net,
    cidr_block_state: StateOf,
}

/// An IPv6 CIDR block of a VPC, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownIpv6Cidr {
    association_id: model::VpcCidrAssociationId,
    ipv6_cidr_block: Ipv6Net,
    ipv6_cidr_block_state: StateOf,
    network_border_group: String,
    ipv6_pool: &'static str,
}

/// Whose addresses they are.
const POOL: &str = "Amazon";

const FILTERS: &Names = &[
    ("cidr", "cidrBlock"),
    // Not documented, but asked for by Ansible, as is `isDefault`.
    ("cidr-block", "cidrBlock"),
    ("cidr-block-association.association-id", "cidrBlockAssociationSet.associationId"),
    ("cidr-block-association.cidr-block", "cidrBlockAssociationSet.cidrBlock"),
    ("cidr-block-association.state", "cidrBlockAssociationSet.cidrBlockState.state"),
    ("dhcp-options-id", "dhcpOptionsId"),
    ("ipv6-cidr-block-association.association-id", "ipv6CidrBlockAssociationSet.associationId"),
    ("ipv6-cidr-block-association.ipv6-cidr-block", "ipv6CidrBlockAssociationSet.ipv6CidrBlock"),
    ("ipv6-cidr-block-association.ipv6-pool", "ipv6CidrBlockAssociationSet.ipv6Pool"),
    ("ipv6-cidr-block-association.state", "ipv6CidrBlockAssociationSet.ipv6CidrBlockState.state"),
    ("is-default", "isDefault"),
    ("isDefault", "isDefault"),
    ("owner-id", "ownerId"),
    ("state", "state"),
    ("tag-key", "tagSet.key"),
    ("vpc-id", "vpcId"),
];

impl Action for CreateVpc {
    const LIMITS: &'static [Limit] = &[
        ("InstanceTenancy", &["default"]),
        ("Ipv4IpamPoolId", &[]),
        ("Ipv4NetmaskLength", &[]),
        ("Ipv6CidrBlock", &[]),
        ("Ipv6CidrBlockNetworkBorderGroup", &[]),
        ("Ipv6IpamPoolId", &[]),
        ("Ipv6NetmaskLength", &[]),
        ("Ipv6Pool", &[]),
        ("VpcEncryptionControl", &[]),
    ];
    type Answer = CreateVpcAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<CreateVpcAnswer, Error> {
        let tags = tags_for("vpc", self.tag_specification)?;
        let pool = call.pool6();
        call.commit(move |transaction| {
            let applied = transaction.apply(Change::CreateVpc { cidr: self.cidr_block, tags })?;
            let Applied::Vpc(id) = applied else { return Err(Error::Unexpected) };
            if self.amazon_provided_ipv6_cidr_block {
                let cidr = pool.find(transaction)?;
                transaction.apply(Change::AssociateVpcIpv6CidrBlock { vpc: id, cidr })?;
            }
            let region = transaction.region();
            let vpc = region.vpcs().get(&id).ok_or(Error::Unexpected)?;
            Ok(CreateVpcAnswer { vpc: pending(region, vpc) })
        })
    }
}

impl Describe for DescribeVpcs {
    const SET: &'static str = "vpcSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownVpc;

    fn by_id(&self) -> bool {
        !self.vpc_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownVpc)>, Error> {
        let region = call.region();
        let vpcs = pick(&self.vpc_id, region.vpcs(), Fault::VpcNotFound)?;
        Ok(vpcs.into_iter().map(|vpc| (vpc.id.to_string(), shown(&region, vpc))).collect())
    }
}

impl Action for DeleteVpc {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DeleteVpc { vpc: self.vpc_id })?;
        Ok(DONE)
    }
}

impl Action for DescribeVpcAttribute {
    type Answer = DescribeVpcAttributeAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let region = call.region();
        let vpc = region.vpcs().get(&self.vpc_id).ok_or(Fault::VpcNotFound(self.vpc_id))?;
        let shown = |name, value| (self.attribute == name).then_some(Shown { value });
        Ok(DescribeVpcAttributeAnswer {
            vpc_id: self.vpc_id,
            enable_dns_support: shown(AttributeName::DnsSupport, vpc.enable_dns_support),
            enable_dns_hostnames: shown(AttributeName::DnsHostnames, vpc.enable_dns_hostnames),
            // Nobody measures it.
            enable_network_address_usage_metrics: shown(AttributeName::NetworkAddressUsageMetrics, false),
        })
    }
}

impl Action for ModifyVpcAttribute {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let vpc = self.vpc_id;
        let asked =
            (self.enable_dns_support, self.enable_dns_hostnames, self.enable_network_address_usage_metrics);
        let attribute = match asked {
            (Some(Given { value }), None, None) => VpcAttribute::EnableDnsSupport(value),
            (None, Some(Given { value }), None) => VpcAttribute::EnableDnsHostnames(value),
            // It can only stay off.
            (None, None, Some(Given { value: false })) => {
                call.region().vpcs().get(&vpc).ok_or(Fault::VpcNotFound(vpc))?;
                return Ok(DONE);
            }
            (None, None, Some(Given { value: true })) => {
                let name = "EnableNetworkAddressUsageMetrics.Value".to_owned();
                return Err(Error::UnsupportedParameter { name, value: true.to_string() });
            }
            (None, None, None) => return Err(Error::Combination("No attributes specified.")),
            _ => return Err(Error::Combination("Fields for multiple attribute types specified.")),
        };
        call.apply(Change::ModifyVpcAttribute { vpc, attribute })?;
        Ok(DONE)
    }
}

/// A VPC that is just made: EC2 answers before it stands, and clients wait until it is described as available.
pub(super) fn pending(region: &Region, vpc: &Vpc) -> ShownVpc {
    ShownVpc { state: "pending", ..shown(region, vpc) }
}

fn shown(region: &Region, vpc: &Vpc) -> ShownVpc {
    ShownVpc {
        vpc_id: vpc.id,
        owner_id: region.key().account.0.clone(),
        state: "available",
        cidr_block: vpc.cidr,
        cidr_block_association_set: vpc
            .cidr_associations()
            .map(|association| shown_cidr(association, "associated"))
            .collect(),
        ipv6_cidr_block_association_set: vpc
            .ipv6
            .iter()
            .map(|block| shown_ipv6_cidr(region, *block, "associated"))
            .collect(),
        dhcp_options_id: vpc.dhcp_options.map_or_else(|| "default".to_owned(), |id| id.to_string()),
        instance_tenancy: "default",
        is_default: vpc.is_default,
        tag_set: tag_set(&vpc.tags),
    }
}

/// A CIDR block in a state of its association.
pub(super) fn shown_cidr(association: CidrAssociation, state: &'static str) -> ShownCidr {
    ShownCidr {
        association_id: association.id,
        cidr_block: association.cidr,
        cidr_block_state: StateOf { state },
    }
}

/// An IPv6 CIDR block in a state of its association.
pub(super) fn shown_ipv6_cidr(
    region: &Region,
    block: VpcIpv6CidrBlock,
    state: &'static str,
) -> ShownIpv6Cidr {
    ShownIpv6Cidr {
        association_id: block.association,
        ipv6_cidr_block: block.cidr,
        ipv6_cidr_block_state: StateOf { state },
        network_border_group: region.key().region.0.clone(),
        ipv6_pool: POOL,
    }
}
