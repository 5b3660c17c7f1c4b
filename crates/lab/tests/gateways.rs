//! NAT gateways, network ACLs and peering connections in templates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may end")]

use std::fs;

use lab::deploy::{Deployment, PhysicalId, deploy};
use lab::file::Lab;
use model::{Connectivity, Direction, NatGatewayState, NatProfile, PeeringStatus, Region, RouteTarget};

const GOOD: &str = r#"name: gateways
cloud:
  region: eu-west-1
  template:
    Resources:
      Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
      Public: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.1.0/24}}
      Gateway: {Type: AWS::EC2::InternetGateway}
      Attachment:
        Type: AWS::EC2::VPCGatewayAttachment
        Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}
      First: {Type: AWS::EC2::EIP}
      Second: {Type: AWS::EC2::EIP}
      Nat:
        Type: AWS::EC2::NatGateway
        DependsOn: Attachment
        Properties:
          AllocationId: !GetAtt First.AllocationId
          SecondaryAllocationIds: [!GetAtt Second.AllocationId]
          SecondaryPrivateIpAddresses: [10.0.1.9]
          PrivateIpAddress: 10.0.1.8
          MaxDrainDurationSeconds: 350
          SubnetId: !Ref Public
          Tags: [{Key: "ringwall:nat-profile", Value: rfc}]
      Inner:
        Type: AWS::EC2::NatGateway
        Properties: {ConnectivityType: private, SubnetId: !Ref Public, SecondaryPrivateIpAddressCount: 2}
      Acl: {Type: AWS::EC2::NetworkAcl, Properties: {VpcId: !Ref Vpc}}
      Web:
        Type: AWS::EC2::NetworkAclEntry
        Properties:
          NetworkAclId: !Ref Acl
          RuleNumber: 100
          Protocol: 6
          RuleAction: allow
          CidrBlock: 0.0.0.0/0
          PortRange: {From: 80, To: 443}
      Ping:
        Type: AWS::EC2::NetworkAclEntry
        Properties:
          NetworkAclId: !Ref Acl
          Egress: true
          RuleNumber: 10
          Protocol: 1
          RuleAction: deny
          CidrBlock: 192.0.2.0/24
          Icmp: {Type: 8, Code: -1}
      Border:
        Type: AWS::EC2::SubnetNetworkAclAssociation
        Properties: {NetworkAclId: !Ref Acl, SubnetId: !Ref Public}
      Peer: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.7.0.0/16}}
      Peering:
        Type: AWS::EC2::VPCPeeringConnection
        Properties: {VpcId: !Ref Vpc, PeerVpcId: !Ref Peer, PeerRegion: !Ref AWS::Region}
      Table: {Type: AWS::EC2::RouteTable, Properties: {VpcId: !Ref Vpc}}
      Out:
        Type: AWS::EC2::Route
        Properties: {RouteTableId: !Ref Table, DestinationCidrBlock: 0.0.0.0/0, NatGatewayId: !Ref Nat}
      Over:
        Type: AWS::EC2::Route
        Properties:
          RouteTableId: !Ref Table
          DestinationCidrBlock: 10.7.0.0/16
          VpcPeeringConnectionId: !Ref Peering
    Outputs:
      Interface: {Value: !GetAtt Nat.EniId}
      Default: {Value: !GetAtt Vpc.DefaultNetworkAcl}
internet:
  pool: 203.0.113.0/29
"#;

fn up(text: &str) -> Result<(Region, Deployment), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.yaml");
    fs::write(&path, text).unwrap();
    let made = Lab::load(&path).and_then(|lab| {
        let mut region = Region::with_quotas(lab.region.clone(), 1, lab.quotas.clone());
        let deployment = deploy(&lab, &mut region)?;
        Ok((region, deployment))
    });
    made.map_err(|error| error.to_string().replace(&format!("{}/", directory.path().display()), ""))
}

#[test]
fn they_become_what_they_say() {
    let (region, deployment) = up(GOOD).unwrap();
    let PhysicalId::NatGateway(nat) = deployment.physical["Nat"] else { panic!() };
    let nat = &region.nat_gateways()[&nat];
    assert_eq!((nat.state, nat.profile), (NatGatewayState::Pending, NatProfile::Rfc));
    let addresses: Vec<_> =
        nat.addresses.iter().map(|it| (it.private_ip.octets()[3], it.public_ip)).collect();
    let public = |last| Some([203, 0, 113, last].into());
    assert_eq!(addresses, [(8, public(1)), (9, public(2))]);
    assert_eq!(deployment.outputs["Interface"], nat.interface.to_string());
    let PhysicalId::NatGateway(inner) = deployment.physical["Inner"] else { panic!() };
    let inner = &region.nat_gateways()[&inner];
    assert_eq!((inner.connectivity, inner.addresses.len()), (Connectivity::Private, 3));

    let PhysicalId::NetworkAcl(acl) = deployment.physical["Acl"] else { panic!() };
    let subnet = region.subnets().values().next().unwrap();
    assert_eq!(region.network_acl_of(subnet).id, acl);
    let acl = &region.network_acls()[&acl];
    let web = acl.entries(Direction::Ingress)[&100];
    assert!(web.allow && web.covers(6, Some((443, 443))) && !web.covers(6, Some((444, 444))));
    let ping = acl.entries(Direction::Egress)[&10];
    assert!(!ping.allow && ping.icmp == Some((8, -1)) && ping.cidr.to_string() == "192.0.2.0/24");
    assert_ne!(deployment.outputs["Default"], acl.id.to_string());

    let PhysicalId::VpcPeeringConnection(peering) = deployment.physical["Peering"] else { panic!() };
    assert_eq!(region.vpc_peering_connections()[&peering].status, PeeringStatus::Active);
    let PhysicalId::RouteTable(table) = deployment.physical["Table"] else { panic!() };
    let targets: Vec<_> = region.route_tables()[&table].routes().map(|route| route.target).collect();
    assert_eq!(targets, [RouteTarget::NatGateway(nat.id), RouteTarget::Local, RouteTarget::Peering(peering)]);
}

