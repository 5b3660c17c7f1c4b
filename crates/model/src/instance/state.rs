//! What an instance's machine does, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an instance's machine does (EC2 User Guide, "Instance lifecycle").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// It is being started.
    Pending,
    /// It runs.
    Running,
    /// It is being stopped.
    Stopping,
    /// It does not run, and can be started.
    Stopped,
    /// It is being taken away.
    ShuttingDown,
    /// It is gone for good.
    Terminated,
}

/// Why an instance is in its state: EC2's StateReason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateReason {
    /// It was asked to stop or to end.
    UserInitiatedShutdown,
    /// Its machine stopped by itself.
    InstanceInitiatedShutdown,
    /// Its machine could not be started.
    InternalError,
}

impl InstanceState {
    /// The low byte of EC2's InstanceState.Code.
    pub fn code(self) -> u16 {
        match self {
            InstanceState::Pending => 0,
            InstanceState::Running => 16,
            InstanceState::ShuttingDown => 32,
            InstanceState::Terminated => 48,
            InstanceState::Stopping => 64,
            InstanceState::Stopped => 80,
        }
    }

    /// Whether the instance will not come back.
    pub fn is_ending(self) -> bool {
        matches!(self, InstanceState::ShuttingDown | InstanceState::Terminated)
    }
}

impl StateReason {
    /// EC2's StateReason.Code.
    pub fn code(self) -> &'static str {
        match self {
            StateReason::UserInitiatedShutdown => "Client.UserInitiatedShutdown",
            StateReason::InstanceInitiatedShutdown => "Client.InstanceInitiatedShutdown",
            StateReason::InternalError => "Server.InternalError",
        }
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            InstanceState::Pending => "pending",
            InstanceState::Running => "running",
            InstanceState::Stopping => "stopping",
            InstanceState::Stopped => "stopped",
            InstanceState::ShuttingDown => "shutting-down",
            InstanceState::Terminated => "terminated",
        })
    }
}

/// EC2's StateReason.Message.
impl fmt::Display for StateReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            StateReason::UserInitiatedShutdown => "User initiated shutdown",
            StateReason::InstanceInitiatedShutdown => "Instance initiated shutdown",
            StateReason::InternalError => "Internal error on launch",
        };
        write!(f, "{}: {words}", self.code())
    }
}
