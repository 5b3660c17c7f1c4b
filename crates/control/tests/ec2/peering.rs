//! VPC peering connections, and the default VPC.

use crate::AMI;
use crate::api::Endpoint;

fn vpc(api: &Endpoint, cidr: &str) -> String {
    api.fine("CreateVpc", &format!("CidrBlock={cidr}")).one("vpcId")
}

#[test]
fn two_vpcs_are_joined_and_parted() {
    let api = Endpoint::new();
    let (one, other) = (vpc(&api, "10.1.0.0/16"), vpc(&api, "10.2.0.0/16"));
    let create = format!("VpcId={one}&PeerVpcId={other}&PeerRegion=eu-west-1&PeerOwnerId=000000000000");
    let made = api.fine("CreateVpcPeeringConnection", &create);
    let id = made.one("vpcPeeringConnectionId");
    assert_eq!(
        (made.all("code"), made.all("cidrBlock")),
        (vec!["pending-acceptance".into()], vec!["10.1.0.0/16".into(), "10.1.0.0/16".into()])
    );
    assert_eq!(made.one("message"), "Pending Acceptance by 000000000000");
    assert!(!made.one("expirationTime").is_empty());
    let named = format!("VpcPeeringConnectionId={id}");
    let active = api.fine("AcceptVpcPeeringConnection", &named);
    assert_eq!((active.one("code"), active.all("cidrBlock").len()), ("active".into(), 4));

    let block = format!("VpcId={other}&AmazonProvidedIpv6CidrBlock=true");
    api.fine("AssociateVpcCidrBlock", &block);
    let shown = api.fine("DescribeVpcPeeringConnections", "");
    assert_eq!(shown.one("ipv6CidrBlock"), "2001:db8::/56");
    let table = api.fine("DescribeRouteTables", &format!("Filter.1.Name=vpc-id&Filter.1.Value.1={one}"));
    let route = format!("RouteTableId={}&VpcPeeringConnectionId={id}", table.one("routeTableId"));
    api.fine("CreateRoute", &format!("{route}&DestinationCidrBlock=10.2.0.0/16"));
    api.fine("CreateRoute", &format!("{route}&DestinationIpv6CidrBlock=2001:db8::/56"));
    let found = format!("Filter.1.Name=route.vpc-peering-connection-id&Filter.1.Value.1={id}");
    let shown = api.fine("DescribeRouteTables", &found);
    assert_eq!(shown.all("vpcPeeringConnectionId"), [id.clone(), id.clone()]);
    let inside = format!("{route}&DestinationCidrBlock=10.1.0.0/24");
    assert_eq!(api.refused("CreateRoute", &inside), (400, "InvalidParameterValue".into()));

    let before = api.region();
    for (action, form, code) in [
        ("AcceptVpcPeeringConnection", named.as_str(), "InvalidStateTransition"),
        ("RejectVpcPeeringConnection", &named, "InvalidStateTransition"),
        ("CreateVpcPeeringConnection", &create, "VpcPeeringConnectionAlreadyExists"),
        ("CreateVpcPeeringConnection", &create.replace("=eu-west-1", "=us-east-1"), "UnsupportedOperation"),
        ("CreateVpcPeeringConnection", &create.replace("000000000000", "1"), "UnsupportedOperation"),
        ("CreateVpcPeeringConnection", &format!("VpcId={one}"), "MissingParameter"),
        ("DeleteVpc", &format!("VpcId={one}"), "DependencyViolation"),
        (
            "DeleteVpcPeeringConnection",
            "VpcPeeringConnectionId=pcx-00000000",
            "InvalidVpcPeeringConnectionID.NotFound",
        ),
        ("DeleteVpcPeeringConnection", "VpcPeeringConnectionId=x", "InvalidVpcPeeringConnectionId.Malformed"),
    ] {
        assert_eq!(api.refused(action, form), (400, code.into()), "{action} {form}");
    }
    assert_eq!(api.region(), before);

    assert_eq!(api.fine("DeleteVpcPeeringConnection", &named).one("return"), "true");
    let shown =
        api.fine("DescribeVpcPeeringConnections", "Filter.1.Name=status-code&Filter.1.Value.1=deleted");
    assert_eq!((shown.one("vpcPeeringConnectionId"), shown.all("cidrBlock").len()), (id, 0));
    api.fine("DeleteVpc", &format!("VpcId={one}"));
}

