//! Whether instances are well.

use model::{Fault, Instance, InstanceId, InstanceState, Region};
use serde::{Deserialize, Serialize};

use super::ShownState;
use crate::ec2::Call;
use crate::ec2::action::place::zone_id;
use crate::ec2::action::{Describe, pick};
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::ec2::time::Timestamp;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct DescribeInstanceStatus {
    #[serde(default)]
    instance_id: Vec<InstanceId>,
    #[serde(default)]
    include_all_instances: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct ShownStatus {
    instance_id: InstanceId,
    availability_zone: Option<String>,
    availability_zone_id: Option<String>,
    instance_state: ShownState,
    system_status: Health,
    instance_status: Health,
    events_set: Vec<()>,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    details: Vec<Detail>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    name: &'static str,
    status: &'static str,
    impaired_since: Option<Timestamp>,
}

const FILTERS: &Names = &[
    ("availability-zone", "availabilityZone"),
    ("availability-zone-id", "availabilityZoneId"),
    ("event.code", "eventsSet.code"),
    ("instance-state-code", "instanceState.code"),
    ("instance-state-name", "instanceState.name"),
    ("instance-status.reachability", "instanceStatus.details.status"),
    ("instance-status.status", "instanceStatus.status"),
    ("system-status.reachability", "systemStatus.details.status"),
    ("system-status.status", "systemStatus.status"),
];

impl Describe for DescribeInstanceStatus {
    const LIMITS: &'static [Limit] = &[("IncludeManagedResources", &["false", "true"])];
    const SET: &'static str = "instanceStatusSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownStatus;

    fn by_id(&self) -> bool {
        !self.instance_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownStatus)>, Error> {
        let region = call.region();
        let mut instances = pick(&self.instance_id, region.instances(), Fault::InstanceNotFound)?;
        instances.retain(|instance| self.include_all_instances || instance.state == InstanceState::Running);
        Ok(instances
            .into_iter()
            .map(|instance| (instance.id.to_string(), shown(&region, instance)))
            .collect())
    }
}

fn shown(region: &Region, instance: &Instance) -> ShownStatus {
    let primary = instance.interfaces.first().and_then(|id| region.interfaces().get(id));
    let subnet = primary.and_then(|interface| region.subnets().get(&interface.subnet));
    let zone = subnet.map(|subnet| subnet.availability_zone.clone());
    ShownStatus {
        instance_id: instance.id,
        availability_zone_id: zone.as_deref().map(zone_id),
        availability_zone: zone,
        instance_state: instance.state.into(),
        // A machine that does not run fails both checks: that of its host, and its own.
        system_status: Health::of(instance),
        instance_status: Health::of(instance),
        events_set: Vec::new(),
    }
}

impl Health {
    fn of(instance: &Instance) -> Health {
        let impaired_since = instance.impaired_since.map(Timestamp);
        let (status, reachability) = match instance.state {
            InstanceState::Running if impaired_since.is_some() => ("impaired", Some("failed")),
            InstanceState::Running => ("ok", Some("passed")),
            InstanceState::Pending => ("initializing", Some("initializing")),
            _ => ("not-applicable", None),
        };
        let detail = reachability.map(|status| Detail { name: "reachability", status, impaired_since });
        Health { status, details: detail.into_iter().collect() }
    }
}
