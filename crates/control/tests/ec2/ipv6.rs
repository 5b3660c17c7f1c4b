//! IPv6: from the VPC's block to an instance's addresses, and the ways out.

use crate::api::Endpoint;
use crate::{AMI, launch};

/// A VPC with 2001:db8::/56 and a subnet with 2001:db8:0:1::/64.
fn network(api: &Endpoint) -> (String, String) {
    let create = "CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true";
    let vpc = api.fine("CreateVpc", create).one("vpcId");
    let create = format!("VpcId={vpc}&CidrBlock=10.0.1.0/24&Ipv6CidrBlock=2001:db8:0:1::/64");
    let subnet = api.fine("CreateSubnet", &create).one("subnetId");
    (vpc, subnet)
}

#[test]
fn blocks_come_from_the_pool_of_all_regions() {
    let api = Endpoint::new();
    let (vpc, subnet) = network(&api);
    let shown = api.fine("DescribeVpcs", &format!("VpcId.1={vpc}"));
    assert_eq!(shown.one("ipv6CidrBlock"), "2001:db8::/56");
    assert_eq!(shown.one("ipv6Pool"), "Amazon");
    let acl = api.fine("DescribeNetworkAcls", "");
    assert_eq!(acl.all("ruleNumber"), ["100", "101", "32767", "32768"].repeat(2));
    assert_eq!(acl.all("ipv6CidrBlock"), vec!["::/0"; 4]);
    let shown = api.fine("DescribeSubnets", &format!("SubnetId.1={subnet}"));
    assert_eq!(shown.one("ipv6CidrBlock"), "2001:db8:0:1::/64");

    let far = "AWS4-HMAC-SHA256 Credential=k/20261123/us-east-1/ec2/aws4_request, Signature=x";
    let create = "CidrBlock=10.0.0.0/16&AmazonProvidedIpv6CidrBlock=true";
    api.ask("CreateVpc", create, &[("Authorization", far)]);
    let there = api.ask("DescribeVpcs", "", &[("Authorization", far)]);
    assert_eq!(there.one("ipv6CidrBlock"), "2001:db8:0:100::/56");
    let associate = format!("VpcId={vpc}&AmazonProvidedIpv6CidrBlock=true");
    let second = api.fine("AssociateVpcCidrBlock", &associate);
    assert_eq!(second.one("ipv6CidrBlock"), "2001:db8:0:200::/56");
    assert_eq!(second.one("state"), "associating");
    api.fine("AssociateVpcCidrBlock", &associate);
    let full = (400, "InsufficientAddressCapacity".to_owned());
    assert_eq!(api.refused("AssociateVpcCidrBlock", &associate), full);

    let free = format!("AssociationId={}", second.one("associationId"));
    assert_eq!(api.fine("DisassociateVpcCidrBlock", &free).one("state"), "disassociating");
    assert_eq!(
        api.fine("AssociateVpcCidrBlock", &associate).one("ipv6CidrBlock"),
        "2001:db8:0:200::/56",
        "what is given back is free"
    );
    // The whole pool is taken, and a dry run knows it.
    for (action, form) in [("AssociateVpcCidrBlock", associate.as_str()), ("CreateVpc", create)] {
        let (status, code) = api.refused(action, &format!("{form}&DryRun=true"));
        assert_eq!((status, code.as_str()), (400, "InsufficientAddressCapacity"), "{action}");
    }
    for (form, code) in [
        (format!("VpcId={vpc}"), "MissingParameter"),
        (format!("{associate}&CidrBlock=10.1.0.0/16"), "InvalidParameterCombination"),
        (format!("{associate}&Ipv6CidrBlock=2001:db8::/56"), "UnsupportedOperation"),
    ] {
        assert_eq!(api.refused("AssociateVpcCidrBlock", &form), (400, code.to_owned()));
    }
}

