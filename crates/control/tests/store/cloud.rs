//! What the tests write: pairs of route tables of one name, made in one transaction each.

use std::collections::BTreeMap;
use std::path::Path;

use control::store::{ClientToken, CommitError, Options, Store, Transaction};
use model::{
    AccountId, Applied, Change, Fault, Quotas, Region, RegionKey, RegionName, RouteTableId, Tags, VpcId,
};
use serde_json::Value;

pub(crate) fn key() -> RegionKey {
    RegionKey { account: AccountId("000000000000".into()), region: RegionName("eu-west-1".into()) }
}

/// A store without snapshots before its end.
pub(crate) fn open(dir: &Path) -> Store {
    Store::open(dir, options(usize::MAX)).unwrap()
}

/// With room for many tables.
pub(crate) fn options(snapshot_after: usize) -> Options {
    let quotas = Quotas { route_tables_per_vpc: usize::MAX, ..Quotas::default() };
    Options { snapshot_after, quotas, ..Options::default() }
}

/// The region's VPC, made if there is none.
pub(crate) fn vpc(store: &Store) -> VpcId {
    let made = store.commit(&key(), |transaction| {
        if let Some(vpc) = transaction.region().vpcs().keys().next() {
            return Ok(*vpc);
        }
        let cidr = "10.0.0.0/16".parse().unwrap();
        match transaction.apply(Change::CreateVpc { cidr, tags: Tags::new() })? {
            Applied::Vpc(vpc) => Ok(vpc),
            other => panic!("{other:?}"),
        }
    });
    made.map_err(|error: CommitError| error).unwrap()
}

pub(crate) fn table(
    transaction: &mut Transaction<'_>,
    vpc: VpcId,
    name: &str,
) -> Result<RouteTableId, Fault> {
    let tags = Tags::from([("Name".to_owned(), name.to_owned())]);
    match transaction.apply(Change::CreateRouteTable { vpc, tags })? {
        Applied::RouteTable(table) => Ok(table),
        other => panic!("{other:?}"),
    }
}

/// Two tables, in one transaction.
pub(crate) fn pair(store: &Store, vpc: VpcId, name: &str) -> Result<[RouteTableId; 2], CommitError> {
    let name = name.to_owned();
    store.commit(&key(), move |transaction| {
        Ok([table(transaction, vpc, &name)?, table(transaction, vpc, &name)?])
    })
}

/// Two tables, once: the token is the name. Answers with their ids.
pub(crate) fn pair_once(store: &Store, vpc: VpcId, name: &str) -> Result<Value, CommitError> {
    let name = name.to_owned();
    store.commit_once(&key(), token(&name, "a pair"), move |transaction| {
        let pair = [table(transaction, vpc, &name)?, table(transaction, vpc, &name)?];
        Ok(pair.iter().map(|table| Value::String(table.to_string())).collect())
    })
}

pub(crate) fn token(token: &str, parameters: &str) -> ClientToken {
    ClientToken {
        action: "CreateRouteTable".to_owned(),
        token: token.to_owned(),
        parameters: parameters.to_owned(),
    }
}

/// How many tables have which name.
pub(crate) fn names(region: &Region) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for name in region.route_tables().values().filter_map(|table| table.tags.get("Name")) {
        *names.entry(name.clone()).or_default() += 1;
    }
    names
}

/// The names of all pairs; panics if there is a half one, or one twice.
pub(crate) fn pairs(region: &Region) -> Vec<String> {
    let names = names(region);
    assert!(names.values().all(|count| *count == 2), "{names:?}");
    names.into_keys().collect()
}
