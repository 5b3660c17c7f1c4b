//! Instances.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::{ImageId, InstanceId, InterfaceId, ReservationId};
use crate::region::Region;
use crate::tag::{self, Tags};
use crate::user_data;

mod attribute;
mod launch;
mod life;
mod network_limits;
mod state;

pub use attribute::InstanceAttribute;
pub use launch::{InterfaceSource, Launch, LaunchInterface};
pub use network_limits::NetworkLimits;
pub(crate) use network_limits::counts;
pub use state::{InstanceState, StateReason};

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The launch that made it.
    pub reservation: ReservationId,
    /// Which of the launch's instances it is.
    pub launch_index: u32,
    /// When it was last launched or started, in seconds since 1970.
    pub launch_time: u64,
    /// What it runs.
    pub image: ImageId,
    /// Such as "t3.micro".
    pub instance_type: String,
    /// What its machine does.
    pub state: InstanceState,
    /// Why it is in this state, if that is not plain from the state.
    pub state_reason: Option<StateReason>,
    /// When it was last asked to be launched, started, stopped or terminated, in seconds since 1970.
    pub state_time: u64,
    /// Whether its machine has ever run: one that has may be started again.
    #[serde(default)]
    pub has_run: bool,
    /// Since when its machine does not run although it should, in seconds since 1970.
    #[serde(default)]
    pub impaired_since: Option<u64>,
    /// How often its machine was asked to restart.
    pub reboots: u64,
    /// The client token of its launch, if there was one.
    pub client_token: Option<String>,
    /// Its interfaces, lowest device index first: the first is the primary. A terminated instance has none.
    pub interfaces: Vec<InterfaceId>,
    /// The name of the key pair that it was launched with.
    pub key_name: Option<String>,
    /// The public key of that key pair, as it was at launch.
    pub public_key: Option<String>,
    /// What its first boot is to run or read.
    #[serde(with = "user_data")]
    pub user_data: Option<Vec<u8>>,
    /// How the metadata service answers it.
    pub metadata: MetadataOptions,
    /// Whether it is protected from being terminated.
    pub disable_api_termination: bool,
    /// Its tags.
    pub tags: Tags,
}

/// How the metadata service answers an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataOptions {
    /// How many hops an answer with a token may travel: 1 to 64.
    pub hop_limit: u8,
    /// Whether requests must show a token.
    pub tokens_required: bool,
}

/// Most bytes of user data (EC2 User Guide, "Run commands on your Linux instance at launch").
const MOST_USER_DATA: usize = 16 * 1024;

impl Instance {
    /// Its Name tag.
    pub fn name(&self) -> Option<&str> {
        tag::name(&self.tags)
    }
}

impl Default for MetadataOptions {
    fn default() -> Self {
        MetadataOptions { hop_limit: 1, tokens_required: false }
    }
}

impl Region {
    pub(crate) fn instance(&self, id: InstanceId) -> Result<&Instance, Fault> {
        self.instances.get(&id).ok_or(Fault::InstanceNotFound(id))
    }

    /// The interface of an instance that has one.
    pub(crate) fn only_interface(&self, id: InstanceId) -> Result<InterfaceId, Fault> {
        let instance = self.instance(id)?;
        match *instance.interfaces.as_slice() {
            [interface] => Ok(interface),
            [] => Err(Fault::IncorrectInstanceState { instance: id, wanted: "used" }),
            _ => Err(Fault::NotOneInterface(id)),
        }
    }
}

fn check_user_data(data: Option<&Vec<u8>>) -> Result<(), InvalidValue> {
    match data {
        Some(data) if data.len() > MOST_USER_DATA => Err(InvalidValue::UserDataTooLarge),
        _ => Ok(()),
    }
}

fn check_metadata(options: MetadataOptions) -> Result<(), InvalidValue> {
    match options.hop_limit {
        1..=64 => Ok(()),
        other => Err(InvalidValue::HopLimit(other)),
    }
}
