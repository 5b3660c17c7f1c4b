//! Whether flow logs get to where they are to go.

use std::fmt;

use model::FlowLogId;

/// Whoever writes the files of flow logs.
pub trait Deliveries: Send + Sync {
    /// Why the last file of a flow log could not be written, in words; none if it was, or there was none yet.
    fn trouble(&self, log: FlowLogId) -> Option<String>;
}

impl fmt::Debug for dyn Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deliveries")
    }
}
