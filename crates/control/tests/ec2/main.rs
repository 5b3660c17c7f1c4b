//! The EC2 Query API, asked as clients ask, without a socket.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod any_request;
mod api;
mod dhcp_options;
mod dns;
mod flow_logs;
mod image;
mod instance;
mod ipv6;
mod nat_gateway;
mod network_acl;
mod nothing;
mod peer_groups;
mod peering;
mod prefix_lists;
mod prefixes;
mod public_address;
mod security_group_rules;
mod shaped_request;
mod signed;

#[path = "../../../model/tests/any_changes/rules.rs"]
mod invariants;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::Endpoint;
use model::{Change, Fault, InstanceState, RegionKey};

const AMI: &str = "ami-00000000000000001";

/// A VPC with a subnet.
fn network(api: &Endpoint) -> (String, String) {
    let vpc = api.fine("CreateVpc", "CidrBlock=10.0.0.0/16").one("vpcId");
    let subnet = api.fine("CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.1.0/24")).one("subnetId");
    (vpc, subnet)
}

fn launch(api: &Endpoint, subnet: &str) -> String {
    let form = format!("ImageId={AMI}&MinCount=1&MaxCount=1&InstanceType=t3.micro&SubnetId={subnet}");
    api.fine("RunInstances", &form).one("instanceId")
}

/// What the machines' side does.
fn settle(api: &Endpoint, state: InstanceState) {
    for key in api.store.regions() {
        for instance in api.store.region(&key).instances().keys().copied() {
            let set = Change::SetInstanceState { instance, state };
            api.store.commit::<_, Fault>(&key, move |transaction| transaction.apply(set)).unwrap();
        }
    }
}

#[test]
fn a_network_comes_and_goes() {
    let api = Endpoint::new();
    let (vpc, subnet) = network(&api);
    let main = api.fine("DescribeRouteTables", "Filter.1.Name=association.main&Filter.1.Value.1=true");
    let gateway = api.fine("CreateInternetGateway", "").one("internetGatewayId");
    api.fine("AttachInternetGateway", &format!("InternetGatewayId={gateway}&VpcId={vpc}"));
    let route = format!("RouteTableId={}&DestinationCidrBlock=0.0.0.0/0", main.one("routeTableId"));
    api.fine("CreateRoute", &format!("{route}&GatewayId={gateway}"));
    let group = api
        .fine("CreateSecurityGroup", &format!("VpcId={vpc}&GroupName=web&GroupDescription=x"))
        .one("groupId");
    let ssh = format!(
        "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&\
        IpPermissions.1.ToPort=22&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0"
    );
    api.fine("AuthorizeSecurityGroupIngress", &ssh);
    let instance = launch(&api, &subnet);
    settle(&api, InstanceState::Running);
    let address = api.fine("AllocateAddress", "Domain=vpc").one("allocationId");
    let associate = format!("AllocationId={address}&InstanceId={instance}");
    let association = api.fine("AssociateAddress", &associate).one("associationId");

    let shown = api.fine("DescribeInstances", &format!("InstanceId.1={instance}"));
    assert_eq!(shown.one("name"), "running");
    assert_eq!(
        (shown.one("ipAddress"), shown.one("privateIpAddress")),
        ("203.0.113.1".into(), "10.0.1.4".into())
    );

    for (action, form) in [
        ("DeleteVpc", format!("VpcId={vpc}")),
        ("DeleteSubnet", format!("SubnetId={subnet}")),
        ("DetachInternetGateway", format!("InternetGatewayId={gateway}&VpcId={vpc}")),
        ("DeleteInternetGateway", format!("InternetGatewayId={gateway}")),
    ] {
        assert_eq!(api.refused(action, &form), (400, "DependencyViolation".into()), "{action}");
    }
    api.fine("DisassociateAddress", &format!("AssociationId={association}"));
    api.fine("ReleaseAddress", &format!("AllocationId={address}"));
    let ending = api.fine("TerminateInstances", &format!("InstanceId.1={instance}"));
    assert_eq!(ending.all("name"), ["shutting-down", "running"]);
    settle(&api, InstanceState::Terminated);
    api.fine("RevokeSecurityGroupIngress", &ssh);
    api.fine("DeleteSecurityGroup", &format!("GroupId={group}"));
    api.fine("DeleteRoute", &route);
    api.fine("DetachInternetGateway", &format!("InternetGatewayId={gateway}&VpcId={vpc}"));
    api.fine("DeleteInternetGateway", &format!("InternetGatewayId={gateway}"));
    api.fine("DeleteSubnet", &format!("SubnetId={subnet}"));
    api.fine("DeleteVpc", &format!("VpcId={vpc}"));
    for action in
        ["Vpcs", "Subnets", "RouteTables", "InternetGateways", "SecurityGroups", "NetworkInterfaces"]
    {
        let rest = api.fine(&format!("Describe{action}"), "");
        assert!(rest.all("item").is_empty(), "{action}: {rest:?}");
    }
}

