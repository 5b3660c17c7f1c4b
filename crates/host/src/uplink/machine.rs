//! The network namespace that the machine itself lives in, by netlink.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;

use ipnet::{IpNet, Ipv4Net};
use rtnetlink::{Error, Handle};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::UplinkError;
use crate::kernel::netlink::{self, RawLink};
use crate::plan::{End, Route};

/// A netlink socket of the namespace. It blocks: not to be used inside an async runtime.
#[derive(Debug)]
pub(super) struct Machine {
    handle: Handle,
    _connection: JoinHandle<()>,
    // Declared after what it drives, so dropped after it.
    runtime: Runtime,
}

impl Machine {
    /// That of the calling thread.
    pub(super) fn here() -> Result<Machine, UplinkError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let runtime = runtime.map_err(UplinkError::Socket)?;
        let (connection, handle, _) = {
            let _guard = runtime.enter();
            rtnetlink::new_connection().map_err(UplinkError::Socket)?
        };
        let connection = runtime.spawn(connection);
        Ok(Machine { handle, _connection: connection, runtime })
    }

    /// The link of this name.
    pub(super) fn link(&self, name: &str) -> Result<Option<RawLink>, UplinkError> {
        Ok(self.links()?.into_iter().find(|link| link.name == name))
    }

    /// The IPv4 addresses.
    pub(super) fn addresses(&self) -> Result<BTreeSet<(String, Ipv4Net)>, UplinkError> {
        let names = self.names()?;
        let addresses = self.ask("listing addresses", netlink::addresses(&self.handle, &names))?;
        Ok(addresses.into_iter().filter_map(|(link, address)| Some((link, ipv4(address)?))).collect())
    }

    /// The unicast IPv4 routes of the main table, with their destinations.
    pub(super) fn routes(&self) -> Result<Vec<(Ipv4Net, Route)>, UplinkError> {
        let names = self.names()?;
        let routes = self.ask("listing routes", netlink::routes(&self.handle, &names))?;
        let routes = routes.into_iter().map(|observed| observed.route);
        Ok(routes.filter_map(|route| Some((ipv4(route.destination)?, route))).collect())
    }

    /// Makes a pair of links, both down.
    pub(super) fn create_veth(
        &self,
        here: &End,
        there: (&End, BorrowedFd<'_>),
        mtu: u32,
    ) -> Result<(), UplinkError> {
        self.ask("creating the uplink", netlink::create_veth_down(&self.handle, here, there, mtu))
    }

    /// Makes a link elsewhere that sends and receives by one here, down.
    pub(super) fn create_macvlan(
        &self,
        parent: u32,
        end: &End,
        there: BorrowedFd<'_>,
    ) -> Result<(), UplinkError> {
        self.ask("creating the uplink", netlink::create_macvlan(&self.handle, parent, end, there))
    }

    pub(super) fn set_up(&self, link: u32) -> Result<(), UplinkError> {
        self.ask("setting the uplink up", netlink::set_up(&self.handle, link))
    }

    pub(super) fn add_route(&self, route: &Route, link: u32) -> Result<(), UplinkError> {
        self.ask("adding the pool's route", netlink::add_route(&self.handle, route, Some(link)))
    }

    /// Deletes the link of this name; one that is not there is no error.
    pub(super) fn delete(&self, name: &str) -> Result<(), UplinkError> {
        match self.ask("finding the uplink", netlink::index(&self.handle, name))? {
            Some(index) => self.ask("deleting the uplink", netlink::delete_link(&self.handle, index)),
            None => Ok(()),
        }
    }

    fn links(&self) -> Result<Vec<RawLink>, UplinkError> {
        self.ask("listing links", netlink::links(&self.handle))
    }

    fn names(&self) -> Result<BTreeMap<u32, String>, UplinkError> {
        Ok(self.links()?.into_iter().map(|link| (link.index, link.name)).collect())
    }

    fn ask<T>(
        &self,
        doing: &'static str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, UplinkError> {
        let answer = self.runtime.block_on(request);
        answer.map_err(|source| UplinkError::Netlink { doing, source: Box::new(source) })
    }
}

fn ipv4(net: IpNet) -> Option<Ipv4Net> {
    match net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}
