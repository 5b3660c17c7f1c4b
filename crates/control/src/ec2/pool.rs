//! Public addresses: one pool for all regions.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::{Change, Fault, InstanceId, InterfaceId};

use super::error::Error;
use crate::store::Transaction;

/// Where public addresses come from; none can be had without a network. Its first and last address are not used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool(pub(super) Option<Ipv4Net>);

impl Pool {
    /// An address that no region has: as asked, or the lowest.
    pub(super) fn find(
        self,
        transaction: &Transaction<'_>,
        asked: Option<Ipv4Addr>,
    ) -> Result<Ipv4Addr, Error> {
        let Some(asked) = asked else {
            return self
                .free(transaction)?
                .next()
                .ok_or(Error::InsufficientAddressCapacity("All public addresses of the pool are taken."));
        };
        if !self.network()?.hosts().any(|address| address == asked) {
            return Err(Error::InvalidValue {
                value: asked.to_string(),
                name: "Address".to_owned(),
                reason: "It is not in the pool.".to_owned(),
            });
        }
        if taken(transaction).contains(&asked) {
            Err(Fault::AddressInUse(asked.into()).into())
        } else {
            Ok(asked)
        }
    }

    /// How many addresses no region has, counted to `most`.
    pub(super) fn count(self, transaction: &Transaction<'_>, most: u32) -> u32 {
        self.free(transaction).map_or(0, |free| (1..=most).zip(free).last().map_or(0, |(count, _)| count))
    }

    /// Gives an interface a public address if it waits for one.
    pub(super) fn serve(
        self,
        transaction: &mut Transaction<'_>,
        interface: InterfaceId,
    ) -> Result<(), Error> {
        if transaction.region().awaits_public_address(interface) {
            let public_ip = self.find(transaction, None)?;
            transaction.apply(Change::AssignPublicAddress { interface, public_ip })?;
        }
        Ok(())
    }

    /// The same for an instance's first interface.
    pub(super) fn serve_instance(
        self,
        transaction: &mut Transaction<'_>,
        instance: InstanceId,
    ) -> Result<(), Error> {
        let instance = transaction.region().instances().get(&instance);
        match instance.and_then(|instance| instance.interfaces.first().copied()) {
            Some(first) => self.serve(transaction, first),
            None => Ok(()),
        }
    }

    fn free(self, transaction: &Transaction<'_>) -> Result<impl Iterator<Item = Ipv4Addr> + use<>, Error> {
        let taken = taken(transaction);
        Ok(self.network()?.hosts().filter(move |address| !taken.contains(address)))
    }

    fn network(self) -> Result<Ipv4Net, Error> {
        self.0.ok_or(Error::InsufficientAddressCapacity(
            "There are no public addresses: no pool is configured.",
        ))
    }
}

fn taken(transaction: &Transaction<'_>) -> BTreeSet<Ipv4Addr> {
    let mut taken: BTreeSet<_> = transaction.region().public_addresses().collect();
    transaction.each_other_region(|region| taken.extend(region.public_addresses()));
    taken
}