#[test]
fn a_subnet_gets_and_gives_back_its_block() {
    let api = Endpoint::new();
    let (vpc, first) = network(&api);
    let subnet = api.fine("CreateSubnet", &format!("VpcId={vpc}&CidrBlock=10.0.2.0/24")).one("subnetId");
    let associate = |part: &str| format!("SubnetId={subnet}&Ipv6CidrBlock=2001:db8:0:{part}::/64");
    let taken = (400, "InvalidSubnet.Conflict".to_owned());
    assert_eq!(api.refused("AssociateSubnetCidrBlock", &associate("1")), taken);
    let outside = (400, "InvalidSubnet.Range".to_owned());
    assert_eq!(api.refused("AssociateSubnetCidrBlock", &associate("100")), outside);
    let association = api.fine("AssociateSubnetCidrBlock", &associate("2")).one("associationId");

    let on = |value| format!("SubnetId={subnet}&AssignIpv6AddressOnCreation.Value={value}");
    api.fine("ModifySubnetAttribute", &on(true));
    let found =
        "Filter.1.Name=ipv6-cidr-block-association.ipv6-cidr-block&Filter.1.Value.1=2001:db8:0:2::/64";
    let shown = api.fine("DescribeSubnets", found);
    assert_eq!(
        (shown.one("subnetId"), shown.one("assignIpv6AddressOnCreation")),
        (subnet.clone(), "true".into())
    );
    let instance = launch(&api, &subnet);
    let shown = api.fine("DescribeInstances", &format!("InstanceId.1={instance}"));
    assert_eq!(shown.all("ipv6Address"), ["2001:db8:0:2::4", "2001:db8:0:2::4"]);

    let free = format!("AssociationId={association}");
    let used = (400, "InvalidCidrBlock.InUse".to_owned());
    assert_eq!(api.refused("DisassociateSubnetCidrBlock", &free), used);
    let own = api.fine("DescribeSubnets", &format!("SubnetId.1={first}")).one("associationId");
    let last = api.fine("DisassociateSubnetCidrBlock", &format!("AssociationId={own}"));
    assert_eq!((last.one("subnetId"), last.one("state")), (first, "disassociating".into()));
}

#[test]
fn addresses_by_count_and_by_name() {
    let api = Endpoint::new();
    let (_, subnet) = network(&api);
    let launch = format!("ImageId={AMI}&MinCount=1&MaxCount=1&SubnetId={subnet}");
    let t1 = format!("{launch}&InstanceType=t1.micro&Ipv6AddressCount=1");
    assert_eq!(api.refused("RunInstances", &t1), (400, "InvalidParameterCombination".into()));
    let both =
        format!("{launch}&InstanceType=t3.micro&Ipv6AddressCount=1&Ipv6Address.1.Ipv6Address=2001:db8::9");
    assert_eq!(api.refused("RunInstances", &both), (400, "InvalidParameterCombination".into()));
    let named = format!("{launch}&InstanceType=t3.micro&Ipv6Address.1.Ipv6Address=2001:db8:0:1::99");
    assert_eq!(api.fine("RunInstances", &named).one("ipv6Address"), "2001:db8:0:1::99");

    let create =
        format!("SubnetId={subnet}&Ipv6AddressCount=2&ConnectionTrackingSpecification.UdpTimeout=60");
    let made = api.fine("CreateNetworkInterface", &create);
    assert_eq!(made.all("ipv6Address"), ["2001:db8:0:1::4", "2001:db8:0:1::5"]);
    assert_eq!((made.one("udpTimeout"), made.one("tcpEstablishedTimeout")), ("60".into(), "432000".into()));
    let interface = format!("NetworkInterfaceId={}", made.one("networkInterfaceId"));
    let taken = format!("{interface}&Ipv6Addresses.1=2001:db8:0:1::99");
    assert_eq!(api.refused("AssignIpv6Addresses", &taken), (400, "InvalidIPAddress.InUse".into()));
    assert_eq!(api.refused("AssignIpv6Addresses", &interface), (400, "MissingParameter".into()));
    let more = format!("{interface}&Ipv6Addresses.1=2001:db8:0:1::77");
    assert_eq!(api.fine("AssignIpv6Addresses", &more).all("item"), ["2001:db8:0:1::77"]);
    api.fine("UnassignIpv6Addresses", &format!("{interface}&Ipv6Addresses.1=2001:db8:0:1::4"));
    let found = "Filter.1.Name=ipv6-addresses.ipv6-address&Filter.1.Value.1=2001:db8:0:1::77";
    let shown = api.fine("DescribeNetworkInterfaces", found);
    assert_eq!(shown.all("ipv6Address"), ["2001:db8:0:1::5", "2001:db8:0:1::77"]);
    let short = format!("{interface}&ConnectionTrackingSpecification.TcpEstablishedTimeout=60");
    api.fine("ModifyNetworkInterfaceAttribute", &short);
    let shown = api.fine("DescribeNetworkInterfaces", found);
    assert_eq!((shown.one("udpTimeout"), shown.one("tcpEstablishedTimeout")), ("60".into(), "60".into()));

    let types = api.fine("DescribeInstanceTypes", "InstanceType.1=t1.micro&InstanceType.2=t3.micro");
    assert_eq!(types.all("ipv6Supported"), ["false", "true"]);
}

