//! A template's DNS attributes, and who a lab's resolver asks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may end")]

use std::fs;

use lab::deploy::{PhysicalId, deploy};
use lab::file::Lab;
use model::Region;

const LAB: &str = "name: dns
cloud:
  region: eu-west-1
  template:
    Resources:
      Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16, EnableDnsHostnames: true}}
      Silent: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.1.0.0/16, EnableDnsSupport: false}}
      Block: {Type: AWS::EC2::VPCCidrBlock, Properties: {VpcId: !Ref Vpc, AmazonProvidedIpv6CidrBlock: true}}
      Subnet:
        Type: AWS::EC2::Subnet
        DependsOn: Block
        Properties:
          VpcId: !Ref Vpc
          CidrBlock: 10.0.1.0/24
          Ipv6CidrBlock: !Select [1, !Cidr [!Select [0, !GetAtt Vpc.Ipv6CidrBlocks], 256, 64]]
          EnableDns64: true
      Gateway: {Type: AWS::EC2::InternetGateway}
      Attachment:
        Type: AWS::EC2::VPCGatewayAttachment
        Properties: {VpcId: !Ref Vpc, InternetGatewayId: !Ref Gateway}
      Server:
        Type: AWS::EC2::Instance
        DependsOn: Attachment
        Properties: {ImageId: ami-00000000000000001, InstanceType: t3.micro, SubnetId: !Ref Subnet}
      Address: {Type: AWS::EC2::EIP, Properties: {InstanceId: !Ref Server}}
internet: {pool: 203.0.113.0/24, resolver: 198.51.100.53}
sites:
  elsewhere:
    segments: {lan: 192.168.0.0/24}
    hosts:
      nameserver: {interfaces: {eth0: {segment: internet, address: 198.51.100.53}}}
      inside: {interfaces: {eth0: {segment: lan, address: 192.168.0.53}}}
";

fn load(text: &str) -> Result<Lab, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.yaml");
    fs::write(&path, text).unwrap();
    Lab::load(&path).map_err(|error| error.to_string())
}

#[test]
fn attributes_become_what_they_say() {
    let lab = load(LAB).unwrap();
    let mut region = Region::new(lab.region.clone(), 1);
    let deployment = deploy(&lab, &mut region).unwrap();
    let get = |logical: &str| &deployment.physical[logical];
    let PhysicalId::Vpc(vpc) = get("Vpc") else { unreachable!() };
    let PhysicalId::Vpc(silent) = get("Silent") else { unreachable!() };
    assert!(region.vpcs()[vpc].has_dns_names());
    assert!(!region.vpcs()[silent].enable_dns_support);
    let PhysicalId::Subnet(subnet) = get("Subnet") else { unreachable!() };
    assert!(region.subnets()[subnet].enable_dns64);
    assert_eq!(lab.world.internet.resolver.unwrap().address.to_string(), "198.51.100.53");
}

#[test]
fn somebody_on_the_internet_must_be_there_to_ask() {
    for address in ["198.51.100.54", "192.168.0.53", "203.0.113.1"] {
        let refusal =
            load(&LAB.replace("resolver: 198.51.100.53", &format!("resolver: {address}"))).unwrap_err();
        let words = format!("no host has the resolver's address {address} on the internet");
        assert!(refusal.contains(&words), "{refusal}");
    }
}

#[test]
fn names_without_a_resolver_are_refused() {
    let both = LAB.replace("EnableDnsSupport: false", "EnableDnsSupport: false, EnableDnsHostnames: true");
    let lab = load(&both).unwrap();
    let refusal = deploy(&lab, &mut Region::new(lab.region.clone(), 1)).unwrap_err().to_string();
    assert!(refusal.contains("x.yaml:7:") && refusal.contains("InvalidParameterValue"), "{refusal}");
}