#[test]
fn a_rule_is_about_a_group_of_a_peer_vpc() {
    let groups = "Peer: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.7.0.0/16}}
      Friends: {Type: AWS::EC2::SecurityGroup, Properties: {VpcId: !Ref Peer, GroupDescription: d}}
      Web:
        Type: AWS::EC2::SecurityGroup
        DependsOn: Peering
        Properties:
          VpcId: !Ref Vpc
          GroupDescription: d
          SecurityGroupIngress: [{IpProtocol: -1, SourceSecurityGroupId: !Ref Friends}]";
    let peer = "Peer: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.7.0.0/16}}";
    let text = GOOD.replace("      Web:", "      Entry:").replace(peer, groups);
    let (region, deployment) = up(&text).unwrap();
    let PhysicalId::VpcPeeringConnection(peering) = deployment.physical["Peering"] else { panic!() };
    let PhysicalId::SecurityGroup(web) = deployment.physical["Web"] else { panic!() };
    let across = region.security_groups()[&web].rules().find_map(|rule| rule.across);
    assert_eq!(across.map(|across| across.connection), Some(peering));
    let refusal = up(&text.replace("        DependsOn: Peering\n", "")).err().unwrap_or_default();
    assert!(refusal.contains("InvalidGroup.NotFound"), "{refusal}");
}

#[test]
fn quotas_are_named() {
    let with = |quotas: &str| GOOD.replace("eu-west-1\n", &format!("eu-west-1\n  quotas: {quotas}\n"));
    let (region, _) = up(&with("{addresses: 2, addresses_per_nat_gateway: 2}")).unwrap();
    assert_eq!((region.quotas().addresses, region.quotas().vpcs), (2, 5));
    for (quotas, expected) in [
        ("{vpcs: 1}", "VpcLimitExceeded"),
        ("{vpc: 6}", "x.yaml:4:12: there is no quota `vpc` (known: active_peerings_per_vpc, addresses, "),
        ("{vpcs: many}", "x.yaml:4:18: `many` is not a number"),
        ("{cidrs_per_vpc: 51}", "x.yaml:4:12: `cidrs_per_vpc` can be 50 at most"),
        (
            "{rules_per_group: 100, groups_per_interface: 11}",
            "x.yaml:4:11: `rules_per_group` times `groups_per_interface` can be 1000 at most, not 1100",
        ),
    ] {
        let refusal = up(&with(quotas)).err().unwrap_or_default();
        assert!(refusal.contains(expected), "{refusal}");
    }
    up(&with("{rules_per_group: 500, groups_per_interface: 2}")).unwrap();
}

#[test]
fn what_is_wrong_is_refused_by_its_line() {
    assert!(up(GOOD).is_ok());
    for (from, to, expected) in [
        ("AllocationId: !GetAtt First", "AllocationId: !GetAtt Other", "no resource is called `Other`"),
        ("ConnectivityType: private", "ConnectivityType: inner", "`inner` is not public or private"),
        (
            "MaxDrainDurationSeconds: 350",
            "MaxDrainDurationSeconds: 0",
            "`0` is not a number of seconds from 1 to 4000",
        ),
        (
            "Value: rfc",
            "Value: cone",
            "Nat: Value (cone) for tag ringwall:nat-profile is invalid. Use aws or rfc.",
        ),
        (
            "PrivateIpAddress: 10.0.1.8",
            "PrivateIpAddress: 10.0.2.8",
            "Nat: Address 10.0.2.8 does not fall within",
        ),
        ("ConnectivityType: private, ", "", "Inner: The request must contain the parameter AllocationId"),
        ("RuleAction: deny", "RuleAction: count", "`count` is not allow or deny"),
        (
            "RuleNumber: 10\n",
            "RuleNumber: 32767\n",
            "Ping: Value (32767) for parameter ruleNumber is invalid.",
        ),
        (
            "          PortRange: {From: 80, To: 443}\n",
            "",
            "Web: Must specify both from and to ports with TCP/UDP.",
        ),
        (
            "Properties: {CidrBlock: 10.7.0.0/16",
            "Properties: {CidrBlock: 10.0.0.0/16",
            "Peering: the VPCs' addresses overlap (failed)",
        ),
        ("DestinationCidrBlock: 10.7.0.0/16", "DestinationCidrBlock: 10.0.1.0/24", "Over: "),
        ("PeerRegion: !Ref AWS::Region", "PeerRegion: us-east-1", "peering is within one account and region"),
    ] {
        assert_eq!(GOOD.matches(from).count(), 1, "`{from}` must stand once");
        let refusal = up(&GOOD.replace(from, to)).err().unwrap_or_default();
        assert!(refusal.starts_with("x.yaml:") && refusal.contains(expected), "{from}: {refusal}");
    }
}

#[test]
fn a_gateway_that_fails_is_refused() {
    let text = GOOD.replace(
        "        DependsOn: Attachment\n        Properties:\n          AllocationId",
        "        Properties:\n          AllocationId",
    );
    // The attachment then comes after it.
    let attachment = "      Attachment:\n        Type: AWS::EC2::VPCGatewayAttachment\n        Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}\n";
    let text = text.replace(attachment, "");
    let refusal = up(&text).err().unwrap();
    assert!(refusal.contains("has no Internet gateway attached (Gateway.NotAttached)"), "{refusal}");
}
