//! A lab as it would stand, with the engine's tables and without a kernel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Fabric, InterfaceKey, PortId, Services, Tables, Uplink};
use lab::deploy::{Deployment, deploy};
use lab::file::Lab;
use lab::plan;
use lab::walk::{Explanation, Outcome, Proto, Question, Scene, Unanswerable, explain};
use model::{Change, NatGatewayState, Region};

/// A lab as it would stand, with made-up port numbers.
pub(crate) struct Standing {
    pub(crate) lab: Lab,
    pub(crate) deployment: Deployment,
    pub(crate) region: Region,
    pub(crate) fabric: Fabric,
    pub(crate) tables: Arc<Tables>,
}

impl Standing {
    pub(crate) fn load(path: &Path) -> Standing {
        let lab = Lab::load(path).unwrap();
        let mut region = Region::new(lab.region.clone(), 7);
        let deployment = deploy(&lab, &mut region).unwrap();
        // As the daemon says once the fabric decides by them.
        for gateway in region.nat_gateways().keys().copied().collect::<Vec<_>>() {
            let state = NatGatewayState::Available;
            region.apply(Change::SetNatGatewayState { gateway, state }).unwrap();
        }
        let interfaces: BTreeMap<_, _> = region
            .interfaces()
            .keys()
            .zip(10..)
            .map(|(&interface, port)| {
                (InterfaceKey { region: region.key().clone(), interface }, PortId(port))
            })
            .collect();
        let uplink = Uplink {
            port: PortId(2),
            mac: plan::uplink_mac(&lab),
            mtu: 1500,
            neighbors: plan::internet_neighbors(&lab),
            gateway: None,
        };
        let services = Services { port: PortId(3), mac: wire::Mac([2, 0, 0, 0, 0, 3]) };
        let fabric = Fabric { interfaces, services: Some(services), uplink: Some(uplink) };
        let tables = Arc::new(Tables::compile([&region], &fabric, 1, 0));
        Standing { lab, deployment, region, fabric, tables }
    }

    /// One of `labs`.
    pub(crate) fn sample(name: &str) -> Standing {
        Standing::load(&samples().join(name))
    }

    pub(crate) fn ask(
        &self,
        from: &str,
        to: &str,
        proto: Proto,
        port: u16,
    ) -> Result<Explanation, Unanswerable> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.answer(&Question { from, to, ipv6: false, port, proto })
    }

    pub(crate) fn answer(&self, question: &Question) -> Result<Explanation, Unanswerable> {
        let scene = Scene {
            lab: &self.lab,
            deployment: &self.deployment,
            region: &self.region,
            tables: Arc::clone(&self.tables),
        };
        explain(&scene, question)
    }
}

/// Where the labs are that ship with the project.
pub(crate) fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs")
}

/// Who ended the way there, and why.
pub(crate) fn why(explanation: &Explanation) -> (&str, &str) {
    match &explanation.there.outcome {
        Outcome::Dropped { at, why } | Outcome::Unknown { at, why } => (at, why),
        Outcome::Delivered { at } => (at, "delivered"),
    }
}

/// All that was decided on the way there.
pub(crate) fn decisions(explanation: &Explanation) -> Vec<&str> {
    explanation.there.stops.iter().flat_map(|stop| &stop.decisions).map(String::as_str).collect()
}
