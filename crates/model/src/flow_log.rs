//! Flow logs: what is kept of the traffic of network interfaces (VPC user guide, "Logging IP traffic using VPC Flow
//! Logs").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::id::{FlowLogId, InterfaceId, SubnetId, VpcId};
use crate::interface::NetworkInterface;
use crate::region::Region;
use crate::tag::{self, Tags};

mod destination;
mod format;

pub use destination::{BadLogDestination, LogDestination};
pub use format::{BadLogFormat, LogField, LogFormat};

/// Most flow logs of one VPC, of one subnet and of one interface (VPC user guide, "Amazon VPC quotas").
const MOST: usize = 2;

/// A flow log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowLog {
    /// Its id.
    pub id: FlowLogId,
    /// What it was asked for, and from when on.
    #[serde(flatten)]
    pub wanted: NewFlowLog,
}

/// What a flow log is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFlowLog {
    /// Whose traffic it is about.
    pub resource: FlowLogResource,
    /// Which traffic it is about.
    pub traffic: TrafficType,
    /// For how many seconds a record stands, at most: 60 or 600.
    pub interval: u32,
    /// What a record says.
    pub format: LogFormat,
    /// Where its files go.
    pub destination: LogDestination,
    /// Whether folders are called as Hive wants them: `year=2026`.
    pub hive_compatible: bool,
    /// Whether there is a folder for each hour, not only for each day.
    pub per_hour: bool,
    /// When it is made, in seconds since 1970.
    pub time: u64,
    /// Its tags.
    pub tags: Tags,
}

/// Whose traffic a flow log is about. It outlives what it is about, as EC2's do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FlowLogResource {
    /// That of all interfaces of a VPC.
    Vpc(VpcId),
    /// That of all interfaces of a subnet.
    Subnet(SubnetId),
    /// That of one interface.
    Interface(InterfaceId),
}

/// Which traffic a flow log is about: by what security groups and network ACLs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TrafficType {
    /// What they let pass.
    Accept,
    /// What they refuse.
    Reject,
    /// Both.
    All,
}

impl FlowLog {
    /// Whether it is about the traffic of an interface.
    pub fn covers(&self, interface: &NetworkInterface) -> bool {
        match self.wanted.resource {
            FlowLogResource::Vpc(vpc) => interface.vpc == vpc,
            FlowLogResource::Subnet(subnet) => interface.subnet == subnet,
            FlowLogResource::Interface(id) => interface.id == id,
        }
    }
}

impl Region {
    /// The flow logs that are about the traffic of an interface.
    pub fn flow_logs_of(&self, interface: &NetworkInterface) -> impl Iterator<Item = &FlowLog> {
        self.flow_logs.values().filter(move |log| log.covers(interface))
    }

    pub(crate) fn create_flow_log(&mut self, wanted: NewFlowLog) -> Result<FlowLogId, Fault> {
        match wanted.resource {
            FlowLogResource::Vpc(id) => self.vpc(id).map(drop)?,
            FlowLogResource::Subnet(id) => _ = self.subnets.get(&id).ok_or(Fault::SubnetNotFound(id))?,
            FlowLogResource::Interface(id) => {
                _ = self.interfaces.get(&id).ok_or(Fault::InterfaceNotFound(id))?;
            }
        }
        tag::check(&wanted.tags)?;
        let all = self.flow_logs.values().map(|log| &log.wanted);
        let siblings: Vec<_> = all.filter(|other| other.resource == wanted.resource).collect();
        let same =
            |other: &&NewFlowLog| other.destination == wanted.destination && other.traffic == wanted.traffic;
        if siblings.iter().any(same) {
            return Err(Fault::FlowLogAlreadyExists);
        }
        if siblings.len() >= MOST {
            return Err(Fault::FlowLogsLimitExceeded);
        }

        let id = self.draw();
        self.flow_logs.insert(id, FlowLog { id, wanted });
        Ok(id)
    }

    pub(crate) fn delete_flow_log(&mut self, id: FlowLogId) -> Result<(), Fault> {
        self.flow_logs.remove(&id).map(drop).ok_or(Fault::FlowLogNotFound(id))
    }
}