#[test]
fn refusals_have_codes_and_change_nothing() {
    let api = Endpoint::new();
    let (vpc, subnet) = network(&api);
    let before = api.region();
    let [vpc, subnet] = [format!("VpcId={vpc}"), format!("SubnetId={subnet}")];
    for (action, form, status, code) in [
        ("CreateVpc", "CidrBlock=10.0.0.0/16&DryRun=true", 412, "DryRunOperation"),
        ("CreateVpc", "", 400, "MissingParameter"),
        ("CreateVpc", "CidrBlock=10.0.0.0", 400, "InvalidParameterValue"),
        ("CreateVpc", "CidrBlock=10.0.0.0/8", 400, "InvalidVpc.Range"),
        ("CreateVpc", "CidrBlock=10.0.0.0/16&InstanceTenancy=dedicated", 400, "UnsupportedOperation"),
        ("CreateVpc", "CidrBlock=10.0.0.0/16&Ipv6Pool=mine", 400, "UnsupportedOperation"),
        ("CreateVpc", "CidrBlock=10.0.0.0/16&Colour=blue", 400, "UnknownParameter"),
        ("CreateVpc", "CidrBlock=10.0.0.0/16&ClientToken=x", 400, "UnknownParameter"),
        ("CreateVpnGateway", "Type=ipsec.1", 400, "UnsupportedOperation"),
        ("CreateNatGateway", &subnet, 400, "MissingParameter"),
        ("ModifySubnetAttribute", &subnet, 400, "InvalidParameterCombination"),
        ("ModifySubnetAttribute", &format!("{subnet}&EnableDns64.Value=true"), 400, "InvalidParameterValue"),
        (
            "ModifySubnetAttribute",
            &format!("{subnet}&PrivateDnsHostnameTypeOnLaunch=resource-name"),
            400,
            "UnsupportedOperation",
        ),
        (
            "ModifySubnetAttribute",
            "SubnetId=subnet-00000000&MapPublicIpOnLaunch.Value=true",
            400,
            "InvalidSubnetID.NotFound",
        ),
        ("ModifyVpcAttribute", &vpc, 400, "InvalidParameterCombination"),
        (
            "ModifyVpcAttribute",
            &format!("{vpc}&EnableDnsSupport.Value=true&EnableDnsHostnames.Value=true"),
            400,
            "InvalidParameterCombination",
        ),
        (
            "ModifyVpcAttribute",
            &format!("{vpc}&EnableNetworkAddressUsageMetrics.Value=true"),
            400,
            "UnsupportedOperation",
        ),
        (
            "ModifyVpcAttribute",
            "VpcId=vpc-00000000&EnableDnsSupport.Value=false",
            400,
            "InvalidVpcID.NotFound",
        ),
        ("DescribeNothing", "", 400, "InvalidAction"),
        ("DeleteVpc", &vpc, 400, "DependencyViolation"),
        ("DeleteVpc", "VpcId=vpc-00000000", 400, "InvalidVpcID.NotFound"),
        ("DeleteVpc", "VpcId=subnet-00000000", 400, "InvalidVpcID.Malformed"),
        ("DescribeVpcs", "VpcId.1=vpc-00000000", 400, "InvalidVpcID.NotFound"),
        ("DescribeVpcs", "Filter.1.Name=colour&Filter.1.Value.1=x", 400, "InvalidParameterValue"),
        ("DescribeVpcs", "MaxResults=4", 400, "InvalidParameterValue"),
        ("DescribeVpcs", "NextToken=!", 400, "InvalidNextToken"),
        ("DescribeVpcs", "VpcId.1=vpc-00000000&DryRun=true", 400, "InvalidVpcID.NotFound"),
        ("DescribeVpcs", "DryRun=true", 412, "DryRunOperation"),
        ("CreateSubnet", &format!("{vpc}&CidrBlock=10.0.1.0/28&DryRun=true"), 400, "InvalidSubnet.Conflict"),
        ("CreateSubnet", &format!("{vpc}&CidrBlock=10.0.2.0/28&DryRun=true"), 412, "DryRunOperation"),
        ("DeleteSubnet", &format!("{subnet}&DryRun=true"), 412, "DryRunOperation"),
        ("AllocateAddress", "DryRun=true", 412, "DryRunOperation"),
        (
            "RunInstances",
            &format!("ImageId={AMI}&MinCount=1&MaxCount=1&{subnet}&ClientToken=t&DryRun=true"),
            412,
            "DryRunOperation",
        ),
        (
            "RunInstances",
            &format!("ImageId={AMI}&MinCount=300&MaxCount=300&{subnet}&ClientToken=t&DryRun=true"),
            400,
            "InsufficientFreeAddressesInSubnet",
        ),
        ("CreateSubnet", &format!("{vpc}&CidrBlock=10.0.1.0/28"), 400, "InvalidSubnet.Conflict"),
        ("CreateSubnet", &format!("{vpc}&CidrBlock=10.1.1.0/28"), 400, "InvalidSubnet.Range"),
        ("CreateSecurityGroup", "GroupName=a&GroupDescription=b", 400, "VPCIdNotSpecified"),
        ("CreateRoute", "RouteTableId=rtb-00000000&DestinationCidrBlock=0.0.0.0/0", 400, "MissingParameter"),
        (
            "CreateRoute",
            "RouteTableId=rtb-00000000&DestinationCidrBlock=0.0.0.0/0&GatewayId=vgw-00000000",
            400,
            "UnsupportedOperation",
        ),
        (
            "CreateRoute",
            "RouteTableId=rtb-00000000&DestinationCidrBlock=0.0.0.0/0&GatewayId=igw-00000000",
            400,
            "InvalidRouteTableID.NotFound",
        ),
        ("RunInstances", "ImageId=ami-00000000&MinCount=1&MaxCount=1", 400, "InvalidAMIID.NotFound"),
        ("RunInstances", &format!("ImageId={AMI}&MinCount=1&MaxCount=1"), 400, "VPCIdNotSpecified"),
        (
            "RunInstances",
            &format!("ImageId={AMI}&MinCount=2&MaxCount=1&{subnet}"),
            400,
            "InvalidParameterValue",
        ),
        (
            "RunInstances",
            &format!("ImageId={AMI}&MinCount=1&MaxCount=1&{subnet}&InstanceType=x"),
            400,
            "InvalidParameterValue",
        ),
        (
            "RunInstances",
            &format!("ImageId={AMI}&MinCount=1&MaxCount=1&{subnet}&UserData=%21"),
            400,
            "InvalidParameterValue",
        ),
        (
            "RunInstances",
            &format!("ImageId={AMI}&MinCount=1&MaxCount=1&{subnet}&KeyName=x"),
            400,
            "InvalidKeyPair.NotFound",
        ),
        (
            "RunInstances",
            &format!("ImageId={AMI}&MinCount=1&MaxCount=1&{subnet}&ClientToken={}", "x".repeat(65)),
            400,
            "InvalidParameterValue",
        ),
        (
            "RunInstances",
            &format!("ImageId={AMI}&MinCount=300&MaxCount=300&{subnet}"),
            400,
            "InsufficientFreeAddressesInSubnet",
        ),
        ("TerminateInstances", "", 400, "MissingParameter"),
        ("StartInstances", "InstanceId.1=i-00000000", 400, "InvalidInstanceID.NotFound"),
        ("AllocateAddress", "Domain=standard", 400, "UnsupportedOperation"),
        ("AllocateAddress", "Address=192.0.2.1", 400, "InvalidParameterValue"),
        ("ImportKeyPair", "KeyName=k&PublicKeyMaterial=Zm9v", 400, "InvalidKey.Format"),
        ("CreateTags", "ResourceId.1=x&Tag.1.Key=k", 400, "InvalidID"),
        ("CreateTags", "ResourceId.1=vpc-00000000&Tag.1.Key=k&Tag.2.Key=k", 400, "InvalidParameterValue"),
        (
            "CreateVpc",
            "CidrBlock=10.0.0.0/16&TagSpecification.1.ResourceType=subnet&TagSpecification.1.Tag.1.Key=k",
            400,
            "InvalidParameterValue",
        ),
    ] {
        assert_eq!(api.refused(action, form), (status, code.to_owned()), "{action} {form}");
    }
    assert_eq!(api.region(), before);
    // The token of a dry run is still unused.
    let launch = format!("ImageId={AMI}&MinCount=1&MaxCount=1&{subnet}&ClientToken=t");
    assert_eq!(api.fine("RunInstances", &launch).one("clientToken"), "t");
    api.fine("ModifyVpcAttribute", &format!("{vpc}&EnableDnsSupport.Value=false"));
}

