//! The actions: one table, and what they have in common.

mod account;
mod address;
mod default_vpc;
mod dhcp_options;
mod egress_only_internet_gateway;
mod flow_log;
mod image;
mod instance;
mod instance_attribute;
mod instance_lifecycle;
mod instance_type;
mod internet_gateway;
mod ipv6_address;
mod key_pair;
mod nat_gateway;
mod network_acl;
mod network_interface;
mod network_interface_attribute;
mod nothing;
mod place;
mod prefix;
mod prefix_list;
mod route;
mod route_table;
mod run_instances;
mod security_group;
mod security_group_reference;
mod security_group_rule;
mod subnet;
mod subnet_cidr;
mod subnet_cidr_reservation;
mod tag;
mod vpc;
mod vpc_cidr;
mod vpc_peering_connection;

use std::collections::BTreeMap;

use model::Fault;
use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::error::Error;
use super::filter::{Filter, Names};
use super::page::{self, Page, Selection};
use super::query::{Limit, Parameters, Scalar, outline};
use super::reference::{self, Parameter};
use super::{Call, xml};
use crate::store::ClientToken;

/// All that can be asked, by name.
const ACTIONS: &[(&str, Handler)] = &[
    ("AcceptVpcPeeringConnection", act::<vpc_peering_connection::AcceptVpcPeeringConnection>),
    ("AllocateAddress", act::<address::AllocateAddress>),
    ("AssignIpv6Addresses", act::<ipv6_address::AssignIpv6Addresses>),
    ("AssignPrivateIpAddresses", act::<network_interface::AssignPrivateIpAddresses>),
    ("AssignPrivateNatGatewayAddress", act::<nat_gateway::AssignPrivateNatGatewayAddress>),
    ("AssociateAddress", act::<address::AssociateAddress>),
    ("AssociateDhcpOptions", act::<dhcp_options::AssociateDhcpOptions>),
    ("AssociateNatGatewayAddress", act::<nat_gateway::AssociateNatGatewayAddress>),
    ("AssociateRouteTable", act::<route_table::AssociateRouteTable>),
    ("AssociateSubnetCidrBlock", act::<subnet_cidr::AssociateSubnetCidrBlock>),
    ("AssociateVpcCidrBlock", act::<vpc_cidr::AssociateVpcCidrBlock>),
    ("AttachInternetGateway", act::<internet_gateway::AttachInternetGateway>),
    ("AttachNetworkInterface", act::<network_interface::AttachNetworkInterface>),
    ("AuthorizeSecurityGroupEgress", act::<security_group_rule::AuthorizeSecurityGroupEgress>),
    ("AuthorizeSecurityGroupIngress", act::<security_group_rule::AuthorizeSecurityGroupIngress>),
    ("CreateDefaultSubnet", act::<default_vpc::CreateDefaultSubnet>),
    ("CreateDefaultVpc", act::<default_vpc::CreateDefaultVpc>),
    ("CreateDhcpOptions", act::<dhcp_options::CreateDhcpOptions>),
    ("CreateEgressOnlyInternetGateway", act::<egress_only_internet_gateway::CreateEgressOnlyInternetGateway>),
    ("CreateFlowLogs", act::<flow_log::CreateFlowLogs>),
    ("CreateInternetGateway", act::<internet_gateway::CreateInternetGateway>),
    ("CreateManagedPrefixList", act::<prefix_list::CreateManagedPrefixList>),
    ("CreateNatGateway", act::<nat_gateway::CreateNatGateway>),
    ("CreateNetworkAcl", act::<network_acl::CreateNetworkAcl>),
    ("CreateNetworkAclEntry", act::<network_acl::CreateNetworkAclEntry>),
    ("CreateNetworkInterface", act::<network_interface::CreateNetworkInterface>),
    ("CreateRoute", act::<route::CreateRoute>),
    ("CreateRouteTable", act::<route_table::CreateRouteTable>),
    ("CreateSecurityGroup", act::<security_group::CreateSecurityGroup>),
    ("CreateSubnet", act::<subnet::CreateSubnet>),
    ("CreateSubnetCidrReservation", act::<subnet_cidr_reservation::CreateSubnetCidrReservation>),
    ("CreateTags", act::<tag::CreateTags>),
    ("CreateVpc", act::<vpc::CreateVpc>),
    ("CreateVpcPeeringConnection", act::<vpc_peering_connection::CreateVpcPeeringConnection>),
    ("DeleteDhcpOptions", act::<dhcp_options::DeleteDhcpOptions>),
    ("DeleteEgressOnlyInternetGateway", act::<egress_only_internet_gateway::DeleteEgressOnlyInternetGateway>),
    ("DeleteFlowLogs", act::<flow_log::DeleteFlowLogs>),
    ("DeleteInternetGateway", act::<internet_gateway::DeleteInternetGateway>),
    ("DeleteKeyPair", act::<key_pair::DeleteKeyPair>),
    ("DeleteManagedPrefixList", act::<prefix_list::DeleteManagedPrefixList>),
    ("DeleteNatGateway", act::<nat_gateway::DeleteNatGateway>),
    ("DeleteNetworkAcl", act::<network_acl::DeleteNetworkAcl>),
    ("DeleteNetworkAclEntry", act::<network_acl::DeleteNetworkAclEntry>),
    ("DeleteNetworkInterface", act::<network_interface::DeleteNetworkInterface>),
    ("DeleteRoute", act::<route::DeleteRoute>),
    ("DeleteRouteTable", act::<route_table::DeleteRouteTable>),
    ("DeleteSecurityGroup", act::<security_group::DeleteSecurityGroup>),
    ("DeleteSubnet", act::<subnet::DeleteSubnet>),
    ("DeleteSubnetCidrReservation", act::<subnet_cidr_reservation::DeleteSubnetCidrReservation>),
    ("DeleteTags", act::<tag::DeleteTags>),
    ("DeleteVpc", act::<vpc::DeleteVpc>),
    ("DeleteVpcPeeringConnection", act::<vpc_peering_connection::DeleteVpcPeeringConnection>),
    ("DeregisterImage", act::<image::DeregisterImage>),
    ("DescribeAccountAttributes", describe::<account::DescribeAccountAttributes>),
    ("DescribeAddresses", describe::<address::DescribeAddresses>),
    ("DescribeAddressesAttribute", describe::<address::DescribeAddressesAttribute>),
    ("DescribeAvailabilityZones", describe::<place::DescribeAvailabilityZones>),
    ("DescribeCustomerGateways", describe::<nothing::DescribeCustomerGateways>),
    ("DescribeDhcpOptions", describe::<dhcp_options::DescribeDhcpOptions>),
    (
        "DescribeEgressOnlyInternetGateways",
        describe::<egress_only_internet_gateway::DescribeEgressOnlyInternetGateways>,
    ),
    ("DescribeFlowLogs", describe::<flow_log::DescribeFlowLogs>),
    ("DescribeIamInstanceProfileAssociations", describe::<nothing::DescribeIamInstanceProfileAssociations>),
    ("DescribeImages", describe::<image::DescribeImages>),
    ("DescribeInstanceAttribute", act::<instance_attribute::DescribeInstanceAttribute>),
    ("DescribeInstanceStatus", describe::<instance::DescribeInstanceStatus>),
    ("DescribeInstanceTypeOfferings", describe::<instance_type::DescribeInstanceTypeOfferings>),
    ("DescribeInstanceTypes", describe::<instance_type::DescribeInstanceTypes>),
    ("DescribeInstances", describe::<instance::DescribeInstances>),
    ("DescribeInternetGateways", describe::<internet_gateway::DescribeInternetGateways>),
    ("DescribeKeyPairs", describe::<key_pair::DescribeKeyPairs>),
    ("DescribeManagedPrefixLists", describe::<prefix_list::DescribeManagedPrefixLists>),
    ("DescribeNatGateways", describe::<nat_gateway::DescribeNatGateways>),
    ("DescribeNetworkAcls", describe::<network_acl::DescribeNetworkAcls>),
    (
        "DescribeNetworkInterfaceAttribute",
        act::<network_interface_attribute::DescribeNetworkInterfaceAttribute>,
    ),
    ("DescribeNetworkInterfaces", describe::<network_interface::DescribeNetworkInterfaces>),
    ("DescribePrefixLists", describe::<prefix_list::DescribePrefixLists>),
    ("DescribeRegions", describe::<place::DescribeRegions>),
    ("DescribeRouteTables", describe::<route_table::DescribeRouteTables>),
    ("DescribeSecurityGroupReferences", act::<security_group_reference::DescribeSecurityGroupReferences>),
    ("DescribeSecurityGroupRules", describe::<security_group_rule::DescribeSecurityGroupRules>),
    ("DescribeSecurityGroups", describe::<security_group::DescribeSecurityGroups>),
    ("DescribeStaleSecurityGroups", describe::<security_group_reference::DescribeStaleSecurityGroups>),
    ("DescribeSubnets", describe::<subnet::DescribeSubnets>),
    ("DescribeTags", describe::<tag::DescribeTags>),
    ("DescribeVolumes", describe::<nothing::DescribeVolumes>),
    ("DescribeVpcAttribute", act::<vpc::DescribeVpcAttribute>),
    ("DescribeVpcEndpointServices", act::<nothing::DescribeVpcEndpointServices>),
    ("DescribeVpcEndpoints", describe::<nothing::DescribeVpcEndpoints>),
    ("DescribeVpcPeeringConnections", describe::<vpc_peering_connection::DescribeVpcPeeringConnections>),
    ("DescribeVpcs", describe::<vpc::DescribeVpcs>),
    ("DescribeVpnConnections", describe::<nothing::DescribeVpnConnections>),
    ("DescribeVpnGateways", describe::<nothing::DescribeVpnGateways>),
    ("DetachInternetGateway", act::<internet_gateway::DetachInternetGateway>),
    ("DetachNetworkInterface", act::<network_interface::DetachNetworkInterface>),
    ("DisassociateAddress", act::<address::DisassociateAddress>),
    ("DisassociateNatGatewayAddress", act::<nat_gateway::DisassociateNatGatewayAddress>),
    ("DisassociateRouteTable", act::<route_table::DisassociateRouteTable>),
    ("DisassociateSubnetCidrBlock", act::<subnet_cidr::DisassociateSubnetCidrBlock>),
    ("DisassociateVpcCidrBlock", act::<vpc_cidr::DisassociateVpcCidrBlock>),
    ("GetConsoleOutput", act::<instance::GetConsoleOutput>),
    ("GetManagedPrefixListAssociations", describe::<prefix_list::GetManagedPrefixListAssociations>),
    ("GetManagedPrefixListEntries", describe::<prefix_list::GetManagedPrefixListEntries>),
    ("GetSubnetCidrReservations", act::<subnet_cidr_reservation::GetSubnetCidrReservations>),
    ("ImportKeyPair", act::<key_pair::ImportKeyPair>),
    ("ModifyInstanceAttribute", act::<instance_attribute::ModifyInstanceAttribute>),
    ("ModifyInstanceMetadataOptions", act::<instance_attribute::ModifyInstanceMetadataOptions>),
    ("ModifyManagedPrefixList", act::<prefix_list::ModifyManagedPrefixList>),
    ("ModifyNetworkInterfaceAttribute", act::<network_interface_attribute::ModifyNetworkInterfaceAttribute>),
    ("ModifySecurityGroupRules", act::<security_group_rule::ModifySecurityGroupRules>),
    ("ModifySubnetAttribute", act::<subnet::ModifySubnetAttribute>),
    ("ModifyVpcAttribute", act::<vpc::ModifyVpcAttribute>),
    ("RebootInstances", act::<instance_lifecycle::RebootInstances>),
    ("RegisterImage", act::<image::RegisterImage>),
    ("RejectVpcPeeringConnection", act::<vpc_peering_connection::RejectVpcPeeringConnection>),
    ("ReleaseAddress", act::<address::ReleaseAddress>),
    ("ReplaceNetworkAclAssociation", act::<network_acl::ReplaceNetworkAclAssociation>),
    ("ReplaceNetworkAclEntry", act::<network_acl::ReplaceNetworkAclEntry>),
    ("ReplaceRoute", act::<route::ReplaceRoute>),
    ("ReplaceRouteTableAssociation", act::<route_table::ReplaceRouteTableAssociation>),
    ("ResetInstanceAttribute", act::<instance_attribute::ResetInstanceAttribute>),
    ("ResetNetworkInterfaceAttribute", act::<network_interface_attribute::ResetNetworkInterfaceAttribute>),
    ("RestoreManagedPrefixListVersion", act::<prefix_list::RestoreManagedPrefixListVersion>),
    ("RevokeSecurityGroupEgress", act::<security_group_rule::RevokeSecurityGroupEgress>),
    ("RevokeSecurityGroupIngress", act::<security_group_rule::RevokeSecurityGroupIngress>),
    ("RunInstances", act::<run_instances::RunInstances>),
    ("StartInstances", act::<instance_lifecycle::StartInstances>),
    ("StopInstances", act::<instance_lifecycle::StopInstances>),
    ("TerminateInstances", act::<instance_lifecycle::TerminateInstances>),
    ("UnassignIpv6Addresses", act::<ipv6_address::UnassignIpv6Addresses>),
    ("UnassignPrivateIpAddresses", act::<network_interface::UnassignPrivateIpAddresses>),
    ("UnassignPrivateNatGatewayAddress", act::<nat_gateway::UnassignPrivateNatGatewayAddress>),
    (
        "UpdateSecurityGroupRuleDescriptionsEgress",
        act::<security_group_rule::UpdateSecurityGroupRuleDescriptionsEgress>,
    ),
    (
        "UpdateSecurityGroupRuleDescriptionsIngress",
        act::<security_group_rule::UpdateSecurityGroupRuleDescriptionsIngress>,
    ),
];

