//! The daemon's clock, as people change it while it runs.

use std::time::Duration;

use host::clock::TooFar;
use host::fabric::FabricError;

use super::cloud::Cloud;
use crate::protocol::{ClockChange, ClockStatus};

/// How long the agent may take to finish what it does, and do one round. It may have to end a machine.
const ROUND: Duration = Duration::from_secs(30);

/// Why the clock was not changed, or not everybody has looked at it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClockError {
    #[error(transparent)]
    TooFar(#[from] TooFar),
    #[error("the clock has changed, and {0}")]
    Fabric(#[from] FabricError),
    #[error("the agent is busy, and has not looked at the clock yet")]
    Busy,
}

/// Changes the clock. Whatever ends by its new time has ended when this returns.
pub(super) fn change(cloud: &Cloud, change: ClockChange) -> Result<ClockStatus, ClockError> {
    match change {
        ClockChange::None => return Ok(status(cloud)),
        ClockChange::Advance(by) => {
            // A flow log that was asked for a moment ago is to have begun before that.
            if cloud.regions().iter().any(|region| !region.flow_logs().is_empty())
                && !cloud.rounds.await_one(ROUND)
            {
                return Err(ClockError::Busy);
            }
            cloud.clock.advance(by)?;
        }
        ClockChange::Rate(rate) => cloud.clock.set_rate(rate),
    }
    cloud.expire()?;
    if !cloud.rounds.await_one(ROUND) {
        return Err(ClockError::Busy);
    }
    Ok(status(cloud))
}

fn status(cloud: &Cloud) -> ClockStatus {
    let reading = cloud.clock.reading();
    ClockStatus {
        lab: cloud.lab.name.clone(),
        rate: reading.rate,
        seconds: reading.elapsed.as_secs_f64(),
        real_seconds: reading.real.as_secs_f64(),
    }
}