#[test]
fn rules_are_found_by_what_they_allow() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let create = format!("VpcId={vpc}&GroupName=web&GroupDescription=x");
    let group = api.fine("CreateSecurityGroup", &create).one("groupId");
    let dns = format!("GroupId={group}&IpProtocol=17&FromPort=53&ToPort=53&CidrIp=10.1.2.3/8");
    let rule = api.fine("AuthorizeSecurityGroupIngress", &dns);
    assert_eq!((rule.one("ipProtocol"), rule.one("cidrIpv4")), ("udp".into(), "10.0.0.0/8".into()));
    let same = (400, "InvalidPermission.Duplicate".to_owned());
    assert_eq!(api.refused("AuthorizeSecurityGroupIngress", &dns), same);

    let missing = (400, "InvalidPermission.NotFound".to_owned());
    assert_eq!(api.refused("RevokeSecurityGroupEgress", &dns), missing);
    let before = api.region();
    let two = format!(
        "GroupId={group}&SecurityGroupRuleId.1={}&SecurityGroupRuleId.2=sgr-00000000",
        rule.one("securityGroupRuleId")
    );
    let unknown = (400, "InvalidSecurityGroupRuleId.NotFound".to_owned());
    assert_eq!(api.refused("RevokeSecurityGroupIngress", &two), unknown);
    assert_eq!(api.region(), before, "all or none");

    let other_form = format!("GroupId={group}&IpProtocol=udp&FromPort=53&ToPort=53&CidrIp=10.0.0.0/8");
    let revoked = api.fine("RevokeSecurityGroupIngress", &other_form);
    assert_eq!(revoked.one("securityGroupRuleId"), rule.one("securityGroupRuleId"));
    assert_eq!(api.refused("RevokeSecurityGroupIngress", &dns), missing);
}

