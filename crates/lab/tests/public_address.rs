//! Instances of a template that get public addresses without an Elastic IP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may end")]

use std::fs;

use lab::deploy::deploy;
use lab::file::Lab;
use model::Region;

const LAB: &str = r#"name: small
cloud:
  region: eu-west-1
  template:
    Resources:
      Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
      Public:
        Type: AWS::EC2::Subnet
        Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.1.0/24, MapPublicIpOnLaunch: true}
      Plain:
        Type: AWS::EC2::Subnet
        Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.2.0/24, MapPublicIpOnLaunch: false}
      BySubnet:
        Type: AWS::EC2::Instance
        Properties: {ImageId: ami-00000000000000001, InstanceType: t3.micro, SubnetId: !Ref Public}
      ByLaunch:
        Type: AWS::EC2::Instance
        DependsOn: BySubnet
        Properties:
          ImageId: ami-00000000000000001
          InstanceType: t3.micro
          SourceDestCheck: false
          NetworkInterfaces: [{DeviceIndex: "0", SubnetId: !Ref Plain, AssociatePublicIpAddress: true}]
      Declined:
        Type: AWS::EC2::Instance
        Properties:
          ImageId: ami-00000000000000001
          InstanceType: t3.micro
          NetworkInterfaces:
          - DeviceIndex: "0"
            SubnetId: !Ref Public
            PrivateIpAddress: 10.0.1.77
            AssociatePublicIpAddress: false
      Asked: {Type: AWS::EC2::EIP, DependsOn: ByLaunch}
    Outputs:
      Public: {Value: !GetAtt ByLaunch.PublicIp}
internet:
  pool: 203.0.113.0/29
  elastic_ips: {Asked: 203.0.113.1}
"#;

fn deployed(text: &str) -> Result<(Region, lab::deploy::Deployment), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.yaml");
    fs::write(&path, text).unwrap();
    let lab = Lab::load(&path).map_err(|error| error.to_string())?;
    let mut region = Region::new(lab.region.clone(), 1);
    let deployment = deploy(&lab, &mut region).map_err(|error| error.to_string())?;
    Ok((region, deployment))
}

#[test]
fn the_lowest_that_nobody_asks_for() {
    let (region, deployment) = deployed(LAB).unwrap();
    let addresses = |logical: &str| {
        let instance = &region.instances()[&deployment.instance(logical).unwrap()];
        let interface = &region.interfaces()[&instance.interfaces[0]];
        let public = region.public_address_of(interface.id, interface.private_ip);
        (interface.private_ip.to_string(), public.map(|address| address.to_string()))
    };
    assert_eq!(addresses("BySubnet"), ("10.0.1.4".into(), Some("203.0.113.2".into())));
    assert_eq!(addresses("ByLaunch"), ("10.0.2.4".into(), Some("203.0.113.3".into())));
    assert_eq!(addresses("Declined"), ("10.0.1.77".into(), None));
    assert_eq!(deployment.outputs["Public"], "203.0.113.3");
    let checks = region.interfaces().values().filter(|interface| !interface.source_dest_check);
    assert_eq!(checks.map(|interface| interface.private_ip.to_string()).collect::<Vec<_>>(), ["10.0.2.4"]);
}

#[test]
fn an_empty_pool_is_told() {
    let refused = deployed(&LAB.replace("203.0.113.0/29", "203.0.113.0/30")).unwrap_err();
    assert!(
        refused.ends_with("x.yaml:16:7: the pool 203.0.113.0/30 has no address left for this"),
        "{refused}"
    );
}
