//! For how long the security groups of an interface remember connections.

use serde::{Deserialize, Serialize};

use crate::fault::InvalidValue;

/// Idle times in seconds after which a tracked connection is forgotten (EC2 User Guide, "Security group connection
/// tracking").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionTracking {
    /// Of TCP connections that are established: 60 to 432,000.
    pub tcp_established: u32,
    /// Of UDP flows that have seen more than one request and answer: 60 to 180.
    pub udp_stream: u32,
    /// Of other UDP flows: 30 to 60.
    pub udp: u32,
}

impl Default for ConnectionTracking {
    fn default() -> Self {
        ConnectionTracking { tcp_established: 432_000, udp_stream: 180, udp: 30 }
    }
}

impl ConnectionTracking {
    pub(super) fn check(self) -> Result<(), InvalidValue> {
        for (parameter, value, least, most) in [
            ("TcpEstablishedTimeout", self.tcp_established, 60, 432_000),
            ("UdpStreamTimeout", self.udp_stream, 60, 180),
            ("UdpTimeout", self.udp, 30, 60),
        ] {
            if !(least..=most).contains(&value) {
                return Err(InvalidValue::TrackingTimeout { parameter, value, least, most });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Network;
    use crate::{Change, InterfaceAttribute, NewInterface};

    #[test]
    fn times_have_bounds() {
        let mut network = Network::new();
        let interface = network.interface(&[]);
        let default = ConnectionTracking::default();
        assert_eq!(network.region.interfaces()[&interface].connection_tracking, default);
        let modify = |tracking| Change::ModifyNetworkInterfaceAttribute {
            interface,
            attribute: InterfaceAttribute::ConnectionTracking(tracking),
        };
        let short = ConnectionTracking { tcp_established: 60, udp_stream: 60, udp: 60 };
        network.apply(modify(short));
        assert_eq!(network.region.interfaces()[&interface].connection_tracking, short);
        for wrong in [
            ConnectionTracking { tcp_established: 59, ..default },
            ConnectionTracking { tcp_established: 432_001, ..default },
            ConnectionTracking { udp_stream: 181, ..default },
            ConnectionTracking { udp: 29, ..default },
        ] {
            assert_eq!(network.refused(modify(wrong)).code(), "InvalidParameterValue");
            let new = NewInterface { connection_tracking: wrong, ..NewInterface::new(network.subnet) };
            assert_eq!(network.refused(Change::CreateNetworkInterface(new)).code(), "InvalidParameterValue");
        }
    }
}
