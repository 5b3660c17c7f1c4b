//! Egress-only internet gateways.

use model::{Applied, Change, EgressOnlyInternetGateway, EgressOnlyInternetGatewayId, Fault, VpcId};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, Describe, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateEgressOnlyInternetGateway {
    vpc_id: VpcId,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateAnswer {
    client_token: Option<String>,
    egress_only_internet_gateway: ShownGateway,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeEgressOnlyInternetGateways {
    #[serde(default)]
    egress_only_internet_gateway_id: Vec<EgressOnlyInternetGatewayId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteEgressOnlyInternetGateway {
    egress_only_internet_gateway_id: EgressOnlyInternetGatewayId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteAnswer {
    return_code: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownGateway {
    egress_only_internet_gateway_id: EgressOnlyInternetGatewayId,
    attachment_set: Vec<ShownAttachment>,
    tag_set: Vec<Tag>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownAttachment {
    state: &'static str,
    vpc_id: VpcId,
}

const FILTERS: &Names = &[("tag-key", "tagSet.key")];

impl Action for CreateEgressOnlyInternetGateway {
    const TAKES_TOKEN: bool = true;
    type Answer = CreateAnswer;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<CreateAnswer, Error> {
        let tags = tags_for("egress-only-internet-gateway", self.tag_specification)?;
        let client_token = token.as_ref().map(|token| token.token.clone());
        let id = call.commit_once(token, move |transaction| {
            match transaction.apply(Change::CreateEgressOnlyInternetGateway { vpc: self.vpc_id, tags })? {
                Applied::EgressOnlyInternetGateway(id) => Ok(id),
                _ => Err(Error::Unexpected),
            }
        })?;
        let region = call.region();
        // It may be gone already when a token comes again.
        let gateway = region.egress_only_internet_gateways().get(&id);
        let gateway = gateway.ok_or(Fault::EgressOnlyInternetGatewayNotFound(id))?;
        Ok(CreateAnswer { client_token, egress_only_internet_gateway: shown(gateway) })
    }
}

impl Describe for DescribeEgressOnlyInternetGateways {
    const SET: &'static str = "egressOnlyInternetGatewaySet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownGateway;

    fn by_id(&self) -> bool {
        !self.egress_only_internet_gateway_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownGateway)>, Error> {
        let region = call.region();
        let (asked, all) = (&self.egress_only_internet_gateway_id, region.egress_only_internet_gateways());
        let gateways = pick(asked, all, Fault::EgressOnlyInternetGatewayNotFound)?;
        Ok(gateways.into_iter().map(|gateway| (gateway.id.to_string(), shown(gateway))).collect())
    }
}

impl Action for DeleteEgressOnlyInternetGateway {
    type Answer = DeleteAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<DeleteAnswer, Error> {
        let gateway = self.egress_only_internet_gateway_id;
        call.apply(Change::DeleteEgressOnlyInternetGateway { gateway })?;
        Ok(DeleteAnswer { return_code: true })
    }
}

fn shown(gateway: &EgressOnlyInternetGateway) -> ShownGateway {
    ShownGateway {
        egress_only_internet_gateway_id: gateway.id,
        attachment_set: vec![ShownAttachment { state: "attached", vpc_id: gateway.vpc }],
        tag_set: tag_set(&gateway.tags),
    }
}