#[test]
fn overlapping_addresses_fail() {
    let api = Endpoint::new();
    let (one, other) = (vpc(&api, "10.1.0.0/16"), vpc(&api, "10.1.128.0/17"));
    let made = api.fine("CreateVpcPeeringConnection", &format!("VpcId={one}&PeerVpcId={other}"));
    assert_eq!(made.one("code"), "failed");
    let named = format!("VpcPeeringConnectionId={}", made.one("vpcPeeringConnectionId"));
    assert_eq!(api.refused("AcceptVpcPeeringConnection", &named), (400, "InvalidStateTransition".into()));
}

#[test]
fn the_default_vpc_is_where_nothing_is_named() {
    let api = Endpoint::new();
    let account = |api: &Endpoint| {
        api.fine("DescribeAccountAttributes", "AttributeName.1=default-vpc").one("attributeValue")
    };
    assert_eq!(account(&api), "none");
    let zone = "AvailabilityZone=eu-west-1b";
    assert_eq!(api.refused("CreateDefaultSubnet", zone), (400, "DefaultVpcDoesNotExist".into()));
    let vpc = api.fine("CreateDefaultVpc", "").one("vpcId");
    assert_eq!(account(&api), vpc);
    assert_eq!(api.refused("CreateDefaultVpc", ""), (400, "DefaultVpcAlreadyExists".into()));
    let shown = api.fine("DescribeVpcs", "Filter.1.Name=is-default&Filter.1.Value.1=true");
    assert_eq!((shown.one("vpcId"), shown.one("cidrBlock")), (vpc.clone(), "172.31.0.0/16".into()));
    let subnets = "Filter.1.Name=default-for-az&Filter.1.Value.1=true";
    assert_eq!(api.fine("DescribeSubnets", subnets).all("mapPublicIpOnLaunch"), vec!["true"; 6]);

    let group = "GroupName=web&GroupDescription=x";
    let group = api.fine("CreateSecurityGroup", group).one("groupId");
    let launch = format!("ImageId={AMI}&MinCount=1&MaxCount=1");
    let instance = api.fine("RunInstances", &format!("{launch}&SecurityGroupId.1={group}"));
    assert_eq!((instance.one("vpcId"), instance.one("privateIpAddress")), (vpc, "172.31.0.4".into()));
    assert_eq!(instance.one("ipAddress"), "203.0.113.1", "default subnets map public addresses");
    let interface = format!("{launch}&NetworkInterface.1.DeviceIndex=0");
    assert_eq!(api.fine("RunInstances", &interface).one("privateIpAddress"), "172.31.0.5");

    assert_eq!(
        api.refused("CreateDefaultSubnet", zone),
        (400, "DefaultSubnetAlreadyExistsInAvailabilityZone".into())
    );
    let in_b = "Filter.1.Name=availability-zone&Filter.1.Value.1=eu-west-1b";
    let subnet = api.fine("DescribeSubnets", in_b).one("subnetId");
    api.fine("DeleteSubnet", &format!("SubnetId={subnet}"));
    let made = api.fine("CreateDefaultSubnet", zone);
    assert_eq!((made.one("cidrBlock"), made.one("defaultForAz")), ("172.31.16.0/20".into(), "true".into()));
}

#[test]
fn a_default_vpc_without_subnets_launches_nothing() {
    let api = Endpoint::new();
    api.fine("CreateDefaultVpc", "");
    for subnet in api.fine("DescribeSubnets", "").all("subnetId") {
        api.fine("DeleteSubnet", &format!("SubnetId={subnet}"));
    }
    let launch = format!("ImageId={AMI}&MinCount=1&MaxCount=1");
    assert_eq!(api.refused("RunInstances", &launch), (400, "MissingInput".into()));
}
