//! Starting, stopping, restarting and ending instances.

use model::{Applied, Change, InstanceId, InstanceState};
use serde::{Deserialize, Serialize};

use super::instance::ShownState;
use super::{Action, DONE, Done};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::ec2::time::now;
use crate::store::{ClientToken, Transaction};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartInstances {
    instance_id: Vec<InstanceId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StopInstances {
    instance_id: Vec<InstanceId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RebootInstances {
    instance_id: Vec<InstanceId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TerminateInstances {
    instance_id: Vec<InstanceId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    instances_set: Vec<Turn>,
}

/// How an instance went from one state to another.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    instance_id: InstanceId,
    current_state: ShownState,
    previous_state: ShownState,
}

impl Action for StartInstances {
    const LIMITS: &'static [Limit] = &[("AdditionalInfo", &[])];
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let time = now();
        let pool = call.pool();
        turn(call, self.instance_id, move |transaction, instance| {
            let applied = transaction.apply(Change::StartInstance { instance, time })?;
            pool.serve_instance(transaction, instance)?;
            Ok(applied)
        })
    }
}

impl Action for StopInstances {
    /// With force or without: a machine that does not stop in time is stopped.
    const LIMITS: &'static [Limit] =
        &[("Force", &["false", "true"]), ("Hibernate", &["false"]), ("SkipOsShutdown", &["false"])];
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let time = now();
        turn(call, self.instance_id, move |transaction, instance| {
            Ok(transaction.apply(Change::StopInstance { instance, time })?)
        })
    }
}

impl Action for RebootInstances {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        call.commit(move |transaction| {
            for instance in self.instance_id {
                transaction.apply(Change::RebootInstance { instance })?;
            }
            Ok(DONE)
        })
    }
}

impl Action for TerminateInstances {
    const LIMITS: &'static [Limit] = &[("Force", &["false", "true"]), ("SkipOsShutdown", &["false"])];
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let time = now();
        turn(call, self.instance_id, move |transaction, instance| {
            Ok(transaction.apply(Change::TerminateInstance { instance, time })?)
        })
    }
}

/// Asks the same of several instances, of all or none.
fn turn(
    call: &Call<'_>,
    instances: Vec<InstanceId>,
    change: impl Fn(&mut Transaction<'_>, InstanceId) -> Result<Applied, Error> + Send + 'static,
) -> Result<Answer, Error> {
    call.commit(move |transaction| {
        let mut instances_set = Vec::new();
        for instance_id in instances {
            let (previous, current): (InstanceState, InstanceState) = match change(transaction, instance_id)?
            {
                Applied::InstanceState { previous, current } => (previous, current),
                _ => return Err(Error::Unexpected),
            };
            instances_set.push(Turn {
                instance_id,
                current_state: current.into(),
                previous_state: previous.into(),
            });
        }
        Ok(Answer { instances_set })
    })
}
