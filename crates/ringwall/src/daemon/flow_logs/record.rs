//! Records of flow logs as lines (VPC user guide, "Flow log records").

use engine::{Direction, Flow, InterfaceKey, Seen};
use model::{InstanceId, LogField, LogFormat, SubnetId, VpcId};

/// What is not there, or does not apply.
const NOTHING: &str = "-";

/// What records say of an interface, whatever it sent.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) vpc: VpcId,
    pub(super) subnet: SubnetId,
    /// None for what belongs to a gateway.
    pub(super) instance: Option<InstanceId>,
    /// The id of its availability zone.
    pub(super) zone: String,
}

/// What one line is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Record<'a> {
    Flow(&'a Flow, &'a Seen),
    /// There was no traffic.
    NoData,
    /// There was more than could be counted.
    SkipData,
}

impl Record<'_> {
    /// When the last of it came, in seconds since 1970, in a window of this span.
    pub(super) fn end(&self, (_, end): (u64, u64)) -> u64 {
        match self {
            Record::Flow(_, seen) => seen.last,
            Record::NoData | Record::SkipData => end,
        }
    }
}

/// The names of the fields: the first line of a file.
pub(super) fn header(format: &LogFormat) -> String {
    let names: Vec<_> = format.fields().iter().map(|field| field.name()).collect();
    names.join(" ")
}

/// A record of a window that lasted from and until these seconds since 1970.
pub(super) fn line(
    format: &LogFormat,
    key: &InterfaceKey,
    about: &About,
    span: (u64, u64),
    record: &Record<'_>,
) -> String {
    let field = |field: &LogField| match *field {
        LogField::Version => format.version().to_string(),
        LogField::AccountId => key.region.account.0.clone(),
        LogField::InterfaceId => key.interface.to_string(),
        LogField::VpcId => about.vpc.to_string(),
        LogField::SubnetId => about.subnet.to_string(),
        LogField::InstanceId => about.instance.map_or_else(|| NOTHING.to_owned(), |id| id.to_string()),
        LogField::Region => key.region.region.0.clone(),
        LogField::AzId => about.zone.clone(),
        LogField::Start => match record {
            Record::Flow(_, seen) => seen.first.to_string(),
            Record::NoData | Record::SkipData => span.0.to_string(),
        },
        LogField::End => record.end(span).to_string(),
        LogField::LogStatus => match record {
            Record::Flow(..) => "OK",
            Record::NoData => "NODATA",
            Record::SkipData => "SKIPDATA",
        }
        .to_owned(),
        LogField::SublocationType
        | LogField::SublocationId
        | LogField::PktSrcAwsService
        | LogField::PktDstAwsService => NOTHING.to_owned(),
        of_flow => match record {
            Record::Flow(flow, seen) => of(of_flow, flow, seen),
            Record::NoData | Record::SkipData => NOTHING.to_owned(),
        },
    };
    let fields: Vec<_> = format.fields().iter().map(field).collect();
    fields.join(" ")
}

/// What a flow says in a field that is about its packets.
fn of(field: LogField, flow: &Flow, seen: &Seen) -> String {
    match field {
        LogField::SrcAddr => flow.srcaddr().to_string(),
        LogField::DstAddr => flow.dstaddr().to_string(),
        LogField::PktSrcAddr => flow.src.to_string(),
        LogField::PktDstAddr => flow.dst.to_string(),
        LogField::SrcPort => flow.src_port.to_string(),
        LogField::DstPort => flow.dst_port.to_string(),
        LogField::Protocol => flow.protocol.to_string(),
        LogField::Packets => seen.packets.to_string(),
        LogField::Bytes => seen.bytes.to_string(),
        LogField::Action => if flow.accepted { "ACCEPT" } else { "REJECT" }.to_owned(),
        // What has none has seen none.
        LogField::TcpFlags => seen.tcp_flags.to_string(),
        LogField::Type => if flow.src.is_ipv6() { "IPv6" } else { "IPv4" }.to_owned(),
        LogField::FlowDirection => match flow.direction {
            Direction::Egress => "egress",
            Direction::Ingress => "ingress",
        }
        .to_owned(),
        LogField::TrafficPath => {
            flow.path.map_or_else(|| NOTHING.to_owned(), |path| (path as u8).to_string())
        }
        _ => NOTHING.to_owned(),
    }
}
