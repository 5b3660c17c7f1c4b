//! The CIDR blocks of VPCs.

use ipnet::Ipv4Net;
use model::{Applied, Change, Fault, VpcCidrAssociationId, VpcId};
use serde::{Deserialize, Serialize};

use super::Action;
use super::vpc::{ShownCidr, shown_cidr};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssociateVpcCidrBlock {
    vpc_id: VpcId,
    cidr_block: Ipv4Net,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DisassociateVpcCidrBlock {
    association_id: VpcCidrAssociationId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    vpc_id: VpcId,
    cidr_block_association: ShownCidr,
}

impl Action for AssociateVpcCidrBlock {
    const LIMITS: &'static [Limit] = &[
        ("AmazonProvidedIpv6CidrBlock", &["false"]),
        ("Ipv4IpamPoolId", &[]),
        ("Ipv4NetmaskLength", &[]),
        ("Ipv6CidrBlock", &[]),
        ("Ipv6CidrBlockNetworkBorderGroup", &[]),
        ("Ipv6IpamPoolId", &[]),
        ("Ipv6NetmaskLength", &[]),
        ("Ipv6Pool", &[]),
    ];
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        call.commit(move |transaction| {
            let change = Change::AssociateVpcCidrBlock { vpc: self.vpc_id, cidr: self.cidr_block };
            let Applied::VpcCidrAssociation(id) = transaction.apply(change)? else {
                return Err(Error::Unexpected);
            };
            let vpc = transaction.region().vpcs().get(&self.vpc_id);
            let association =
                vpc.and_then(|vpc| vpc.cidr_associations().find(|association| association.id == id));
            let association = association.ok_or(Error::Unexpected)?;
            let cidr_block_association = shown_cidr(association, "associating");
            Ok(Answer { vpc_id: self.vpc_id, cidr_block_association })
        })
    }
}

impl Action for DisassociateVpcCidrBlock {
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        call.commit(move |transaction| {
            let id = self.association_id;
            let associations = transaction
                .region()
                .vpcs()
                .values()
                .flat_map(|vpc| vpc.cidr_associations().map(|association| (vpc.id, association)));
            let found = associations.into_iter().find(|(_, association)| association.id == id);
            let (vpc_id, association) = found.ok_or(Fault::CidrAssociationNotFound(id))?;
            transaction.apply(Change::DisassociateVpcCidrBlock { association: id })?;
            Ok(Answer { vpc_id, cidr_block_association: shown_cidr(association, "disassociating") })
        })
    }
}
