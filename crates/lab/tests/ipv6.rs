//! A template with IPv6, prefix lists and an edge table becomes what it says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may end")]

use std::fs;

use lab::deploy::{Deployment, PhysicalId, deploy};
use lab::file::Lab;
use model::{Destination, Peer, Region, RouteTarget};

const LAB: &str = r#"name: six
cloud:
  region: eu-west-1
  template:
    Resources:
      Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
      Block: {Type: AWS::EC2::VPCCidrBlock, Properties: {VpcId: !Ref Vpc, AmazonProvidedIpv6CidrBlock: true}}
      More: {Type: AWS::EC2::VPCCidrBlock, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.1.0.0/16}}
      Subnet:
        Type: AWS::EC2::Subnet
        DependsOn: Block
        Properties:
          VpcId: !Ref Vpc
          CidrBlock: 10.0.1.0/24
          Ipv6CidrBlock: !Select [1, !Cidr [!Select [0, !GetAtt Vpc.Ipv6CidrBlocks], 256, 64]]
          AssignIpv6AddressOnCreation: true
      Other: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.1.1.0/24}, DependsOn: More}
      OtherBlock:
        Type: AWS::EC2::SubnetCidrBlock
        Properties:
          SubnetId: !Ref Other
          Ipv6CidrBlock: !Select [2, !Cidr [!Select [0, !GetAtt Vpc.Ipv6CidrBlocks], 3, 64]]
        DependsOn: Block
      Out: {Type: AWS::EC2::EgressOnlyInternetGateway, Properties: {VpcId: !Ref Vpc}}
      Gateway: {Type: AWS::EC2::InternetGateway}
      Attachment:
        Type: AWS::EC2::VPCGatewayAttachment
        Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}
      Offices:
        Type: AWS::EC2::PrefixList
        Properties:
          PrefixListName: offices
          AddressFamily: IPv6
          Entries: [{Cidr: 2001:db8:ff00::/48, Description: one}]
      Table: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
      Default:
        Type: AWS::EC2::Route
        Properties:
          RouteTableId: !Ref Table
          DestinationIpv6CidrBlock: ::/0
          EgressOnlyInternetGatewayId: !Ref Out
      ToOffices:
        Type: AWS::EC2::Route
        DependsOn: Attachment
        Properties:
          RouteTableId: !Ref Table
          DestinationPrefixListId: !GetAtt Offices.PrefixListId
          GatewayId: !Ref Gateway
      Edge: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
      EdgeAssociation:
        Type: AWS::EC2::GatewayRouteTableAssociation
        DependsOn: Attachment
        Properties: {RouteTableId: !Ref Edge, GatewayId: !Ref Gateway}
      Group:
        Type: AWS::EC2::SecurityGroup
        Properties:
          GroupDescription: x
          VpcId: !Ref Vpc
          SecurityGroupIngress:
            - {IpProtocol: icmpv6, FromPort: 128, ToPort: -1, CidrIpv6: ::/0}
            - {IpProtocol: tcp, FromPort: 22, ToPort: 22, SourcePrefixListId: !Ref Offices}
      One:
        Type: AWS::EC2::Instance
        Properties: {ImageId: ami-00000000000000001, InstanceType: t3.micro, SubnetId: !Ref Subnet}
      Two:
        Type: AWS::EC2::Instance
        Properties:
          ImageId: ami-00000000000000001
          InstanceType: t3.micro
          SubnetId: !Ref Subnet
          Ipv6AddressCount: 2
      Named:
        Type: AWS::EC2::Instance
        Properties:
          ImageId: ami-00000000000000001
          InstanceType: t3.micro
          SubnetId: !Ref Subnet
          Ipv6Addresses: [{Ipv6Address: 2001:db8:1:1::99}]
      Many:
        Type: AWS::EC2::NetworkInterface
        Properties:
          SubnetId: !Ref Subnet
          Ipv4PrefixCount: 1
          Ipv6Prefixes: [{Ipv6Prefix: 2001:db8:1:1:7::/80}]
internet: {pool: 203.0.113.0/29, pool6: 2001:db8:1::/48}
"#;

fn load(text: &str) -> Result<Lab, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.yaml");
    fs::write(&path, text).unwrap();
    Lab::load(&path)
        .map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
}

fn deployed(text: &str) -> Result<(Region, Deployment), String> {
    let lab = load(text)?;
    let mut region = Region::new(lab.region.clone(), 1);
    let deployment = deploy(&lab, &mut region).map_err(|error| error.to_string())?;
    Ok((region, deployment))
}

