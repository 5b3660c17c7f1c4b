//! Kinds of resources that nothing here makes, and that every client asks about: there are none of them, and whoever
//! asks for one by its id is told so.

use serde::{Deserialize, Serialize};

use super::{Action, Describe};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::{Filter, Names};
use crate::ec2::page::{self, Selection};
use crate::ec2::query::Limit;
use crate::store::ClientToken;

/// One of them.
#[derive(Serialize)]
pub(super) enum Nothing {}

macro_rules! nothing {
    ($(
        $action:ident by $member:ident, $prefix:literal: $kind:literal,
        $malformed:literal, $missing:literal, $set:literal, filters $filters:tt $(, only $limits:expr)?;
    )*) => {$(
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub(super) struct $action {
            #[serde(default)]
            $member: Vec<String>,
        }

        impl Describe for $action {
            $(const LIMITS: &'static [Limit] = $limits;)?
            const SET: &'static str = $set;
            const FILTERS: &'static Names = &nothing!(@ $filters);
            type Shown = Nothing;

            fn by_id(&self) -> bool {
                !self.$member.is_empty()
            }

            fn all(&self, _: &Call<'_>) -> Result<Vec<(String, Nothing)>, Error> {
                self.$member.first().map_or(Ok(Vec::new()), |id| Err(missing(id, $prefix, $kind, $malformed, $missing)))
            }
        }
    )*};
    // There is nothing that they could look at; those of tags come by their path.
    (@ [$($filter:literal)*]) => { [$(($filter, "tagSet.key")),*] };
}

// The filters are those of each action's page of the EC2 API Reference; codes are of "Error codes for the Amazon EC2 API",
// and where it has none for malformed ids, what EC2 answers.
nothing! {
    DescribeVpnGateways by vpn_gateway_id, "vgw": "vpnGateway ID",
        "InvalidVpnGatewayID.Malformed", "InvalidVpnGatewayID.NotFound", "vpnGatewaySet",
        filters ["amazon-side-asn" "attachment.state" "attachment.vpc-id" "availability-zone" "state" "tag-key" "type"
            "vpn-gateway-id"];
    DescribeCustomerGateways by customer_gateway_id, "cgw": "customerGateway ID",
        "InvalidCustomerGatewayId.Malformed", "InvalidCustomerGatewayID.NotFound", "customerGatewaySet",
        filters ["bgp-asn" "customer-gateway-id" "ip-address" "state" "tag-key" "type"];
    DescribeVpnConnections by vpn_connection_id, "vpn": "vpnConnection ID",
        "InvalidVpnConnectionID.Malformed", "InvalidVpnConnectionID.NotFound", "vpnConnectionSet",
        filters ["bgp-asn" "customer-gateway-configuration" "customer-gateway-id" "option.static-routes-only"
            "route.destination-cidr-block" "state" "tag-key" "transit-gateway-id" "type" "vpn-connection-id"
            "vpn-gateway-id"];
    DescribeVpcEndpoints by vpc_endpoint_id, "vpce": "Vpc Endpoint Id",
        "InvalidVpcEndpointId.Malformed", "InvalidVpcEndpointId.NotFound", "vpcEndpointSet",
        filters ["ip-address-type" "service-name" "service-region" "tag-key" "vpc-endpoint-id" "vpc-endpoint-state"
            "vpc-endpoint-type" "vpc-id"];
    DescribeVolumes by volume_id, "vol": "volume",
        "InvalidVolumeID.Malformed", "InvalidVolume.NotFound", "volumeSet",
        filters ["attachment.attach-time" "attachment.delete-on-termination" "attachment.device"
            "attachment.instance-id" "attachment.status" "availability-zone" "availability-zone-id" "create-time"
            "encrypted" "fast-restored" "multi-attach-enabled" "operator.managed" "operator.principal" "size"
            "snapshot-id" "status" "tag-key" "volume-id" "volume-type"],
        only &[("IncludeManagedResources", &["false", "true"])];
    DescribeIamInstanceProfileAssociations by association_id, "iip-assoc": "association ID",
        "InvalidAssociationID.Malformed", "InvalidAssociationID.NotFound", "iamInstanceProfileAssociationSet",
        filters ["instance-id" "state"];
}

/// The services that VPC endpoints could lead to. Its answer has two lists.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeVpcEndpointServices {
    #[serde(default)]
    service_name: Vec<String>,
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<u32>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointServices {
    service_name_set: Vec<Nothing>,
    service_detail_set: Vec<Nothing>,
}

const SERVICE_FILTERS: &Names = &nothing!(@ ["owner" "service-name" "service-region" "service-type"
    "supported-ip-address-types" "tag-key"]);

impl Action for DescribeVpcEndpointServices {
    const LIMITS: &'static [Limit] = &[("ServiceRegion", &[])];
    type Answer = EndpointServices;

    fn run(self, _: &Call<'_>, _: Option<ClientToken>) -> Result<EndpointServices, Error> {
        let selection = Selection {
            filters: &self.filter,
            names: SERVICE_FILTERS,
            most: self.max_results,
            next_token: self.next_token.as_deref(),
            by_id: !self.service_name.is_empty(),
        };
        page::select(Vec::<(String, Nothing)>::new(), &selection)?;
        match self.service_name.into_iter().next() {
            None => Ok(EndpointServices { service_name_set: Vec::new(), service_detail_set: Vec::new() }),
            Some(id) => Err(Error::NotFound { code: "InvalidServiceName", kind: "Vpc Endpoint Service", id }),
        }
    }
}

/// What EC2 answers to an id of none.
fn missing(
    id: &str,
    prefix: &'static str,
    kind: &'static str,
    malformed: &'static str,
    missing: &'static str,
) -> Error {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    let is_id = matches!(digits.len(), 8 | 17)
        && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if is_id {
        return Error::NotFound { code: missing, kind, id: id.to_owned() };
    }
    let message = format!("Invalid id: \"{id}\" (expecting \"{prefix}-...\")");
    Error::MalformedId { code: malformed, message }
}