impl fmt::Display for FlowLogResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlowLogResource::Vpc(id) => id.fmt(f),
            FlowLogResource::Subnet(id) => id.fmt(f),
            FlowLogResource::Interface(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change};

    fn wanted(resource: FlowLogResource, bucket: &str) -> NewFlowLog {
        NewFlowLog {
            resource,
            traffic: TrafficType::All,
            interval: 60,
            format: LogFormat::default(),
            destination: format!("arn:aws:s3:::{bucket}").parse().unwrap(),
            hive_compatible: false,
            per_hour: false,
            time: 7,
            tags: tags("flow log"),
        }
    }

    fn create(network: &mut Network, wanted: &NewFlowLog) -> FlowLogId {
        match network.apply(Change::CreateFlowLog(wanted.clone())) {
            Applied::FlowLog(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_interface_is_logged_with_its_subnet_and_its_vpc() {
        let mut network = Network::new();
        let (_, interface) = network.instance();
        let mut logs = Vec::new();
        for resource in [
            FlowLogResource::Vpc(network.vpc),
            FlowLogResource::Subnet(network.subnet),
            FlowLogResource::Interface(interface),
            FlowLogResource::Vpc(network.other),
        ] {
            logs.push(create(&mut network, &wanted(resource, "flows")));
        }
        let covering = |network: &Network| -> Vec<FlowLogId> {
            let interface = &network.region.interfaces()[&interface];
            network.region.flow_logs_of(interface).map(|log| log.id).collect()
        };
        let mut expected = logs[..3].to_vec();
        expected.sort();
        assert_eq!(covering(&network), expected);
        for flow_log in logs {
            network.apply(Change::DeleteFlowLog { flow_log });
            assert!(!covering(&network).contains(&flow_log));
            let again = network.refused(Change::DeleteFlowLog { flow_log });
            assert_eq!(again.code(), "InvalidFlowLogId.NotFound");
        }
    }

    #[test]
    fn two_of_a_resource_and_no_two_alike() {
        let mut network = Network::new();
        let vpc = FlowLogResource::Vpc(network.vpc);
        let first = create(&mut network, &wanted(vpc, "flows"));
        let code = |network: &mut Network, wanted| network.refused(Change::CreateFlowLog(wanted)).code();
        let same = NewFlowLog { interval: 600, tags: Tags::new(), ..wanted(vpc, "flows") };
        assert_eq!(code(&mut network, same), "FlowLogAlreadyExists");
        create(&mut network, &NewFlowLog { traffic: TrafficType::Reject, ..wanted(vpc, "flows") });
        assert_eq!(code(&mut network, wanted(vpc, "others")), "FlowLogsLimitExceeded");
        let subnet = FlowLogResource::Subnet(network.subnet);
        create(&mut network, &wanted(subnet, "flows"));
        network.apply(Change::DeleteFlowLog { flow_log: first });
        create(&mut network, &wanted(vpc, "others"));

        for (nowhere, expected) in [
            (FlowLogResource::Vpc("vpc-00000000".parse().unwrap()), "InvalidVpcID.NotFound"),
            (FlowLogResource::Subnet("subnet-00000000".parse().unwrap()), "InvalidSubnetID.NotFound"),
            (
                FlowLogResource::Interface("eni-00000000".parse().unwrap()),
                "InvalidNetworkInterfaceID.NotFound",
            ),
        ] {
            assert_eq!(code(&mut network, wanted(nowhere, "flows")), expected);
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut network = Network::new();
        let vpc = FlowLogResource::Vpc(network.vpc);
        let format = "${version} ${pkt-srcaddr}".parse().unwrap();
        create(&mut network, &NewFlowLog { format, ..wanted(vpc, "flows") });
        let snapshot = serde_json::to_string(&network.region).unwrap();
        assert_eq!(serde_json::from_str::<Region>(&snapshot).unwrap(), network.region);
        let change = Change::CreateFlowLog(wanted(vpc, "flows"));
        let json = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change);
    }
}