#[test]
fn a_token_makes_one_launch_of_many_requests() {
    let api = Arc::new(Endpoint::new());
    let (_, subnet) = network(&api);
    let form = format!("ImageId={AMI}&MinCount=2&MaxCount=2&SubnetId={subnet}&ClientToken=once");
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let (api, form) = (Arc::clone(&api), form.clone());
            std::thread::spawn(move || api.fine("RunInstances", &form).all("instanceId"))
        })
        .collect();
    let answers: Vec<_> = asking.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(api.region().instances().len(), 2);

    let other = form.replace("MaxCount=2", "MaxCount=3");
    assert_eq!(api.refused("RunInstances", &other), (400, "IdempotentParameterMismatch".into()));
    let table = format!("VpcId={}&ClientToken=once", api.fine("DescribeVpcs", "").one("vpcId"));
    let made = api.fine("CreateRouteTable", &table).one("routeTableId");
    assert_eq!(api.fine("CreateRouteTable", &table).one("routeTableId"), made, "a token is for one action");
}

#[test]
fn as_many_instances_as_there_is_room_for() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let subnet = api.fine("CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.2.0/28")).one("subnetId");
    let form = format!("ImageId={AMI}&MinCount=3&MaxCount=20&SubnetId={subnet}");
    assert_eq!(api.fine("RunInstances", &form).all("amiLaunchIndex").len(), 11);
    assert_eq!(api.refused("RunInstances", &form), (400, "InsufficientFreeAddressesInSubnet".into()));
}

