//! For how long the security groups of an interface remember connections, as it is asked for and shown.

use model::ConnectionTracking;
use serde::{Deserialize, Serialize};

/// What is asked for. What is not stays as it is.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct ConnectionTrackingSpecification {
    tcp_established_timeout: Option<u32>,
    udp_stream_timeout: Option<u32>,
    udp_timeout: Option<u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownConnectionTracking {
    tcp_established_timeout: u32,
    udp_stream_timeout: u32,
    udp_timeout: u32,
}

impl ConnectionTrackingSpecification {
    /// For a new interface.
    pub(in crate::ec2::action) fn of_new(asked: Option<Self>) -> ConnectionTracking {
        let default = ConnectionTracking::default();
        asked.map_or(default, |asked| asked.over(default))
    }

    /// For an interface that has some.
    pub(in crate::ec2::action) fn over(self, before: ConnectionTracking) -> ConnectionTracking {
        ConnectionTracking {
            tcp_established: self.tcp_established_timeout.unwrap_or(before.tcp_established),
            udp_stream: self.udp_stream_timeout.unwrap_or(before.udp_stream),
            udp: self.udp_timeout.unwrap_or(before.udp),
        }
    }
}

impl ShownConnectionTracking {
    /// What was configured; nothing while all is as EC2 has it.
    pub(super) fn of(tracking: ConnectionTracking) -> Option<ShownConnectionTracking> {
        (tracking != ConnectionTracking::default()).then_some(ShownConnectionTracking {
            tcp_established_timeout: tracking.tcp_established,
            udp_stream_timeout: tracking.udp_stream,
            udp_timeout: tracking.udp,
        })
    }
}
