//! Flow logs, as far as the API knows of them.

use crate::api::Endpoint;
use crate::{launch, network};

const TO: &str = "TrafficType=ALL&LogDestinationType=s3&LogDestination=arn:aws:s3:::flows/lab/";

#[test]
fn one_for_each_resource_that_is_there() {
    let api = Endpoint::new();
    let (vpc, subnet) = network(&api);
    launch(&api, &subnet);
    let interface = api.fine("DescribeNetworkInterfaces", "").one("networkInterfaceId");
    let create =
        format!("ResourceType=VPC&ResourceId.1={vpc}&ResourceId.2=vpc-00000000&{TO}&ClientToken=once");
    let made = api.fine("CreateFlowLogs", &create);
    let log = made.one("item");
    assert!(log.starts_with("fl-"));
    assert_eq!(
        (made.one("code"), made.one("resourceId")),
        ("InvalidVpcID.NotFound".into(), "vpc-00000000".into())
    );
    let again = api.fine("CreateFlowLogs", &create);
    assert_eq!((again.one("item"), again.one("code")), (log.clone(), made.one("code")));

    let form = format!(
        "ResourceType=Subnet&ResourceId.1={subnet}&TrafficType=REJECT&LogDestinationType=s3&\
        LogDestination=arn:aws:s3:::flows&LogFormat=${{version}} ${{pkt-srcaddr}}&MaxAggregationInterval=60&\
        DestinationOptions.FileFormat=plain-text&DestinationOptions.HiveCompatiblePartitions=true&\
        DestinationOptions.PerHourPartition=true&TagSpecification.1.ResourceType=vpc-flow-log&\
        TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=refused"
    );
    let second = api.fine("CreateFlowLogs", &form).one("item");
    api.fine("CreateFlowLogs", &format!("ResourceType=NetworkInterface&ResourceId.1={interface}&{TO}"));

    let shown = api.fine("DescribeFlowLogs", &format!("FlowLogId.1={second}"));
    for (name, value) in [
        ("resourceId", subnet.as_str()),
        ("trafficType", "REJECT"),
        ("logDestination", "arn:aws:s3:::flows"),
        ("logFormat", "${version} ${pkt-srcaddr}"),
        ("maxAggregationInterval", "60"),
        ("hiveCompatiblePartitions", "true"),
        ("perHourPartition", "true"),
        ("flowLogStatus", "ACTIVE"),
        ("deliverLogsStatus", "FAILED"),
        ("deliverLogsErrorMessage", "the disk is full"),
        ("value", "refused"),
    ] {
        assert_eq!(shown.one(name), value, "{name}");
    }
    for (filter, value, count) in [
        ("resource-id", interface.as_str(), 1),
        ("traffic-type", "ALL", 2),
        ("tag:Name", "refused", 1),
        ("log-destination-type", "s3", 3),
        ("log-group-name", "*", 0),
        ("deliver-log-status", "SUCCESS", 2),
        ("flow-log-id", &log, 1),
    ] {
        let found = api.fine("DescribeFlowLogs", &format!("Filter.1.Name={filter}&Filter.1.Value.1={value}"));
        assert_eq!(found.all("flowLogId").len(), count, "{filter}");
    }
    let gone = api.fine("DeleteFlowLogs", &format!("FlowLogId.1={log}&FlowLogId.2=fl-00000000"));
    assert_eq!(
        (gone.all("resourceId"), gone.one("code")),
        (vec!["fl-00000000".into()], "InvalidFlowLogId.NotFound".into())
    );
    let missing = api.refused("DescribeFlowLogs", &format!("FlowLogId.1={log}"));
    assert_eq!(missing, (400, "InvalidFlowLogId.NotFound".into()));
}

#[test]
fn refused() {
    let api = Endpoint::new();
    let (vpc, _) = network(&api);
    let of = format!("ResourceType=VPC&ResourceId.1={vpc}");
    let create = format!("{of}&{TO}");
    api.fine("CreateFlowLogs", &create);
    let s3 = "TrafficType=ALL&LogDestinationType=s3&LogDestination=arn:aws:s3:::";
    for (form, status, code) in [
        (create.clone(), 400, "FlowLogAlreadyExists"),
        (format!("{of}&{s3}others&DryRun=true"), 412, "DryRunOperation"),
        (format!("{of}&TrafficType=ALL&LogGroupName=x"), 400, "UnsupportedOperation"),
        (format!("{of}&TrafficType=ALL"), 400, "UnsupportedOperation"),
        (format!("{of}&TrafficType=ALL&LogDestinationType=cloud-watch-logs"), 400, "UnsupportedOperation"),
        (format!("{of}&TrafficType=ALL&LogDestinationType=disk"), 400, "InvalidParameterValue"),
        (format!("{of}&TrafficType=ALL&LogDestinationType=s3"), 400, "MissingParameter"),
        (format!("{of}&LogDestinationType=s3&LogDestination=arn:aws:s3:::flows"), 400, "MissingParameter"),
        (format!("{of}&{s3}../../etc"), 400, "InvalidParameterValue"),
        (format!("{of}&{s3}flows/../../x"), 400, "InvalidParameterValue"),
        (format!("{of}&{s3}others&LogFormat=${{colour}}"), 400, "InvalidParameterValue"),
        (format!("{of}&{s3}others&LogFormat=${{reject-reason}}"), 400, "UnsupportedOperation"),
        (format!("{of}&{s3}others&MaxAggregationInterval=61"), 400, "InvalidParameterValue"),
        (format!("{of}&{s3}others&DestinationOptions.FileFormat=parquet"), 400, "UnsupportedOperation"),
        (format!("{of}&{s3}others&DeliverLogsPermissionArn=arn:aws:iam::x"), 400, "UnsupportedOperation"),
        (format!("ResourceType=VPC&ResourceId.1=subnet-00000000&{TO}"), 400, "InvalidVpcID.Malformed"),
        (format!("ResourceType=TransitGateway&ResourceId.1={vpc}&{TO}"), 400, "InvalidParameterValue"),
        (format!("ResourceType=VPC&{TO}"), 400, "MissingParameter"),
    ] {
        assert_eq!(api.refused("CreateFlowLogs", &form), (status, code.to_owned()), "{form}");
    }
    api.fine("CreateFlowLogs", &format!("{of}&{s3}others"));
    let third = api.refused("CreateFlowLogs", &format!("{of}&{s3}more"));
    assert_eq!(third, (400, "FlowLogsLimitExceeded".into()));
    assert_eq!(api.refused("DescribeFlowLogs", "FlowLogId.1=x"), (400, "InvalidFlowLogId.Malformed".into()));
}
