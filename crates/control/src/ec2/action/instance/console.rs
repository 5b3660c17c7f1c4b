//! What instances have written on their consoles.

use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Fault, InstanceId};
use serde::{Deserialize, Serialize};

use crate::ec2::Call;
use crate::ec2::action::Action;
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::ec2::time::{Timestamp, now};
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct GetConsoleOutput {
    instance_id: InstanceId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct GetConsoleOutputAnswer {
    instance_id: InstanceId,
    timestamp: Timestamp,
    /// In base64.
    output: Option<String>,
}

/// Bytes (EC2 API Reference, "GetConsoleOutput").
const MOST: u64 = 64 << 10;

impl Action for GetConsoleOutput {
    /// It is always the latest.
    const LIMITS: &'static [Limit] = &[("Latest", &["false", "true"])];
    type Answer = GetConsoleOutputAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let id = self.instance_id;
        call.region().instances().get(&id).ok_or(Fault::InstanceNotFound(id))?;
        let consoles = call.settings().consoles.as_ref();
        let console =
            consoles.map(|consoles| consoles.console(id, MOST)).transpose().map_err(Error::Console)?;
        let console = console.flatten();
        let written = console.as_ref().map(|console| console.written.duration_since(UNIX_EPOCH));
        let written = written.map_or_else(now, |since| since.unwrap_or_default().as_secs());
        let output = console.filter(|console| !console.output.is_empty());
        Ok(GetConsoleOutputAnswer {
            instance_id: id,
            timestamp: Timestamp(written),
            output: output.map(|console| STANDARD.encode(console.output)),
        })
    }
}