#[test]
fn regions_are_apart_but_share_the_pool() {
    let api = Endpoint::new();
    network(&api);
    let far = "AWS4-HMAC-SHA256 Credential=k/20261123/us-east-1/ec2/aws4_request, Signature=x";
    let there = |action: &str, form: &str| api.ask(action, form, &[("Authorization", far)]);
    assert!(there("DescribeVpcs", "").all("vpcId").is_empty());
    assert_eq!(there("DescribeAvailabilityZones", "").all("zoneName")[0], "us-east-1a");

    let here = api.fine("AllocateAddress", "").one("publicIp");
    assert_eq!(here, "203.0.113.1");
    assert_eq!(there("AllocateAddress", "").one("publicIp"), "203.0.113.2");
    assert_eq!(there("AllocateAddress", &format!("Address={here}")).one("Code"), "InvalidIPAddress.InUse");
    for _ in 0..4 {
        api.fine("AllocateAddress", "");
    }
    assert_eq!(there("AllocateAddress", "").one("Code"), "InsufficientAddressCapacity");
    let keys: Vec<RegionKey> = api.store.regions();
    assert_eq!(keys.iter().map(|key| key.region.0.as_str()).collect::<Vec<_>>(), ["eu-west-1", "us-east-1"]);

    let bad = api.ask("DescribeVpcs", "", &[("Authorization", "AWS4-HMAC-SHA256 Credential=k/ec2")]);
    assert_eq!((bad.status, bad.one("Code").as_str()), (401, "AuthFailure"));
}

#[test]
fn long_answers_come_in_parts() {
    let api = Endpoint::new();
    let (_, subnet) = network(&api);
    api.fine("RunInstances", &format!("ImageId={AMI}&MinCount=7&MaxCount=7&SubnetId={subnet}"));
    let alone = launch(&api, &subnet);
    let (mut seen, mut shown) = (BTreeSet::new(), 0);
    let mut form = "MaxResults=5".to_owned();
    loop {
        let part = api.fine("DescribeInstances", &form);
        seen.extend(part.all("instanceId"));
        shown += part.all("amiLaunchIndex").len();
        let Some(token) = part.all("nextToken").pop() else { break };
        form = format!("MaxResults=5&NextToken={token}");
    }
    assert_eq!((seen.len(), shown), (8, 8));
    let with_id = format!("MaxResults=5&InstanceId.1={alone}");
    assert_eq!(api.refused("DescribeInstances", &with_id), (400, "InvalidParameterCombination".into()));
}

#[test]
fn who_am_i() {
    let api = Endpoint::new();
    let answer = api.get("Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Date=now");
    assert_eq!((answer.status, answer.one("Account").as_str()), (200, "000000000000"));
    let answer = api.get("Action=DescribeRegions&Version=2016-11-15");
    assert_eq!(answer.all("regionEndpoint")[0], "cloud.example:4566");
    assert_eq!(api.get("Action=DescribeRegions&Version=1999-01-01").one("Code"), "NoSuchVersion");
    assert_eq!(api.get("").one("Code"), "MissingAction");
}