/// Every action of the API's version, one a line, so that what is not carried out can be told from what is not
/// there.
const KNOWN: &str = include_str!("known_actions.txt");

/// Most characters of a client token ("Ensuring idempotency in Amazon EC2 API requests").
const LONGEST_TOKEN: usize = 64;

type Handler = fn() -> Handling;

/// What an action does, and what it takes.
struct Handling {
    run: fn(&'static str, &Call<'_>, Parameters) -> Result<String, Error>,
    parameters: fn() -> Vec<Parameter>,
}

/// An action: its parameters as a struct.
trait Action: DeserializeOwned {
    /// Parameters that are no members of the struct.
    const LIMITS: &'static [Limit] = &[];
    /// Whether a client token makes sure that it is done once.
    const TAKES_TOKEN: bool = false;
    /// What is shown, a struct.
    type Answer: Serialize;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<Self::Answer, Error>;
}

/// An action that shows resources: those parameters as a struct that say which. Filters and pages come on top.
trait Describe: DeserializeOwned {
    /// Parameters that are no members of the struct.
    const LIMITS: &'static [Limit] = &[];
    /// The name of the list in the answer.
    const SET: &'static str;
    /// Its filters.
    const FILTERS: &'static Names;
    /// A resource as it is shown.
    type Shown: Serialize;

