//! Flow logs.

use model::{
    Applied, BadId, BadLogFormat, Change, Fault, FlowLog, FlowLogId, FlowLogResource, LogDestination,
    LogFormat, NewFlowLog, TrafficType,
};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, Describe, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::ec2::time::Timestamp;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateFlowLogs {
    resource_id: Vec<String>,
    resource_type: ResourceType,
    traffic_type: TrafficType,
    log_destination_type: Option<String>,
    log_destination: Option<LogDestination>,
    log_format: Option<String>,
    max_aggregation_interval: Option<u32>,
    #[serde(default)]
    destination_options: DestinationOptions,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Clone, Copy, Deserialize)]
enum ResourceType {
    #[serde(rename = "VPC")]
    Vpc,
    Subnet,
    NetworkInterface,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationOptions {
    #[serde(default)]
    hive_compatible_partitions: bool,
    #[serde(default)]
    per_hour_partition: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreateAnswer {
    client_token: Option<String>,
    flow_log_id_set: Vec<FlowLogId>,
    unsuccessful: Vec<Unsuccessful>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeFlowLogs {
    #[serde(default)]
    flow_log_id: Vec<FlowLogId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteFlowLogs {
    flow_log_id: Vec<FlowLogId>,
}

#[derive(Serialize)]
pub(super) struct DeleteAnswer {
    unsuccessful: Vec<Unsuccessful>,
}

/// A resource for which nothing was done.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unsuccessful {
    error: Why,
    resource_id: String,
}

#[derive(Serialize, Deserialize)]
struct Why {
    code: String,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownFlowLog {
    creation_time: Timestamp,
    deliver_logs_error_message: Option<String>,
    deliver_logs_status: &'static str,
    flow_log_id: FlowLogId,
    flow_log_status: &'static str,
    resource_id: String,
    traffic_type: TrafficType,
    log_destination_type: &'static str,
    log_destination: String,
    log_format: String,
    tag_set: Vec<Tag>,
    max_aggregation_interval: u32,
    destination_options: ShownOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownOptions {
    file_format: &'static str,
    hive_compatible_partitions: bool,
    per_hour_partition: bool,
}

/// The one kind of destination that there is here.
const S3: &str = "s3";
const PLAIN_TEXT: &str = "plain-text";

/// For how many seconds a record can stand, and does unless something else is asked.
const INTERVALS: [u32; 2] = [60, 600];
const INTERVAL: u32 = 600;
/// Most resources of a request.
const MOST: usize = 1000;

const FILTERS: &Names = &[
    ("deliver-log-status", "deliverLogsStatus"),
    ("flow-log-id", "flowLogId"),
    ("log-destination-type", "logDestinationType"),
    // None has one.
    ("log-group-name", "logGroupName"),
    ("resource-id", "resourceId"),
    ("tag-key", "tagSet.key"),
    ("traffic-type", "trafficType"),
];

impl Action for CreateFlowLogs {
    const LIMITS: &'static [Limit] = &[
        ("DeliverCrossAccountRole", &[]),
        ("DeliverLogsPermissionArn", &[]),
        ("DestinationOptions.FileFormat", &[PLAIN_TEXT]),
        ("LogGroupName", &[]),
        ("TagFieldSpecification", &[]),
    ];
    const TAKES_TOKEN: bool = true;
    type Answer = CreateAnswer;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<CreateAnswer, Error> {
        // EC2's own default is the one that is not there.
        match self.log_destination_type.as_deref() {
            Some(S3) => {}
            Some("cloud-watch-logs" | "kinesis-data-firehose") | None => {
                let reason = "Flow logs can be delivered to LogDestinationType s3 only.";
                return Err(Error::Unsupported(reason));
            }
            Some(other) => {
                return Err(invalid("LogDestinationType", other, "Expecting s3."));
            }
        }
        let missing = || Error::MissingParameter("LogDestination".to_owned());
        let destination = self.log_destination.ok_or_else(missing)?;
        let interval = self.max_aggregation_interval.unwrap_or(INTERVAL);
        if !INTERVALS.contains(&interval) {
            let interval = interval.to_string();
            return Err(invalid("MaxAggregationInterval", &interval, "Expecting 60 or 600."));
        }
        if self.resource_id.len() > MOST {
            return Err(invalid(
                "ResourceId",
                &self.resource_id.len().to_string(),
                "Expecting 1000 at most.",
            ));
        }
        let kind = self.resource_type;
        let resources: Vec<_> =
            self.resource_id.iter().map(|id| resource(kind, id)).collect::<Result<_, _>>()?;
        let tags = tags_for("vpc-flow-log", self.tag_specification)?;
        let format = self.log_format.map_or_else(|| Ok(LogFormat::default()), log_format)?;
        let traffic = self.traffic_type;
        let DestinationOptions { hive_compatible_partitions, per_hour_partition } = self.destination_options;
        let client_token = token.as_ref().map(|token| token.token.clone());
        let (flow_log_id_set, unsuccessful) = call.commit_once(token, move |transaction| {
            let (mut made, mut missing) = (Vec::new(), Vec::new());
            for resource in resources {
                let wanted = NewFlowLog {
                    resource,
                    traffic,
                    interval,
                    format: format.clone(),
                    destination: destination.clone(),
                    hive_compatible: hive_compatible_partitions,
                    per_hour: per_hour_partition,
                    time: transaction.time(),
                    tags: tags.clone(),
                };
                match transaction.apply(Change::CreateFlowLog(wanted)) {
                    Ok(Applied::FlowLog(id)) => made.push(id),
                    Ok(_) => return Err(Error::Unexpected),
                    Err(
                        fault @ (Fault::VpcNotFound(_)
                        | Fault::SubnetNotFound(_)
                        | Fault::InterfaceNotFound(_)),
                    ) => missing.push(Unsuccessful::new(resource.to_string(), &fault)),
                    Err(fault) => return Err(fault.into()),
                }
            }
            Ok((made, missing))
        })?;
        Ok(CreateAnswer { client_token, flow_log_id_set, unsuccessful })
    }
}

impl Describe for DescribeFlowLogs {
    const SET: &'static str = "flowLogSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownFlowLog;

    fn by_id(&self) -> bool {
        !self.flow_log_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownFlowLog)>, Error> {
        let region = call.region();
        let logs = pick(&self.flow_log_id, region.flow_logs(), Fault::FlowLogNotFound)?;
        Ok(logs.into_iter().map(|log| (log.id.to_string(), shown(call, log))).collect())
    }
}

impl Action for DeleteFlowLogs {
    type Answer = DeleteAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<DeleteAnswer, Error> {
        let unsuccessful = call.commit(move |transaction| {
            let mut missing = Vec::new();
            for flow_log in self.flow_log_id {
                if let Err(fault) = transaction.apply(Change::DeleteFlowLog { flow_log }) {
                    missing.push(Unsuccessful::new(flow_log.to_string(), &fault));
                }
            }
            Ok(missing)
        })?;
        Ok(DeleteAnswer { unsuccessful })
    }
}

impl Unsuccessful {
    fn new(resource_id: String, fault: &Fault) -> Unsuccessful {
        let error = Why { code: fault.code().to_owned(), message: fault.to_string() };
        Unsuccessful { error, resource_id }
    }
}

fn log_format(text: String) -> Result<LogFormat, Error> {
    text.parse().map_err(|bad: BadLogFormat| match bad {
        BadLogFormat::NotRecorded(_) => {
            Error::UnsupportedParameter { name: "LogFormat".to_owned(), value: text }
        }
        BadLogFormat::Unknown(_) => invalid("LogFormat", &text, &bad.to_string()),
    })
}

fn resource(kind: ResourceType, id: &str) -> Result<FlowLogResource, Error> {
    let malformed =
        |code: &'static str| move |bad: BadId| Error::MalformedId { code, message: bad.to_string() };
    match kind {
        ResourceType::Vpc => {
            id.parse().map(FlowLogResource::Vpc).map_err(malformed("InvalidVpcID.Malformed"))
        }
        ResourceType::Subnet => {
            id.parse().map(FlowLogResource::Subnet).map_err(malformed("InvalidSubnetID.Malformed"))
        }
        ResourceType::NetworkInterface => {
            let interface = id.parse().map(FlowLogResource::Interface);
            interface.map_err(malformed("InvalidNetworkInterfaceId.Malformed"))
        }
    }
}

fn shown(call: &Call<'_>, log: &FlowLog) -> ShownFlowLog {
    let FlowLog { id, wanted } = log;
    let deliveries = call.settings().deliveries.as_ref();
    let trouble = deliveries.and_then(|deliveries| deliveries.trouble(*id));
    ShownFlowLog {
        creation_time: Timestamp(wanted.time),
        deliver_logs_status: if trouble.is_some() { "FAILED" } else { "SUCCESS" },
        deliver_logs_error_message: trouble,
        flow_log_id: *id,
        flow_log_status: "ACTIVE",
        resource_id: wanted.resource.to_string(),
        traffic_type: wanted.traffic,
        log_destination_type: S3,
        log_destination: wanted.destination.to_string(),
        log_format: wanted.format.to_string(),
        tag_set: tag_set(&wanted.tags),
        max_aggregation_interval: wanted.interval,
        destination_options: ShownOptions {
            file_format: PLAIN_TEXT,
            hive_compatible_partitions: wanted.hive_compatible,
            per_hour_partition: wanted.per_hour,
        },
    }
}

fn invalid(name: &str, value: &str, reason: &str) -> Error {
    Error::InvalidValue { value: value.to_owned(), name: name.to_owned(), reason: reason.to_owned() }
}
