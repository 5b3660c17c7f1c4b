//! The IPv6 CIDR blocks of subnets.

use ipnet::Ipv6Net;
use model::{Applied, Change, Fault, SubnetCidrAssociationId, SubnetId, SubnetIpv6CidrBlock};
use serde::{Deserialize, Serialize};

use super::{Action, StateOf};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AssociateSubnetCidrBlock {
    subnet_id: SubnetId,
    ipv6_cidr_block: Ipv6Net,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DisassociateSubnetCidrBlock {
    association_id: SubnetCidrAssociationId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    subnet_id: SubnetId,
    ipv6_cidr_block_association: ShownIpv6Cidr,
}

/// An IPv6 CIDR block of a subnet, as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownIpv6Cidr {
    association_id: SubnetCidrAssociationId,
    ipv6_cidr_block: Ipv6Net,
    ipv6_cidr_block_state: StateOf,
}

impl Action for AssociateSubnetCidrBlock {
    const LIMITS: &'static [Limit] = &[("Ipv6IpamPoolId", &[]), ("Ipv6NetmaskLength", &[])];
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let (subnet_id, cidr) = (self.subnet_id, self.ipv6_cidr_block);
        match call.apply(Change::AssociateSubnetCidrBlock { subnet: subnet_id, cidr })? {
            Applied::SubnetCidrAssociation(association) => {
                let block = SubnetIpv6CidrBlock { association, cidr: cidr.trunc() };
                Ok(Answer { subnet_id, ipv6_cidr_block_association: shown_cidr(block, "associating") })
            }
            _ => Err(Error::Unexpected),
        }
    }
}

impl Action for DisassociateSubnetCidrBlock {
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let association = self.association_id;
        call.commit(move |transaction| {
            let subnets = transaction.region().subnets().values();
            let mut blocks = subnets.filter_map(|subnet| Some((subnet.id, subnet.ipv6?)));
            let found = blocks.find(|(_, block)| block.association == association);
            let (subnet_id, block) = found.ok_or(Fault::SubnetCidrAssociationNotFound(association))?;
            transaction.apply(Change::DisassociateSubnetCidrBlock { association })?;
            Ok(Answer { subnet_id, ipv6_cidr_block_association: shown_cidr(block, "disassociating") })
        })
    }
}

/// An IPv6 CIDR block in a state of its association.
pub(super) fn shown_cidr(block: SubnetIpv6CidrBlock, state: &'static str) -> ShownIpv6Cidr {
    ShownIpv6Cidr {
        association_id: block.association,
        ipv6_cidr_block: block.cidr,
        ipv6_cidr_block_state: StateOf { state },
    }
}