    /// Whether single resources are asked for by their ids.
    fn by_id(&self) -> bool;

    /// What is asked for, each with what tells it apart, in the order of these.
    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, Self::Shown)>, Error>;

    /// The list in the answer.
    fn list(shown: Vec<Self::Shown>) -> impl Serialize {
        shown
    }
}

/// Carries out a request, and gives the document that answers it.
pub(super) fn run(name: &str, call: &Call<'_>, parameters: Parameters) -> Result<String, Error> {
    match ACTIONS.binary_search_by_key(&name, |(known, _)| known) {
        Ok(at) => {
            let (name, handler) = ACTIONS[at];
            let document = (handler().run)(name, call, parameters)?;
            // Whoever changes nothing has not noticed.
            if call.dry_run { Err(Error::DryRun) } else { Ok(document) }
        }
        Err(_) if KNOWN.lines().any(|known| known == name) => Err(Error::UnsupportedAction(name.to_owned())),
        Err(_) => Err(Error::InvalidAction(name.to_owned())),
    }
}

/// Every action with its parameters.
pub(super) fn reference() -> Vec<reference::Action> {
    let action = |(name, handler): &(&'static str, Handler)| {
        let mut parameters = (handler().parameters)();
        parameters.sort_by(|one, other| one.name.cmp(&other.name));
        reference::Action { name, parameters }
    };
    ACTIONS.iter().map(action).collect()
}

