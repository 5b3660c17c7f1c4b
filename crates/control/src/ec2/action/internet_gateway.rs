//! Internet gateways.

use model::{Applied, Change, Fault, InternetGateway, InternetGatewayId, Region, VpcId};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, DONE, Describe, Done, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateInternetGateway {
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateInternetGatewayAnswer {
    internet_gateway: ShownInternetGateway,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInternetGateways {
    #[serde(default)]
    internet_gateway_id: Vec<InternetGatewayId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttachInternetGateway {
    internet_gateway_id: InternetGatewayId,
    vpc_id: VpcId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DetachInternetGateway {
    internet_gateway_id: InternetGatewayId,
    vpc_id: VpcId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteInternetGateway {
    internet_gateway_id: InternetGatewayId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownInternetGateway {
    internet_gateway_id: InternetGatewayId,
    owner_id: String,
    attachment_set: Vec<ShownAttachment>,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownAttachment {
    state: &'static str,
    vpc_id: VpcId,
}

const FILTERS: &Names = &[
    ("attachment.state", "attachmentSet.state"),
    ("attachment.vpc-id", "attachmentSet.vpcId"),
    ("internet-gateway-id", "internetGatewayId"),
    ("owner-id", "ownerId"),
    ("tag-key", "tagSet.key"),
];

impl Action for CreateInternetGateway {
    type Answer = CreateInternetGatewayAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let tags = tags_for("internet-gateway", self.tag_specification)?;
        call.commit(move |transaction| {
            let applied = transaction.apply(Change::CreateInternetGateway { tags })?;
            let Applied::InternetGateway(id) = applied else { return Err(Error::Unexpected) };
            let region = transaction.region();
            let gateway = region.internet_gateways().get(&id).ok_or(Error::Unexpected)?;
            Ok(CreateInternetGatewayAnswer { internet_gateway: shown(region, gateway) })
        })
    }
}

impl Describe for DescribeInternetGateways {
    const SET: &'static str = "internetGatewaySet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownInternetGateway;

    fn by_id(&self) -> bool {
        !self.internet_gateway_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownInternetGateway)>, Error> {
        let region = call.region();
        let all = region.internet_gateways();
        let gateways = pick(&self.internet_gateway_id, all, Fault::InternetGatewayNotFound)?;
        Ok(gateways.into_iter().map(|gateway| (gateway.id.to_string(), shown(&region, gateway))).collect())
    }
}

impl Action for AttachInternetGateway {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::AttachInternetGateway { igw: self.internet_gateway_id, vpc: self.vpc_id })?;
        Ok(DONE)
    }
}

impl Action for DetachInternetGateway {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DetachInternetGateway { igw: self.internet_gateway_id, vpc: self.vpc_id })?;
        Ok(DONE)
    }
}

impl Action for DeleteInternetGateway {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.apply(Change::DeleteInternetGateway { igw: self.internet_gateway_id })?;
        Ok(DONE)
    }
}

fn shown(region: &Region, gateway: &InternetGateway) -> ShownInternetGateway {
    ShownInternetGateway {
        internet_gateway_id: gateway.id,
        owner_id: region.key().account.0.clone(),
        // Attachments of internet gateways are "available", not "attached".
        attachment_set: gateway
            .vpc
            .map(|vpc_id| ShownAttachment { state: "available", vpc_id })
            .into_iter()
            .collect(),
        tag_set: tag_set(&gateway.tags),
    }
}
