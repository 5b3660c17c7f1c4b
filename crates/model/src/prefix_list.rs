//! Managed prefix lists: CIDR blocks under one name, for routes and rules to refer to.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::fault::{Dependency, Fault, InvalidValue};
use crate::id::{PrefixListId, RouteTableId, SecurityGroupId};
use crate::quota::Quota;
use crate::region::Region;
use crate::route_table::Destination;
use crate::rule::Peer;
use crate::tag::{self, Tags};

mod modify;

/// CIDR blocks under one name (VPC User Guide, "Consolidate and manage network CIDR blocks with managed prefix lists").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixList {
    /// Its id.
    pub id: PrefixListId,
    /// At most 255 characters; not unique.
    pub name: String,
    /// Of all its entries.
    pub family: AddressFamily,
    /// How many entries it can have. It counts as many in a route table's and a security group's quota.
    pub max_entries: u32,
    /// Grows by one with each change of its entries, from 1.
    pub version: u64,
    /// Its entries, without host bits, each CIDR block once, in their order.
    pub entries: Vec<PrefixListEntry>,
    /// What its entries were: the last 999 versions.
    pub earlier: BTreeMap<u64, Vec<PrefixListEntry>>,
    /// What was last done to it.
    pub state: PrefixListState,
    /// Its tags.
    pub tags: Tags,
}

/// One CIDR block of a prefix list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PrefixListEntry {
    /// Without host bits.
    pub cidr: IpNet,
    /// In words; at most 255 characters.
    pub description: Option<String>,
}

/// IPv4 or IPv6. Prints and parses as EC2's AddressFamily.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AddressFamily {
    /// "IPv4"
    #[serde(rename = "IPv4")]
    Ipv4,
    /// "IPv6"
    #[serde(rename = "IPv6")]
    Ipv6,
}

/// What was last done to a prefix list, as EC2 shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrefixListState {
    /// It was made: "create-complete".
    Created,
    /// It was modified: "modify-complete".
    Modified,
    /// It got the entries of an earlier version: "restore-complete".
    Restored,
}

/// What refers to a prefix list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrefixListUser {
    /// A route table, by a route.
    RouteTable(RouteTableId),
    /// A security group, by a rule.
    SecurityGroup(SecurityGroupId),
}

impl PrefixList {
    /// The entries of one of its versions, if it is not too old.
    pub fn entries_of(&self, version: u64) -> Option<&[PrefixListEntry]> {
        if version == self.version {
            return Some(&self.entries);
        }
        self.earlier.get(&version).map(Vec::as_slice)
    }
}

impl AddressFamily {
    /// The family of a CIDR block.
    pub fn of(cidr: IpNet) -> AddressFamily {
        match cidr {
            IpNet::V4(_) => AddressFamily::Ipv4,
            IpNet::V6(_) => AddressFamily::Ipv6,
        }
    }
}

impl Region {
    /// What refers to a prefix list, each once.
    pub fn users_of(&self, list: PrefixListId) -> impl Iterator<Item = PrefixListUser> {
        let tables = self.route_tables.values().filter(move |table| {
            table.routes().any(|route| route.destination == Destination::PrefixList(list))
        });
        let groups = self
            .security_groups
            .values()
            .filter(move |group| group.rules().any(|rule| rule.peer == Peer::PrefixList(list)));
        let tables = tables.map(|table| PrefixListUser::RouteTable(table.id));
        tables.chain(groups.map(|group| PrefixListUser::SecurityGroup(group.id)))
    }

    pub(crate) fn prefix_list(&self, id: PrefixListId) -> Result<&PrefixList, Fault> {
        self.prefix_lists.get(&id).ok_or(Fault::PrefixListNotFound(id))
    }

    pub(crate) fn create_managed_prefix_list(
        &mut self,
        name: String,
        family: AddressFamily,
        max_entries: u32,
        entries: Vec<PrefixListEntry>,
        tags: Tags,
    ) -> Result<PrefixListId, Fault> {
        check_name(&name)?;
        self.check_size(max_entries)?;
        let entries = modify::with(Vec::new(), entries, family)?;
        modify::check_room(&entries, max_entries)?;
        tag::check(&tags)?;
        self.quotas.allow(Quota::PrefixLists, self.prefix_lists.len() + 1)?;

        let id = self.draw();
        let list = PrefixList {
            id,
            name,
            family,
            max_entries,
            version: 1,
            entries,
            earlier: BTreeMap::new(),
            state: PrefixListState::Created,
            tags,
        };
        self.prefix_lists.insert(id, list);
        Ok(id)
    }

    pub(crate) fn delete_managed_prefix_list(&mut self, id: PrefixListId) -> Result<(), Fault> {
        self.prefix_list(id)?;
        if self.users_of(id).next().is_some() {
            return Err(Dependency::PrefixList(id).into());
        }

        self.prefix_lists.remove(&id);
        Ok(())
    }

    fn check_size(&self, max_entries: u32) -> Result<(), Fault> {
        if max_entries == 0 {
            return Err(InvalidValue::PrefixListMaxEntries(max_entries).into());
        }
        self.quotas.allow(Quota::EntriesPerPrefixList, max_entries as usize)
    }
}

fn check_name(name: &str) -> Result<(), InvalidValue> {
    if name.is_empty() || name.chars().count() > 255 || name.starts_with("com.amazonaws") {
        return Err(InvalidValue::PrefixListName(name.to_owned()));
    }
    Ok(())
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AddressFamily::Ipv4 => "IPv4",
            AddressFamily::Ipv6 => "IPv6",
        })
    }
}

impl FromStr for AddressFamily {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "IPv4" => Ok(AddressFamily::Ipv4),
            "IPv6" => Ok(AddressFamily::Ipv6),
            other => Err(other.to_owned()),
        }
    }
}

impl fmt::Display for PrefixListState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PrefixListState::Created => "create-complete",
            PrefixListState::Modified => "modify-complete",
            PrefixListState::Restored => "restore-complete",
        })
    }
}

impl fmt::Display for PrefixListUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrefixListUser::RouteTable(id) => id.fmt(f),
            PrefixListUser::SecurityGroup(id) => id.fmt(f),
        }
    }
}