fn act<A: Action>() -> Handling {
    Handling { run: run_action::<A>, parameters: parameters_of_action::<A> }
}

fn describe<D: Describe>() -> Handling {
    Handling { run: run_describe::<D>, parameters: parameters_of_describe::<D> }
}

fn run_action<A: Action>(
    name: &'static str,
    call: &Call<'_>,
    mut parameters: Parameters,
) -> Result<String, Error> {
    let token = if A::TAKES_TOKEN { parameters.take("ClientToken") } else { None };
    let action: A = parameters.decode(A::LIMITS)?;
    let token = token.map(|token| client_token(name, token, &parameters)).transpose()?;
    Ok(xml::response(name, call.id, &action.run(call, token)?)?)
}

fn run_describe<D: Describe>(
    name: &'static str,
    call: &Call<'_>,
    mut parameters: Parameters,
) -> Result<String, Error> {
    let paging: Paging = parameters.split_off(&["Filter", "MaxResults", "NextToken"]).decode(&[])?;
    let asked: D = parameters.decode(D::LIMITS)?;
    let selection = Selection {
        filters: &paging.filter,
        names: D::FILTERS,
        most: paging.max_results,
        next_token: paging.next_token.as_deref(),
        by_id: asked.by_id(),
    };
    let Page { items, next_token } = page::select(asked.all(call)?, &selection)?;
    Ok(xml::response(name, call.id, &Described { set: D::SET, list: D::list(items), next_token })?)
}

