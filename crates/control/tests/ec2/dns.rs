//! The DNS attributes of VPCs and subnets, and the names that come with them.

use crate::api::Endpoint;
use crate::{launch, network};

fn attribute(api: &Endpoint, vpc: &str, name: &str) -> String {
    api.fine("DescribeVpcAttribute", &format!("VpcId={vpc}&Attribute={name}")).one("value")
}

fn set(api: &Endpoint, vpc: &str, attribute: &str) {
    api.fine("ModifyVpcAttribute", &format!("VpcId={vpc}&{attribute}"));
}

#[test]
fn a_vpc_has_a_resolver_and_no_names_unless_it_is_the_default() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let default = api.fine("CreateDefaultVpc", "").one("vpcId");
    for (vpc, support, hostnames) in [(&vpc, "true", "false"), (&default, "true", "true")] {
        assert_eq!(attribute(&api, vpc, "enableDnsSupport"), support);
        assert_eq!(attribute(&api, vpc, "enableDnsHostnames"), hostnames);
        assert_eq!(attribute(&api, vpc, "enableNetworkAddressUsageMetrics"), "false");
    }
    set(&api, &vpc, "EnableDnsSupport.Value=false");
    assert_eq!(attribute(&api, &vpc, "enableDnsSupport"), "false");
    let names = format!("VpcId={vpc}&EnableDnsHostnames.Value=true");
    let refused = (400, "InvalidParameterValue".to_owned());
    assert_eq!(api.refused("ModifyVpcAttribute", &names), refused);
    set(&api, &vpc, "EnableDnsSupport.Value=true");
    api.fine("ModifyVpcAttribute", &names);
    assert_eq!(attribute(&api, &vpc, "enableDnsHostnames"), "true");
}

#[test]
fn public_names_are_shown_where_they_are() {
    let api = Endpoint::new();
    let (vpc, subnet) = network(&api);
    let gateway = api.fine("CreateInternetGateway", "").one("internetGatewayId");
    api.fine("AttachInternetGateway", &format!("InternetGatewayId={gateway}&VpcId={vpc}"));
    api.fine("ModifySubnetAttribute", &format!("SubnetId={subnet}&MapPublicIpOnLaunch.Value=true"));
    let instance = launch(&api, &subnet);
    let name = "ec2-203-0-113-1.eu-west-1.compute.amazonaws.com";
    let instance = format!("InstanceId.1={instance}");
    let shown = |names: bool| {
        let instances = api.fine("DescribeInstances", &instance);
        let interfaces = api.fine("DescribeNetworkInterfaces", "");
        let expected = if names { name } else { "" };
        assert_eq!(instances.one("dnsName"), expected);
        assert!(interfaces.all("publicDnsName").iter().all(|shown| shown == expected), "{interfaces:?}");
        let filter = format!("Filter.1.Name=association.public-dns-name&Filter.1.Value.1={name}");
        let found = api.fine("DescribeNetworkInterfaces", &filter);
        assert_eq!(found.all("networkInterfaceId").len(), usize::from(names));
    };
    shown(false);
    set(&api, &vpc, "EnableDnsHostnames.Value=true");
    shown(true);
    set(&api, &vpc, "EnableDnsSupport.Value=false");
    shown(false);
}

#[test]
fn dns64_is_for_subnets_with_ipv6() {
    let api = Endpoint::new();
    let vpc = api.fine("CreateVpc", "CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true").one("vpcId");
    let create = format!("VpcId={vpc}&CidrBlock=10.0.1.0/24");
    let subnet = api.fine("CreateSubnet", &create).one("subnetId");
    let modify = format!("SubnetId={subnet}&EnableDns64.Value=true");
    let refused = (400, "InvalidParameterValue".to_owned());
    assert_eq!(api.refused("ModifySubnetAttribute", &modify), refused);
    api.fine("AssociateSubnetCidrBlock", &format!("SubnetId={subnet}&Ipv6CidrBlock=2001:db8:0:1::/64"));
    api.fine("ModifySubnetAttribute", &modify);
    let filter = "Filter.1.Name=enable-dns64&Filter.1.Value.1=true";
    assert_eq!(api.fine("DescribeSubnets", filter).one("subnetId"), subnet);
    let both = format!("{modify}&MapPublicIpOnLaunch.Value=true");
    let refused = (400, "InvalidParameterCombination".to_owned());
    assert_eq!(api.refused("ModifySubnetAttribute", &both), refused);
}
