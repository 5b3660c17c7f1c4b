//! Whatever is asked: an answer, and nothing changes but by an answer of success.

use proptest::prelude::*;
use proptest::sample::select;

use crate::api::Endpoint;

const ACTIONS: &[&str] = &[
    "AcceptVpcPeeringConnection",
    "AllocateAddress",
    "AssignIpv6Addresses",
    "AssignPrivateIpAddresses",
    "AssignPrivateNatGatewayAddress",
    "AssociateAddress",
    "AssociateDhcpOptions",
    "AssociateRouteTable",
    "AssociateSubnetCidrBlock",
    "AssociateVpcCidrBlock",
    "AttachInternetGateway",
    "AttachNetworkInterface",
    "AuthorizeSecurityGroupIngress",
    "CreateDefaultVpc",
    "CreateDhcpOptions",
    "CreateEgressOnlyInternetGateway",
    "CreateFlowLogs",
    "CreateInternetGateway",
    "CreateManagedPrefixList",
    "CreateNatGateway",
    "CreateNetworkAcl",
    "CreateNetworkAclEntry",
    "CreateNetworkInterface",
    "CreateRoute",
    "CreateRouteTable",
    "CreateSecurityGroup",
    "CreateSubnet",
    "CreateTags",
    "CreateVpc",
    "CreateVpcPeeringConnection",
    "DeleteDhcpOptions",
    "DeleteNetworkAcl",
    "DeleteSecurityGroup",
    "DeleteSubnet",
    "DeleteTags",
    "DeleteVpc",
    "DeregisterImage",
    "DescribeDhcpOptions",
    "DescribeEgressOnlyInternetGateways",
    "DescribeFlowLogs",
    "DescribeImages",
    "DescribeInstanceTypeOfferings",
    "DescribeInstances",
    "DescribeManagedPrefixLists",
    "DescribeNatGateways",
    "DescribeNetworkAcls",
    "DescribeNetworkInterfaces",
    "DescribeRouteTables",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeVpcs",
    "DescribeStaleSecurityGroups",
    "GetConsoleOutput",
    "GetManagedPrefixListEntries",
    "ImportKeyPair",
    "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
    "ModifySecurityGroupRules",
    "ModifySubnetAttribute",
    "ModifyVpcAttribute",
    "ReplaceNetworkAclAssociation",
    "ReplaceRoute",
    "RegisterImage",
    "RevokeSecurityGroupIngress",
    "RunInstances",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
];

const NAMES: &[&str] = &[
    "AddressFamily",
    "AmazonProvidedIpv6CidrBlock",
    "AssignIpv6AddressOnCreation.Value",
    "Attribute",
    "CidrBlock",
    "ClientToken",
    "ConnectivityType",
    "DestinationCidrBlock",
    "DestinationIpv6CidrBlock",
    "DeviceIndex",
    "DhcpConfiguration.1.Key",
    "DhcpConfiguration.1.Value.1",
    "DhcpOptionsId",
    "DryRun",
    "Egress",
    "Entry.1.Cidr",
    "Filter.1.Name",
    "Filter.1.Value.1",
    "GatewayId",
    "GroupId",
    "GroupName",
    "ImageId",
    "ImageLocation",
    "InstanceId",
    "InstanceId.1",
    "InternetGatewayId",
    "IpPermissions.1.IpProtocol",
    "IpPermissions.1.IpRanges.1.CidrIp",
    "IpPermissions.1.Ipv6Ranges.1.CidrIpv6",
    "Ipv6AddressCount",
    "Ipv6Addresses.1",
    "Ipv6CidrBlock",
    "MapPublicIpOnLaunch.Value",
    "MaxCount",
    "MaxEntries",
    "MaxResults",
    "MinCount",
    "NetworkInterface.1.AssociatePublicIpAddress",
    "NetworkAclId",
    "NetworkInterface.1.DeviceIndex",
    "NetworkInterface.1.SubnetId",
    "NatGatewayId",
    "NetworkInterfaceId",
    "PeerVpcId",
    "PortRange.From",
    "PortRange.To",
    "PrefixListName",
    "PrivateIpAddress",
    "PrivateIpAddresses.1.PrivateIpAddress",
    "Protocol",
    "PublicKeyMaterial",
    "ResourceId.1",
    "RouteTableId",
    "RuleAction",
    "RuleNumber",
    "SecurityGroupRule.1.SecurityGroupRule.CidrIpv4",
    "SecurityGroupRule.1.SecurityGroupRule.IpProtocol",
    "SecurityGroupRule.1.SecurityGroupRuleId",
    "SubnetId",
    "Tag.1.Key",
    "Tag.1.Value",
    "UserData",
    "Value",
    "VpcId",
    "VpcId.1",
    "VpcPeeringConnectionId",
    "a..b",
];

/// What a value is made of: each stands for something that is there, or for itself.
const VALUES: &[&str] = &[
    "$vpc",
    "$subnet",
    "$table",
    "$group",
    "$acl",
    "$options",
    "$rule",
    "private",
    "default",
    "domain-name",
    "netbios-node-type",
    "allow",
    "ami-00000000000000001",
    "vpc-00000000",
    "10.0.0.0/16",
    "10.0.1.0/24",
    "10.0.1.7",
    "0.0.0.0/0",
    "::/0",
    "2001:db8:0:1::/64",
    "2001:db8:0:1::7",
    "IPv6",
    "true",
    "-1",
    "0",
    "1",
    "2",
    "9999999999",
    "tag:Name",
    "vpc-id",
    "*",
    "",
    "%20%C3%BC",
    "%00",
    "&",
    "Zm9v",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn answers_are_whole(
        requests in prop::collection::vec(
            (select(ACTIONS), prop::collection::vec((select(NAMES), select(VALUES)), 0..6)),
            1..24,
        ),
    ) {
        let api = Endpoint::new();
        let create = "CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true";
        let vpc = api.fine("CreateVpc", create).one("vpcId");
        let subnet = api.fine("CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.1.0/24")).one("subnetId");
        let table = api.fine("DescribeRouteTables", "").one("routeTableId");
        let group = api.fine("DescribeSecurityGroups", "").one("groupId");
        let acl = api.fine("DescribeNetworkAcls", "").one("networkAclId");
        let options = api.fine("DescribeDhcpOptions", "").one("dhcpOptionsId");
        let rule = api.fine("DescribeSecurityGroupRules", "").all("securityGroupRuleId").remove(0);
        for (action, parameters) in requests {
            let form: Vec<_> = parameters
                .iter()
                .map(|(name, value)| match *value {
                    "$vpc" => format!("{name}={vpc}"),
                    "$subnet" => format!("{name}={subnet}"),
                    "$table" => format!("{name}={table}"),
                    "$group" => format!("{name}={group}"),
                    "$acl" => format!("{name}={acl}"),
                    "$options" => format!("{name}={options}"),
                    "$rule" => format!("{name}={rule}"),
                    value => format!("{name}={value}"),
                })
                .collect();
            let form = form.join("&");
            let before = api.region();
            let answer = api.ask(action, &form, &[]);
            match answer.status {
                200 => prop_assert_eq!(answer.all("requestId").len(), 1, "{} {}", action, form),
                400 | 412 => {
                    prop_assert!(!answer.one("Code").is_empty() && !answer.one("Message").is_empty());
                    prop_assert_eq!(api.region(), before, "{} {}", action, form);
                }
                other => prop_assert!(false, "{other}: {action} {form} {answer:?}"),
            }
        }
    }
}