#[test]
fn ways_out_and_in() {
    let api = Endpoint::new();
    let (vpc, subnet) = network(&api);
    let create = format!("VpcId={vpc}&ClientToken=once");
    let made = api.fine("CreateEgressOnlyInternetGateway", &create);
    let gateway = made.one("egressOnlyInternetGatewayId");
    assert_eq!((made.one("clientToken"), made.one("state")), ("once".into(), "attached".into()));
    assert_eq!(
        api.fine("CreateEgressOnlyInternetGateway", &create).one("egressOnlyInternetGatewayId"),
        gateway
    );
    let second = api.refused("CreateEgressOnlyInternetGateway", &format!("VpcId={vpc}"));
    assert_eq!(second, (400, "InvalidParameterValue".into()));
    let table = api.fine("CreateRouteTable", &format!("VpcId={vpc}")).one("routeTableId");
    let route = format!("RouteTableId={table}&DestinationIpv6CidrBlock=::/0");
    api.fine("CreateRoute", &format!("{route}&EgressOnlyInternetGatewayId={gateway}"));
    let shown = api.fine("DescribeRouteTables", &format!("RouteTableId.1={table}"));
    assert_eq!(shown.all("destinationIpv6CidrBlock"), ["::/0", "2001:db8::/56"]);
    assert_eq!(shown.one("egressOnlyInternetGatewayId"), gateway);
    let v4 =
        format!("RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0&EgressOnlyInternetGatewayId={gateway}");
    assert_eq!(api.refused("CreateRoute", &v4), (400, "InvalidParameterValue".into()));
    let both = format!("{route}&DestinationCidrBlock=0.0.0.0/0&GatewayId={gateway}");
    assert_eq!(api.refused("CreateRoute", &both), (400, "InvalidParameterCombination".into()));

    let delete = format!("EgressOnlyInternetGatewayId={gateway}");
    assert_eq!(api.fine("DeleteEgressOnlyInternetGateway", &delete).one("returnCode"), "true");
    assert_eq!(
        api.refused("DeleteEgressOnlyInternetGateway", &delete),
        (400, "InvalidGatewayID.NotFound".into())
    );
    let shown = api.fine("DescribeRouteTables", &format!("RouteTableId.1={table}"));
    assert_eq!(shown.all("state"), ["active", "blackhole", "active"]);
    api.fine("DeleteRoute", &route);

    let igw = api.fine("CreateInternetGateway", "").one("internetGatewayId");
    api.fine("AttachInternetGateway", &format!("InternetGatewayId={igw}&VpcId={vpc}"));
    let edge = format!("RouteTableId={table}&GatewayId={igw}");
    api.fine("AssociateRouteTable", &edge);
    assert_eq!(api.refused("AssociateRouteTable", &edge), (400, "Resource.AlreadyAssociated".into()));
    let out = (400, "InvalidParameterValue".to_owned());
    assert_eq!(api.refused("CreateRoute", &format!("{route}&GatewayId={igw}")), out);
    let instance = launch(&api, &subnet);
    let inward = format!("RouteTableId={table}&DestinationCidrBlock=10.0.1.0/24&InstanceId={instance}");
    api.fine("CreateRoute", &inward);
    let found = format!("Filter.1.Name=association.gateway-id&Filter.1.Value.1={igw}");
    let shown = api.fine("DescribeRouteTables", &found);
    assert_eq!((shown.one("routeTableId"), shown.one("main")), (table, "false".into()));
}