#[test]
fn a_template_with_ipv6() {
    let (region, deployment) = deployed(LAB).unwrap();
    let vpc = region.vpcs().values().next().unwrap();
    let blocks: Vec<_> = vpc.ipv6.iter().map(|block| block.cidr.to_string()).collect();
    assert_eq!(blocks, ["2001:db8:1::/56"]);
    assert_eq!(vpc.cidrs().count(), 2);
    let mut parts: Vec<_> =
        region.subnets().values().map(|subnet| subnet.ipv6.unwrap().cidr.to_string()).collect();
    parts.sort();
    assert_eq!(parts, ["2001:db8:1:1::/64", "2001:db8:1:2::/64"]);

    let addresses = |logical: &str| {
        let instance = &region.instances()[&deployment.instance(logical).unwrap()];
        region.interfaces()[&instance.interfaces[0]].ipv6_addresses.clone()
    };
    assert_eq!((addresses("One").len(), addresses("Two").len()), (1, 2));
    assert_eq!(addresses("Named")[0].to_string(), "2001:db8:1:1::99");

    let PhysicalId::Interface(many) = deployment.physical["Many"] else { panic!("an interface") };
    let prefixes: Vec<_> = region.interfaces()[&many].prefixes.iter().map(ToString::to_string).collect();
    assert_eq!(prefixes, ["2001:db8:1:1:7::/80", "10.0.1.16/28"]);

    let PhysicalId::RouteTable(table) = deployment.physical["Table"] else { panic!("a table") };
    let target = |destination: Destination| {
        let mut routes = region.route_tables()[&table].routes();
        routes.find(|route| route.destination == destination).map(|route| route.target).unwrap()
    };
    let PhysicalId::EgressOnlyInternetGateway(out) = deployment.physical["Out"] else { panic!("a gateway") };
    assert_eq!(target("::/0".parse().unwrap()), RouteTarget::EgressOnlyInternetGateway(out));
    let PhysicalId::PrefixList(list) = deployment.physical["Offices"] else { panic!("a list") };
    let PhysicalId::InternetGateway(gateway) = deployment.physical["Gateway"] else { panic!("a gateway") };
    assert_eq!(target(Destination::PrefixList(list)), RouteTarget::InternetGateway(gateway));
    assert_eq!(region.prefix_lists()[&list].max_entries, 1);
    let edge = region.gateway_route_table(gateway).unwrap();
    assert_eq!(deployment.physical["Edge"], PhysicalId::RouteTable(edge.id));

    let PhysicalId::SecurityGroup(group) = deployment.physical["Group"] else { panic!("a group") };
    let peers: Vec<_> = region.security_groups()[&group].rules().map(|rule| rule.peer).collect();
    assert!(peers.contains(&Peer::PrefixList(list)) && peers.contains(&Peer::Cidr6("::/0".parse().unwrap())));
}

#[test]
fn what_is_refused() {
    for (from, to, expected) in [
        ("pool6: 2001:db8:1::/48", "pool6: 2001:db8:1::/57", "2001:db8:1::/57` is not an IPv6 network"),
        ("pool6: 2001:db8:1::/48", "pool6: 2001:db8:1::1/48", "2001:db8:1::1/48` is not an IPv6 network"),
        ("AmazonProvidedIpv6CidrBlock: true", "AmazonProvidedIpv6CidrBlock: false", "leave the resource out"),
        ("Vpc.Ipv6CidrBlocks], 256", "Other.Ipv6CidrBlocks], 256", "`Other` has no Ipv6CidrBlocks"),
        ("Ipv6AddressCount: 2", "Ipv6AddressCount: 2\n          Ipv6Addresses: []", "Ipv6AddressCount are"),
        ("Cidr: 2001:db8:ff00::/48", "Cidr: 10.0.0.0/8", "(InvalidParameterValue)"),
        ("DestinationIpv6CidrBlock: ::/0", "DestinationCidrBlock: 0.0.0.0/0", "(InvalidParameterValue)"),
        (
            "Ipv4PrefixCount: 1",
            "Ipv4PrefixCount: 1\n          PrivateIpAddresses: []",
            "prefixes, or their number",
        ),
        ("Ipv6Prefix: 2001:db8:1:1:7::/80", "Ipv6Prefix: 2001:db8:1:1:7::/81", "(InvalidParameterValue)"),
        ("Ipv6Address: 2001:db8:1:1::99", "Ipv6Address: 2001:db8:1:2::99", "(InvalidParameterValue)"),
    ] {
        assert_eq!(LAB.matches(from).count(), 1, "{from}");
        let refused = deployed(&LAB.replace(from, to)).unwrap_err();
        assert!(refused.contains(expected), "{from} -> {to}: {refused}");
    }
}