fn parameters_of_action<A: Action>() -> Vec<Parameter> {
    let token = A::TAKES_TOKEN.then(|| ("ClientToken".to_owned(), Scalar::Text));
    let taken = outline::<A>().into_iter().chain(token).map(Parameter::taken);
    taken.chain(A::LIMITS.iter().map(Parameter::limited)).collect()
}

fn parameters_of_describe<D: Describe>() -> Vec<Parameter> {
    let taken = outline::<D>().into_iter().chain(outline::<Paging>()).map(Parameter::taken);
    taken.chain(D::LIMITS.iter().map(Parameter::limited)).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Paging {
    #[serde(default)]
    filter: Vec<Filter>,
    max_results: Option<u32>,
    next_token: Option<String>,
}

struct Described<L> {
    set: &'static str,
    list: L,
    next_token: Option<String>,
}

impl<L: Serialize> Serialize for Described<L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Described", 2)?;
        members.serialize_field(self.set, &self.list)?;
        members.serialize_field("nextToken", &self.next_token)?;
        members.end()
    }
}

/// Whether a request asks for a dry run.
pub(super) fn is_dry_run(parameters: &mut Parameters) -> Result<bool, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct DryRun {
        #[serde(default)]
        dry_run: bool,
    }
    Ok(parameters.split_off(&["DryRun"]).decode::<DryRun>(&[])?.dry_run)
}

fn client_token(action: &str, token: String, parameters: &Parameters) -> Result<ClientToken, Error> {
    if token.len() > LONGEST_TOKEN || !token.is_ascii() {
        return Err(Error::InvalidValue {
            value: token,
            name: "ClientToken".to_owned(),
            reason: format!("Expecting at most {LONGEST_TOKEN} ASCII characters."),
        });
    }
    Ok(ClientToken { action: action.to_owned(), token, parameters: parameters.canonical() })
}

/// The answer of an action that has nothing to show.
#[derive(Debug, Serialize)]
struct Done {
    r#return: bool,
}

const DONE: Done = Done { r#return: true };

/// What a request gives as `Attribute.Value`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Given<T> {
    value: T,
}

/// What an answer shows as `attribute.value`.
#[derive(Debug, Serialize)]
struct Shown<T> {
    value: T,
}

/// A state of something that has it at once.
#[derive(Debug, Serialize)]
struct StateOf {
    state: &'static str,
}

/// The resources that were asked for by their ids, or all.
fn pick<'r, Id: Ord + Copy, T>(
    asked: &[Id],
    all: &'r BTreeMap<Id, T>,
    missing: impl Fn(Id) -> Fault,
) -> Result<Vec<&'r T>, Error> {
    if asked.is_empty() {
        return Ok(all.values().collect());
    }
    // In order and each once, whatever the request has.
    let asked: std::collections::BTreeSet<Id> = asked.iter().copied().collect();
    asked.into_iter().map(|id| all.get(&id).ok_or_else(|| missing(id).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_of_known_actions() {
        assert!(ACTIONS.is_sorted_by_key(|(name, _)| *name));
        for (name, _) in ACTIONS {
            assert!(KNOWN.lines().any(|known| known == *name), "{name}");
        }
    }
}
