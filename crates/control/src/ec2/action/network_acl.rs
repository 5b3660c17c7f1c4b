//! Network ACLs.

mod entry;

use model::{
    AclEntry, AddressFamily, Applied, Change, Direction, Fault, NetworkAcl, NetworkAclAssociationId,
    NetworkAclId, Region, SubnetId, VpcId,
};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, DONE, Describe, Done, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::store::ClientToken;

use entry::ShownEntry;
pub(super) use entry::{CreateNetworkAclEntry, DeleteNetworkAclEntry, ReplaceNetworkAclEntry};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateNetworkAcl {
    vpc_id: VpcId,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateNetworkAclAnswer {
    client_token: Option<String>,
    network_acl: ShownNetworkAcl,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeNetworkAcls {
    #[serde(default)]
    network_acl_id: Vec<NetworkAclId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteNetworkAcl {
    network_acl_id: NetworkAclId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReplaceNetworkAclAssociation {
    association_id: NetworkAclAssociationId,
    network_acl_id: NetworkAclId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplaceNetworkAclAssociationAnswer {
    new_association_id: NetworkAclAssociationId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownNetworkAcl {
    network_acl_id: NetworkAclId,
    vpc_id: VpcId,
    owner_id: String,
    default: bool,
    entry_set: Vec<ShownEntry>,
    association_set: Vec<ShownAssociation>,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownAssociation {
    network_acl_association_id: NetworkAclAssociationId,
    network_acl_id: NetworkAclId,
    subnet_id: SubnetId,
}

const FILTERS: &Names = &[
    ("association.association-id", "associationSet.networkAclAssociationId"),
    ("association.network-acl-id", "associationSet.networkAclId"),
    ("association.subnet-id", "associationSet.subnetId"),
    ("default", "default"),
    ("entry.cidr", "entrySet.cidrBlock"),
    ("entry.egress", "entrySet.egress"),
    ("entry.icmp.code", "entrySet.icmpTypeCode.code"),
    ("entry.icmp.type", "entrySet.icmpTypeCode.type"),
    ("entry.ipv6-cidr", "entrySet.ipv6CidrBlock"),
    ("entry.port-range.from", "entrySet.portRange.from"),
    ("entry.port-range.to", "entrySet.portRange.to"),
    ("entry.protocol", "entrySet.protocol"),
    ("entry.rule-action", "entrySet.ruleAction"),
    ("entry.rule-number", "entrySet.ruleNumber"),
    ("network-acl-id", "networkAclId"),
    ("owner-id", "ownerId"),
    ("tag-key", "tagSet.key"),
    ("vpc-id", "vpcId"),
];

impl Action for CreateNetworkAcl {
    const TAKES_TOKEN: bool = true;
    type Answer = CreateNetworkAclAnswer;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let tags = tags_for("network-acl", self.tag_specification)?;
        let client_token = token.as_ref().map(|token| token.token.clone());
        let id: NetworkAclId = call.commit_once(token, move |transaction| {
            match transaction.apply(Change::CreateNetworkAcl { vpc: self.vpc_id, tags })? {
                Applied::NetworkAcl(id) => Ok(id),
                _ => Err(Error::Unexpected),
            }
        })?;
        let region = call.region();
        let acl = region.network_acls().get(&id).ok_or(Fault::NetworkAclNotFound(id))?;
        Ok(CreateNetworkAclAnswer { client_token, network_acl: shown(&region, acl) })
    }
}

impl Describe for DescribeNetworkAcls {
    const SET: &'static str = "networkAclSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownNetworkAcl;

    fn by_id(&self) -> bool {
        !self.network_acl_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownNetworkAcl)>, Error> {
        let region = call.region();
        let acls = pick(&self.network_acl_id, region.network_acls(), Fault::NetworkAclNotFound)?;
        Ok(acls.into_iter().map(|acl| (acl.id.to_string(), shown(&region, acl))).collect())
    }
}

impl Action for DeleteNetworkAcl {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DeleteNetworkAcl { acl: self.network_acl_id })?;
        Ok(DONE)
    }
}

impl Action for ReplaceNetworkAclAssociation {
    type Answer = ReplaceNetworkAclAssociationAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let (association, acl) = (self.association_id, self.network_acl_id);
        match call.apply(Change::ReplaceNetworkAclAssociation { association, acl })? {
            Applied::NetworkAclAssociation(new_association_id) => {
                Ok(ReplaceNetworkAclAssociationAnswer { new_association_id })
            }
            _ => Err(Error::Unexpected),
        }
    }
}

fn shown(region: &Region, acl: &NetworkAcl) -> ShownNetworkAcl {
    let ipv6 = region.vpcs().get(&acl.vpc).is_some_and(|vpc| !vpc.ipv6.is_empty());
    let entries = |direction: Direction| {
        let own = acl.entries(direction).iter().map(move |(&number, entry)| (number, *entry));
        let last = LAST.into_iter().take(if ipv6 { 2 } else { 1 });
        let all = own.chain(last.map(|(number, family)| (number, AclEntry::deny_all(family))));
        all.map(move |(number, entry)| ShownEntry::of(direction, number, &entry))
    };
    let association = |subnet: &model::Subnet| ShownAssociation {
        network_acl_association_id: subnet.network_acl.id,
        network_acl_id: acl.id,
        subnet_id: subnet.id,
    };
    ShownNetworkAcl {
        network_acl_id: acl.id,
        vpc_id: acl.vpc,
        owner_id: region.key().account.0.clone(),
        default: acl.is_default,
        entry_set: entries(Direction::Egress).chain(entries(Direction::Ingress)).collect(),
        association_set: region.subnets_of_acl(acl.id).map(association).collect(),
        tag_set: tag_set(&acl.tags),
    }
}

/// The numbers of the rules that drop what no other is about, shown as `*` by the console. A VPC without IPv6 has the
/// first only.
const LAST: [(u16, AddressFamily); 2] = [(32_767, AddressFamily::Ipv4), (32_768, AddressFamily::Ipv6)];
