//! What becomes of NAT gateways and peering connections without anybody asking: the changes that only the daemon can
//! make, once the fabric knows, and those that time brings.

use std::time::{SystemTime, UNIX_EPOCH};

use control::store::{CommitError, Transaction};
use model::{Change, Fault, NatGateway, NatGatewayId, NatGatewayState, Region};

use super::agent::{Agent, AgentError, Condition};

impl Agent {
    /// Looks after a region's gateways, once the fabric decides by it.
    pub(super) fn look_after_gateways(&mut self, region: &Region) -> Result<Condition, AgentError> {
        let mut condition = Condition::Settled;
        for gateway in region.nat_gateways().values() {
            if let Some(next) = next(gateway) {
                self.turn(region, gateway.id, gateway.state, next)?;
                condition = Condition::Coming;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        for due in region.due(now) {
            let key = (region.key().clone(), due.resource, due.at);
            if self.due.reached(&self.cloud.clock, key.clone(), 0, due.at) {
                let change = due.change;
                self.due.forget(&key);
                self.bring(region, move |transaction| transaction.apply(change).map(drop))?;
                condition = Condition::Coming;
            }
        }
        Ok(condition)
    }

    /// Turns a gateway, unless somebody has turned it otherwise.
    fn turn(
        &self,
        region: &Region,
        gateway: NatGatewayId,
        from: NatGatewayState,
        to: NatGatewayState,
    ) -> Result<(), AgentError> {
        self.bring(region, move |transaction| {
            let now = transaction.region().nat_gateways().get(&gateway).map(|gateway| gateway.state);
            if now == Some(from) {
                transaction.apply(Change::SetNatGatewayState { gateway, state: to })?;
            }
            Ok(())
        })
    }

    /// Makes a change that is still to be made. Where somebody was faster, it is refused and nothing is lost: the next
    /// round sees why.
    fn bring(
        &self,
        region: &Region,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), AgentError> {
        match self.cloud.store.commit(region.key(), change) {
            Err(CommitError::Refused(fault)) => {
                tracing::debug!(%fault, "somebody was faster");
                Ok(())
            }
            done => Ok(done?),
        }
    }
}

/// What a gateway turns into once the fabric knows its state.
fn next(gateway: &NatGateway) -> Option<NatGatewayState> {
    match gateway.state {
        NatGatewayState::Pending => Some(NatGatewayState::Available),
        NatGatewayState::Deleting => Some(NatGatewayState::Deleted),
        NatGatewayState::Available | NatGatewayState::Deleted | NatGatewayState::Failed(_) => None,
    }
}
