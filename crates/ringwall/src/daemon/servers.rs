//! What this process runs inside namespaces: the fabric, the relay, the metadata service and the resolver.
//!
//! Each stands in one namespace, known by its inode. Where somebody has deleted that one's name, another one stands
//! in its place, and what runs in the old one serves nobody.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::sync::Arc;

use engine::Engine;
use host::fabric::Fabric;
use host::namespace::Namespace;
use host::relay::Relay;
use lab::plan;
use lab::world::INTERNET;
use services::dns::{self, Upstream};
use services::{Server, metadata};

use super::agent::AgentError;
use super::cloud::Cloud;
use super::random;

/// Where DNS servers listen.
const DNS: u16 = 53;

/// What runs, each with the inode of its namespace. Dropping it stops all but the fabric.
#[derive(Default)]
pub(super) struct Servers {
    fabric: Option<u64>,
    relay: Option<(u64, Relay)>,
    metadata: Option<(u64, Server)>,
    /// It asks from another namespace than the one that it answers in, if from any.
    resolver: Option<([u64; 2], Server)>,
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
        let asks_from = resolver_host(cloud)?.map_or(0, |host| host.inode());
        self.resolver.take_if(|(inodes, _)| *inodes != [services, asks_from]);
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
            let listener = services.run(|| TcpListener::bind(at))?;
            let listener = listener.map_err(|error| AgentError::ServiceAddress(at, error))?;
            let server = metadata::serve(listener, Arc::clone(cloud) as _)?;
            self.metadata = Some((services.inode(), server));
        }
        if self.resolver.is_none() {
            let at = SocketAddrV4::new(engine::RESOLVER, DNS);
            let sockets = services.run(|| Ok((UdpSocket::bind(at)?, TcpListener::bind(at)?)))?;
            let (udp, tcp) = sockets.map_err(|error| AgentError::ServiceAddress(at, error))?;
            let asks_from = resolver_host(cloud)?;
            let inode = asks_from.as_ref().map_or(0, Namespace::inode);
            let upstream = upstream(cloud, asks_from);
            let server = dns::serve(udp, tcp, Arc::clone(cloud) as _, upstream)?;
            self.resolver = Some(([services.inode(), inode], server));
        }
        Ok(())
    }
}

/// Who the resolver asks: a host of the lab, from inside of that host's own namespace, or a server that this machine
/// finds.
fn upstream(cloud: &Cloud, host: Option<Namespace>) -> Option<Upstream> {
    let of_lab = cloud.lab.world.internet.resolver.as_ref().map(|resolver| resolver.address.into());
    let server = SocketAddr::new(of_lab.or(cloud.resolver)?, DNS);
    let enter = move || host.map_or(Ok(()), |host| host.enter().map_err(io::Error::other));
    Some(Upstream { server, enter: Box::new(enter) })
}

/// The namespace of the host that the lab file names as resolver.
fn resolver_host(cloud: &Cloud) -> Result<Option<Namespace>, AgentError> {
    let world = &cloud.lab.world;
    let address = world.internet.resolver.as_ref().map(|resolver| resolver.address.into());
    let host = address.and_then(|address| world.neighbor(INTERNET, address));
    Ok(host.map(|(host, _)| Namespace::open(&cloud.names.of_host(&host.name))).transpose()?)
}

/// Those of the fabric, the segments and the services.
fn namespaces(cloud: &Cloud) -> Result<[Namespace; 3], AgentError> {
    Ok([
        Namespace::open(&cloud.names.fabric())?,
        Namespace::open(&cloud.names.segments())?,
        Namespace::open(&cloud.names.services())?,
    ])
}
