//! What the records of a flow log say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal, $version:literal;)+) => {
        /// A field of a flow log's record, up to those of version 5 (VPC user guide, "Flow log records").
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LogField {
            $($(#[doc = $doc])+ $field,)+
        }

        impl LogField {
            /// All of them, in the order of their versions.
            pub const ALL: &[LogField] = &[$(LogField::$field,)+];

            /// Its name, such as "pkt-srcaddr".
            pub fn name(self) -> &'static str {
                match self {
                    $(LogField::$field => $name,)+
                }
            }

            /// The first version of flow logs that had it.
            pub fn version(self) -> u8 {
                match self {
                    $(LogField::$field => $version,)+
                }
            }
        }
    };
}

fields! {
    /// The highest version of the record's fields.
    Version = "version", 2;
    /// Whose interface it is.
    AccountId = "account-id", 2;
    /// The interface.
    InterfaceId = "interface-id", 2;
    /// Where packets come from; for what the interface sends its own private address.
    SrcAddr = "srcaddr", 2;
    /// Where packets go; for what the interface gets its own private address.
    DstAddr = "dstaddr", 2;
    /// Source port.
    SrcPort = "srcport", 2;
    /// Destination port.
    DstPort = "dstport", 2;
    /// IP protocol number.
    Protocol = "protocol", 2;
    /// How many packets.
    Packets = "packets", 2;
    /// How many bytes they had, IP headers included.
    Bytes = "bytes", 2;
    /// When the first was seen, in seconds since 1970.
    Start = "start", 2;
    /// When the last was seen, in seconds since 1970.
    End = "end", 2;
    /// ACCEPT or REJECT.
    Action = "action", 2;
    /// OK, NODATA or SKIPDATA.
    LogStatus = "log-status", 2;
    /// The interface's VPC.
    VpcId = "vpc-id", 3;
    /// The interface's subnet.
    SubnetId = "subnet-id", 3;
    /// The instance that the interface is attached to.
    InstanceId = "instance-id", 3;
    /// FIN 1, SYN 2, RST 4, SYN-ACK 18, all that were seen.
    TcpFlags = "tcp-flags", 3;
    /// IPv4 or IPv6.
    Type = "type", 3;
    /// The packets' own source.
    PktSrcAddr = "pkt-srcaddr", 3;
    /// The packets' own destination.
    PktDstAddr = "pkt-dstaddr", 3;
    /// The region.
    Region = "region", 4;
    /// The interface's availability zone, by its id.
    AzId = "az-id", 4;
    /// Local Zones and the like: there are none here.
    SublocationType = "sublocation-type", 4;
    /// Local Zones and the like: there are none here.
    SublocationId = "sublocation-id", 4;
    /// The AWS service that the source belongs to: there is none here.
    PktSrcAwsService = "pkt-src-aws-service", 5;
    /// The AWS service that the destination belongs to: there is none here.
    PktDstAwsService = "pkt-dst-aws-service", 5;
    /// ingress or egress, seen from the interface.
    FlowDirection = "flow-direction", 5;
    /// By which way what the interface sends leaves.
    TrafficPath = "traffic-path", 5;
}

/// The fields of a flow log's records, in their order. Written as `${version} ${account-id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogFormat(Vec<LogField>);

/// A text that is no [`LogFormat`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadLogFormat {
    /// Nobody knows it.
    #[error("1 validation error detected: Value '{0}' at 'logFormat' has an invalid format")]
    Unknown(String),
    /// It has a field of AWS's that no record has here: of containers, encryption and blocked public access.
    #[error("The field {0} is not recorded here.")]
    NotRecorded(&'static str),
}

/// The fields of later versions.
const NOT_RECORDED: [&str; 13] = [
    "ecs-cluster-arn",
    "ecs-cluster-name",
    "ecs-container-id",
    "ecs-container-instance-arn",
    "ecs-container-instance-id",
    "ecs-second-container-id",
    "ecs-service-name",
    "ecs-task-arn",
    "ecs-task-definition-arn",
    "ecs-task-id",
    "encryption-status",
    "reject-reason",
    "resource-id",
];

/// The fields of version 2, which are the default format.
const DEFAULT: usize = 14;

impl LogFormat {
    /// The fields, in their order.
    pub fn fields(&self) -> &[LogField] {
        &self.0
    }

    /// What the field `version` says: the highest of its fields' versions.
    pub fn version(&self) -> u8 {
        self.0.iter().map(|field| field.version()).max().unwrap_or_default()
    }
}

impl Default for LogFormat {
    fn default() -> LogFormat {
        LogFormat(LogField::ALL[..DEFAULT].to_vec())
    }
}

impl FromStr for LogFormat {
    type Err = BadLogFormat;

    fn from_str(text: &str) -> Result<LogFormat, BadLogFormat> {
        let field = |word: &str| {
            let unknown = || BadLogFormat::Unknown(text.to_owned());
            let name = word.strip_prefix("${").and_then(|word| word.strip_suffix('}')).ok_or_else(unknown)?;
            let known = LogField::ALL.iter().copied().find(|field| field.name() == name);
            known.ok_or_else(|| match NOT_RECORDED.iter().find(|later| **later == name) {
                Some(later) => BadLogFormat::NotRecorded(later),
                None => unknown(),
            })
        };
        text.split(' ').map(field).collect::<Result<_, _>>().map(LogFormat)
    }
}

impl TryFrom<String> for LogFormat {
    type Error = BadLogFormat;

    fn try_from(text: String) -> Result<LogFormat, BadLogFormat> {
        text.parse()
    }
}

impl From<LogFormat> for String {
    fn from(format: LogFormat) -> String {
        format.to_string()
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, field) in self.0.iter().enumerate() {
            write!(f, "{}${{{}}}", if n == 0 { "" } else { " " }, field.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_version_2() {
        let default = LogFormat::default();
        assert_eq!(default.version(), 2);
        assert_eq!(
            default.to_string(),
            "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} \
             ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
        );
    }

    #[test]
    fn fields_in_any_order_give_the_highest_version() {
        for (text, version) in [
            ("${bytes}", 2),
            ("${vpc-id} ${version}", 3),
            ("${az-id} ${srcaddr}", 4),
            ("${version} ${flow-direction} ${az-id}", 5),
        ] {
            let format: LogFormat = text.parse().unwrap();
            assert_eq!((format.to_string().as_str(), format.version()), (text, version));
        }
        let all: Vec<_> = LogField::ALL.iter().map(|field| format!("${{{}}}", field.name())).collect();
        let all: LogFormat = all.join(" ").parse().unwrap();
        assert_eq!(all.fields(), LogField::ALL);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "version", "${version", "${colour}", "${version} ", "${version},${bytes}", "$${bytes}"]
        {
            assert_eq!(text.parse::<LogFormat>(), Err(BadLogFormat::Unknown(text.to_owned())), "{text}");
        }
        let later = "${version} ${reject-reason}".parse::<LogFormat>();
        assert_eq!(later, Err(BadLogFormat::NotRecorded("reject-reason")));
    }
}
