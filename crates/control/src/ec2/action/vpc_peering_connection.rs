//! VPC peering connections, within one account and region.

use ipnet::{Ipv4Net, Ipv6Net};
use model::{
    Applied, Change, Fault, PeeringStatus, Region, VpcId, VpcPeeringConnection, VpcPeeringConnectionId,
};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, DONE, Describe, Done, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::ec2::time::{Timestamp, now};
use crate::store::{ClientToken, Transaction};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateVpcPeeringConnection {
    vpc_id: VpcId,
    peer_vpc_id: VpcId,
    peer_owner_id: Option<String>,
    peer_region: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeVpcPeeringConnections {
    #[serde(default)]
    vpc_peering_connection_id: Vec<VpcPeeringConnectionId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AcceptVpcPeeringConnection {
    vpc_peering_connection_id: VpcPeeringConnectionId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RejectVpcPeeringConnection {
    vpc_peering_connection_id: VpcPeeringConnectionId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteVpcPeeringConnection {
    vpc_peering_connection_id: VpcPeeringConnectionId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeeringAnswer {
    vpc_peering_connection: ShownPeering,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownPeering {
    vpc_peering_connection_id: VpcPeeringConnectionId,
    requester_vpc_info: ShownVpcInfo,
    accepter_vpc_info: ShownVpcInfo,
    status: ShownStatus,
    expiration_time: Option<Timestamp>,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownVpcInfo {
    vpc_id: VpcId,
    owner_id: String,
    region: String,
    cidr_block: Option<Ipv4Net>,
    cidr_block_set: Vec<ShownCidr>,
    ipv6_cidr_block_set: Vec<ShownIpv6Cidr>,
    peering_options: Option<ShownOptions>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownCidr {
    cidr_block: Ipv4Net,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownIpv6Cidr {
    ipv6_cidr_block: Ipv6Net,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownOptions {
    allow_dns_resolution_from_remote_vpc: bool,
}

#[derive(Serialize)]
struct ShownStatus {
    code: String,
    message: String,
}

const FILTERS: &Names = &[
    ("accepter-vpc-info.cidr-block", "accepterVpcInfo.cidrBlock"),
    ("accepter-vpc-info.owner-id", "accepterVpcInfo.ownerId"),
    ("accepter-vpc-info.vpc-id", "accepterVpcInfo.vpcId"),
    ("expiration-time", "expirationTime"),
    ("requester-vpc-info.cidr-block", "requesterVpcInfo.cidrBlock"),
    ("requester-vpc-info.owner-id", "requesterVpcInfo.ownerId"),
    ("requester-vpc-info.vpc-id", "requesterVpcInfo.vpcId"),
    ("status-code", "status.code"),
    ("status-message", "status.message"),
    ("tag-key", "tagSet.key"),
    ("vpc-peering-connection-id", "vpcPeeringConnectionId"),
];

impl Action for CreateVpcPeeringConnection {
    const LIMITS: &'static [Limit] = &[("RequesterPeeringConnectionOptions", &[])];
    type Answer = PeeringAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<PeeringAnswer, Error> {
        let elsewhere = |name: &str, value: Option<String>, own: &str| match value {
            Some(value) if value != own => Err(Error::UnsupportedParameter { name: name.to_owned(), value }),
            _ => Ok(()),
        };
        elsewhere("PeerOwnerId", self.peer_owner_id, &call.key.account.0)?;
        elsewhere("PeerRegion", self.peer_region, &call.key.region.0)?;
        let create = Change::CreateVpcPeeringConnection {
            requester: self.vpc_id,
            accepter: self.peer_vpc_id,
            time: now(),
            tags: tags_for("vpc-peering-connection", self.tag_specification)?,
        };
        call.commit(move |transaction| match transaction.apply(create)? {
            Applied::VpcPeeringConnection(id) => answer(transaction, id),
            _ => Err(Error::Unexpected),
        })
    }
}

impl Describe for DescribeVpcPeeringConnections {
    const SET: &'static str = "vpcPeeringConnectionSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownPeering;

    fn by_id(&self) -> bool {
        !self.vpc_peering_connection_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownPeering)>, Error> {
        let region = call.region();
        let all = region.vpc_peering_connections();
        let picked = pick(&self.vpc_peering_connection_id, all, Fault::VpcPeeringConnectionNotFound)?;
        Ok(picked.into_iter().map(|it| (it.id.to_string(), shown(&region, it))).collect())
    }
}

impl Action for AcceptVpcPeeringConnection {
    type Answer = PeeringAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<PeeringAnswer, Error> {
        let connection = self.vpc_peering_connection_id;
        call.commit(move |transaction| {
            transaction.apply(Change::AcceptVpcPeeringConnection { connection, time: now() })?;
            answer(transaction, connection)
        })
    }
}

impl Action for RejectVpcPeeringConnection {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let connection = self.vpc_peering_connection_id;
        call.apply(Change::RejectVpcPeeringConnection { connection, time: now() })?;
        Ok(DONE)
    }
}

impl Action for DeleteVpcPeeringConnection {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let connection = self.vpc_peering_connection_id;
        call.apply(Change::DeleteVpcPeeringConnection { connection, time: now() })?;
        Ok(DONE)
    }
}

fn answer(transaction: &Transaction<'_>, id: VpcPeeringConnectionId) -> Result<PeeringAnswer, Error> {
    let region = transaction.region();
    let connection = region.vpc_peering_connections().get(&id).ok_or(Error::Unexpected)?;
    Ok(PeeringAnswer { vpc_peering_connection: shown(region, connection) })
}

fn shown(region: &Region, connection: &VpcPeeringConnection) -> ShownPeering {
    use PeeringStatus::{Active, Deleted, Expired, Failed, PendingAcceptance, Rejected};
    let (account, status) = (&region.key().account.0, connection.status);
    // EC2 shows the addresses of an end once they can matter.
    let info = |vpc: VpcId, with_cidrs: bool| {
        let cidrs = region.vpcs().get(&vpc).filter(|_| with_cidrs);
        ShownVpcInfo {
            vpc_id: vpc,
            owner_id: account.clone(),
            region: region.key().region.0.clone(),
            cidr_block: cidrs.map(|vpc| vpc.cidr),
            cidr_block_set: cidrs
                .into_iter()
                .flat_map(model::Vpc::cidrs)
                .map(|cidr_block| ShownCidr { cidr_block })
                .collect(),
            ipv6_cidr_block_set: cidrs
                .into_iter()
                .flat_map(|vpc| &vpc.ipv6)
                .map(|block| ShownIpv6Cidr { ipv6_cidr_block: block.cidr })
                .collect(),
            peering_options: cidrs.map(|_| ShownOptions { allow_dns_resolution_from_remote_vpc: false }),
        }
    };
    ShownPeering {
        vpc_peering_connection_id: connection.id,
        requester_vpc_info: info(connection.requester, matches!(status, PendingAcceptance | Active)),
        accepter_vpc_info: info(connection.accepter, status == Active),
        status: ShownStatus {
            code: status.to_string(),
            message: match status {
                PendingAcceptance => format!("Pending Acceptance by {account}"),
                Active => "Active".to_owned(),
                Rejected => format!("Rejected by {account}"),
                Expired => "Expired".to_owned(),
                Failed => "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned(),
                Deleted => format!("Deleted by {account}"),
            },
        },
        expiration_time: (status == PendingAcceptance).then_some(Timestamp(connection.expires)),
        tag_set: tag_set(&connection.tags),
    }
}
