//! Instances, as they are shown.

mod console;
mod shown;
mod status;

use model::{Fault, Instance, InstanceId, InstanceState, Region, ReservationId};
use serde::{Deserialize, Serialize};

use super::{Describe, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;

pub(super) use console::GetConsoleOutput;
pub(super) use shown::ShownMetadataOptions;
use shown::{FILTERS, ShownInstance};
pub(super) use status::DescribeInstanceStatus;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstances {
    #[serde(default)]
    instance_id: Vec<InstanceId>,
}

/// An instance with its launch.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Launched {
    reservation_id: ReservationId,
    owner_id: String,
    instance: ShownInstance,
}

/// A launch, with its instances or those of them that are looked for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reservation {
    reservation_id: ReservationId,
    owner_id: String,
    group_set: Vec<()>,
    instances_set: Vec<ShownInstance>,
}

/// A state, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ShownState {
    code: u16,
    name: String,
}

impl Describe for DescribeInstances {
    const LIMITS: &'static [Limit] = &[("IncludeManagedResources", &["false", "true"])];
    const SET: &'static str = "reservationSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = Launched;

    fn by_id(&self) -> bool {
        !self.instance_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, Launched)>, Error> {
        let region = call.region();
        let mut instances = pick(&self.instance_id, region.instances(), Fault::InstanceNotFound)?;
        // Those of one launch together.
        instances.sort_by_key(|instance| (instance.reservation, instance.launch_index));
        let key = |instance: &Instance| format!("{} {:010}", instance.reservation, instance.launch_index);
        Ok(instances.into_iter().map(|instance| (key(instance), launched(call, &region, instance))).collect())
    }

    fn list(shown: Vec<Launched>) -> impl Serialize {
        let mut reservations: Vec<Reservation> = Vec::new();
        for launched in shown {
            match reservations.last_mut() {
                Some(last) if last.reservation_id == launched.reservation_id => {
                    last.instances_set.push(launched.instance);
                }
                _ => reservations.push(Reservation {
                    reservation_id: launched.reservation_id,
                    owner_id: launched.owner_id,
                    group_set: Vec::new(),
                    instances_set: vec![launched.instance],
                }),
            }
        }
        reservations
    }
}

impl Reservation {
    /// A launch, with those of these instances that there are.
    pub(super) fn of(
        call: &Call<'_>,
        region: &Region,
        reservation_id: ReservationId,
        instances: &[InstanceId],
    ) -> Reservation {
        let instances = instances.iter().filter_map(|id| region.instances().get(id));
        Reservation {
            reservation_id,
            owner_id: region.key().account.0.clone(),
            group_set: Vec::new(),
            instances_set: instances.map(|instance| ShownInstance::of(call, region, instance)).collect(),
        }
    }
}

impl From<InstanceState> for ShownState {
    fn from(state: InstanceState) -> Self {
        ShownState { code: state.code(), name: state.to_string() }
    }
}

fn launched(call: &Call<'_>, region: &Region, instance: &Instance) -> Launched {
    Launched {
        reservation_id: instance.reservation,
        owner_id: region.key().account.0.clone(),
        instance: ShownInstance::of(call, region, instance),
    }
}
