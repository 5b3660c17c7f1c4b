//! Flow logs in templates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may end")]

use std::fs;

use lab::deploy::{Deployment, PhysicalId, deploy};
use lab::file::Lab;
use model::{FlowLogResource, Region, TrafficType};

const GOOD: &str = r#"name: flow-logs
cloud:
  region: eu-west-1
  template:
    Resources:
      Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
      Log:
        Type: AWS::EC2::FlowLog
        Properties:
          ResourceId: !Ref Vpc
          ResourceType: VPC
          TrafficType: REJECT
          LogDestinationType: s3
          LogDestination: arn:aws:s3:::flows/lab/
          LogFormat: "${version} ${pkt-srcaddr}"
          MaxAggregationInterval: 60
          DestinationOptions: {FileFormat: plain-text, HiveCompatiblePartitions: true, PerHourPartition: false}
          Tags: [{Key: Name, Value: refused}]
internet:
  pool: 203.0.113.0/24
"#;

fn deployed(text: &str) -> Result<(Region, Deployment), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.yaml");
    fs::write(&path, text).unwrap();
    let lab = Lab::load(&path).map_err(|error| error.to_string())?;
    let mut region = Region::new(lab.region.clone(), 7);
    let deployment = deploy(&lab, &mut region).map_err(|error| error.to_string())?;
    Ok((region, deployment))
}

#[test]
fn all_that_is_asked_is_there() {
    let (region, deployment) = deployed(GOOD).unwrap();
    let PhysicalId::FlowLog(id) = deployment.physical["Log"] else { panic!("a flow log") };
    let log = &region.flow_logs()[&id].wanted;
    assert_eq!(log.resource, FlowLogResource::Vpc(*region.vpcs().keys().next().unwrap()));
    assert_eq!((log.traffic, log.interval), (TrafficType::Reject, 60));
    assert_eq!((log.hive_compatible, log.per_hour), (true, false));
    assert_eq!(log.format.to_string(), "${version} ${pkt-srcaddr}");
    assert_eq!(log.destination.to_string(), "arn:aws:s3:::flows/lab/");
    assert_eq!(log.tags["Name"], "refused");
}

#[test]
fn what_is_not_there_is_refused_where_it_stands() {
    for (good, bad, expected) in [
        ("s3\n", "cloud-watch-logs\n", "`LogDestinationType: cloud-watch-logs` is not supported: only s3 is"),
        ("plain-text", "parquet", "`FileFormat: parquet` is not supported: only plain-text is"),
        ("flows/lab/", "../etc", "the ARN of a bucket"),
        ("${pkt-srcaddr}", "${colour}", "fields:"),
        ("Interval: 60", "Interval: 61", "60 or 600"),
        ("ResourceType: VPC", "ResourceType: TransitGateway", "VPC, Subnet or NetworkInterface"),
        ("TrafficType: REJECT", "TrafficType: SOME", "ACCEPT, REJECT or ALL"),
    ] {
        let refused = deployed(&GOOD.replace(good, bad)).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
}
