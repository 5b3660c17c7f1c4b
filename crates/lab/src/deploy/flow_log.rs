//! Flow logs to buckets.

use model::{Applied, Change, FlowLogResource, LogDestination, LogFormat, NewFlowLog, TrafficType};

use super::resources::Properties;
use super::{Maker, PhysicalId};
use crate::error::{LabError, TemplateFault, Wrong};
use crate::yaml::{Fields, Node};

const OPTIONS: &[&str] = &["FileFormat", "HiveCompatiblePartitions", "PerHourPartition"];

impl Maker<'_> {
    pub(super) fn flow_log(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let node = fields.required("ResourceId")?;
        let kind = fields.required("ResourceType")?;
        let resource = match kind.text("`ResourceType`")? {
            "VPC" => FlowLogResource::Vpc(node.value("the id of a VPC")?),
            "Subnet" => FlowLogResource::Subnet(node.value("the id of a subnet")?),
            "NetworkInterface" => FlowLogResource::Interface(node.value("the id of a network interface")?),
            other => return Err(not_one_of(kind, other, "VPC, Subnet or NetworkInterface")),
        };
        let traffic = fields.required("TrafficType")?;
        let traffic = match traffic.text("`TrafficType`")? {
            "ACCEPT" => TrafficType::Accept,
            "REJECT" => TrafficType::Reject,
            "ALL" => TrafficType::All,
            other => return Err(not_one_of(traffic, other, "ACCEPT, REJECT or ALL")),
        };
        only(fields.required("LogDestinationType")?, "LogDestinationType", "s3", "only s3 is")?;
        let destination = fields.required("LogDestination")?;
        let destination =
            destination.value::<LogDestination>("the ARN of a bucket: arn:aws:s3:::name/folder/")?;
        let format = fields.optional("LogFormat").map(|node| node.value::<LogFormat>("fields: ${version} …"));
        let interval = match fields.optional("MaxAggregationInterval") {
            None => 600,
            Some(node) => match node.value("60 or 600")? {
                interval @ (60 | 600) => interval,
                other => return Err(not_one_of(node, &other.to_string(), "60 or 600")),
            },
        };
        let (hive_compatible, per_hour) = match fields.optional("DestinationOptions") {
            None => (false, false),
            Some(node) => {
                let options = Fields::of(node, "`DestinationOptions`", OPTIONS)?;
                if let Some(node) = options.optional("FileFormat") {
                    only(node, "FileFormat", "plain-text", "only plain-text is")?;
                }
                let is_set = |name| options.optional(name).map_or(Ok(false), Node::boolean);
                (is_set("HiveCompatiblePartitions")?, is_set("PerHourPartition")?)
            }
        };
        let wanted = NewFlowLog {
            resource,
            traffic,
            interval,
            format: format.transpose()?.unwrap_or_default(),
            destination,
            hive_compatible,
            per_hour,
            time: self.cloud.time(),
            tags: properties.tags()?,
        };
        match self.apply(properties, &node.place, Change::CreateFlowLog(wanted))? {
            Applied::FlowLog(id) => Ok(PhysicalId::FlowLog(id)),
            _ => unreachable!("CreateFlowLog gives a flow log"),
        }
    }
}

/// Refuses what is carried out for one value alone.
fn only(node: &Node, property: &'static str, fine: &str, why: &'static str) -> Result<(), LabError> {
    match node.text(property)? {
        value if value == fine => Ok(()),
        value => {
            let value = value.to_owned();
            Err(node.error(TemplateFault::PropertyValue { property, value, why }))
        }
    }
}

fn not_one_of(node: &Node, value: &str, expected: &'static str) -> LabError {
    node.error(Wrong::Value { value: value.to_owned(), expected })
}
