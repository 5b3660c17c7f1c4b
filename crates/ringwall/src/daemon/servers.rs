//! What this process runs inside namespaces: the fabric, the relay and the metadata service.
//!
//! Each stands in one namespace, known by its inode. Where somebody has deleted that one's name, another one stands
//! in its place, and what runs in the old one serves nobody.

use std::net::{SocketAddrV4, TcpListener};
use std::sync::Arc;

use engine::Engine;
use host::fabric::Fabric;
use host::namespace::Namespace;
use host::relay::Relay;
use lab::plan;
use services::metadata;

use super::agent::AgentError;
use super::cloud::Cloud;
use super::random;

/// What runs, each with the inode of its namespace. Dropping it stops all but the fabric.
#[derive(Default)]
pub(super) struct Servers {
    fabric: Option<u64>,
    relay: Option<(u64, Relay)>,
    metadata: Option<(u64, metadata::Server)>,
}

impl Servers {
    /// Stops what runs in namespaces that are no longer those of their names.
    pub(super) fn stop_strays(&mut self, cloud: &Cloud) -> Result<(), AgentError> {
        let [fabric, segments, services] = namespaces(cloud)?.map(|namespace| namespace.inode());
        if self.fabric.take_if(|inode| *inode != fabric).is_some() {
            cloud.set_fabric(None);
        }
        self.relay.take_if(|(inode, _)| *inode != segments);
        self.metadata.take_if(|(inode, _)| *inode != services);
        Ok(())
    }

    /// Starts what does not run.
    pub(super) fn start(&mut self, cloud: &Arc<Cloud>) -> Result<(), AgentError> {
        let [fabric, segments, services] = namespaces(cloud)?;
        if self.fabric.is_none() {
            let engine = Engine::new(Arc::clone(&cloud.now().tables), random()?);
            cloud.set_fabric(Some(Fabric::start(&fabric, engine, Arc::clone(&cloud.clock))?));
            self.fabric = Some(fabric.inode());
        }
        if self.relay.is_none() {
            let relay = Relay::start(&segments, plan::relay_links(&cloud.lab))?;
            self.relay = Some((segments.inode(), relay));
        }
        if self.metadata.is_none() {
            let at = SocketAddrV4::new(engine::METADATA, 80);
            let listener = services.run(|| TcpListener::bind(at))?.map_err(AgentError::MetadataAddress)?;
            let server = metadata::serve(listener, Arc::clone(cloud) as _)?;
            self.metadata = Some((services.inode(), server));
        }
        Ok(())
    }
}

/// Those of the fabric, the segments and the services.
fn namespaces(cloud: &Cloud) -> Result<[Namespace; 3], AgentError> {
    Ok([
        Namespace::open(&cloud.names.fabric())?,
        Namespace::open(&cloud.names.segments())?,
        Namespace::open(&cloud.names.services())?,
    ])
}
