//! The CIDR blocks of VPCs.

use ipnet::Ipv4Net;
use model::{Applied, Change, Fault, Region, VpcCidrAssociationId, VpcId};
use serde::{Deserialize, Serialize};

use super::Action;
use super::vpc::{ShownCidr, ShownIpv6Cidr, shown_cidr, shown_ipv6_cidr};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssociateVpcCidrBlock {
    vpc_id: VpcId,
    cidr_block: Option<Ipv4Net>,
    #[serde(default)]
    amazon_provided_ipv6_cidr_block: bool,
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
    cidr_block_association: Option<ShownCidr>,
    ipv6_cidr_block_association: Option<ShownIpv6Cidr>,
}

impl Action for AssociateVpcCidrBlock {
    const LIMITS: &'static [Limit] = &[
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
        let vpc = self.vpc_id;
        let pool = call.pool6();
        call.commit(move |transaction| {
            let change = match (self.cidr_block, self.amazon_provided_ipv6_cidr_block) {
                (Some(cidr), false) => Change::AssociateVpcCidrBlock { vpc, cidr },
                (None, true) => Change::AssociateVpcIpv6CidrBlock { vpc, cidr: pool.find(transaction)? },
                (Some(_), true) => {
                    return Err(Error::Combination("Give an IPv4 or an IPv6 CIDR block, not both."));
                }
                (None, false) => return Err(Error::MissingParameter("CidrBlock".to_owned())),
            };
            let Applied::VpcCidrAssociation(id) = transaction.apply(change)? else {
                return Err(Error::Unexpected);
            };
            answer(transaction.region(), id, "associating").ok_or(Error::Unexpected)
        })
    }
}

impl Action for DisassociateVpcCidrBlock {
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let id = self.association_id;
        call.commit(move |transaction| {
            let last = answer(transaction.region(), id, "disassociating");
            let last = last.ok_or(Fault::CidrAssociationNotFound(id))?;
            transaction.apply(Change::DisassociateVpcCidrBlock { association: id })?;
            Ok(last)
        })
    }
}

/// The block of an association, of whichever family it is.
fn answer(region: &Region, id: VpcCidrAssociationId, state: &'static str) -> Option<Answer> {
    region.vpcs().values().find_map(|vpc| {
        let v4 = vpc.cidr_associations().find(|association| association.id == id);
        let v6 = vpc.ipv6.iter().find(|block| block.association == id);
        (v4.is_some() || v6.is_some()).then(|| Answer {
            vpc_id: vpc.id,
            cidr_block_association: v4.map(|association| shown_cidr(association, state)),
            ipv6_cidr_block_association: v6.map(|block| shown_ipv6_cidr(region, *block, state)),
        })
    })
}
