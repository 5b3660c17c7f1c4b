//! Changing the entries and the size of prefix lists.

use std::collections::BTreeSet;

use ipnet::IpNet;

use crate::fault::{Fault, InvalidValue};
use crate::id::PrefixListId;
use crate::prefix_list::{
    AddressFamily, PrefixList, PrefixListEntry, PrefixListState, PrefixListUser, check_name,
};
use crate::region::Region;
use crate::rule::Direction;

/// Most versions of a prefix list that are kept (VPC User Guide, "Amazon VPC quotas").
const MOST_VERSIONS: usize = 1000;
const LONGEST_DESCRIPTION: usize = 255;

impl Region {
    pub(crate) fn modify_managed_prefix_list(
        &mut self,
        id: PrefixListId,
        current_version: Option<u64>,
        name: Option<String>,
        max_entries: Option<u32>,
        (add, remove): (Vec<PrefixListEntry>, Vec<IpNet>),
    ) -> Result<(), Fault> {
        let mut list = self.prefix_list(id)?.clone();
        let entries_change = !add.is_empty() || !remove.is_empty();
        check_version(&list, current_version, entries_change)?;
        if entries_change && max_entries.is_some() {
            return Err(Fault::PrefixListEntriesAndSize);
        }
        if let Some(name) = name {
            check_name(&name)?;
            list.name = name;
        }
        if let Some(max_entries) = max_entries {
            self.check_size(max_entries)?;
            list.max_entries = max_entries;
        }
        if entries_change {
            let left = without(list.entries.clone(), &remove)?;
            let entries = with(left, add, list.family)?;
            list.turn(entries);
        }
        check_room(&list.entries, list.max_entries)?;
        list.state = PrefixListState::Modified;
        self.put_prefix_list(list)
    }

    pub(crate) fn restore_managed_prefix_list_version(
        &mut self,
        id: PrefixListId,
        current_version: u64,
        version: u64,
    ) -> Result<(), Fault> {
        let mut list = self.prefix_list(id)?.clone();
        check_version(&list, Some(current_version), true)?;
        let entries =
            list.entries_of(version).ok_or(Fault::PrefixListVersionNotFound { list: id, version })?;
        let entries = entries.to_vec();
        check_room(&entries, list.max_entries)?;

        list.turn(entries);
        list.state = PrefixListState::Restored;
        self.put_prefix_list(list)
    }

    /// Lets a list be what it is from now on, if all that refer to it can bear it.
    fn put_prefix_list(&mut self, list: PrefixList) -> Result<(), Fault> {
        let id = list.id;
        let before = self.prefix_lists.insert(id, list);
        let borne = self.check_users_of(id);
        if borne.is_err()
            && let Some(before) = before
        {
            self.prefix_lists.insert(id, before);
        }
        borne
    }

    fn check_users_of(&self, list: PrefixListId) -> Result<(), Fault> {
        for user in self.users_of(list) {
            match user {
                PrefixListUser::RouteTable(table) => self.check_routes_by(table, list)?,
                PrefixListUser::SecurityGroup(group) => {
                    let group = self.security_group(group)?;
                    for direction in [Direction::Ingress, Direction::Egress] {
                        self.allow_rules(
                            group.rules().filter(|rule| rule.direction == direction).map(|r| r.peer),
                        )?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl PrefixList {
    /// The next version, with these entries.
    fn turn(&mut self, entries: Vec<PrefixListEntry>) {
        self.earlier.insert(self.version, std::mem::replace(&mut self.entries, entries));
        self.version += 1;
        while self.earlier.len() >= MOST_VERSIONS {
            self.earlier.pop_first();
        }
    }
}

/// Some entries and more, in order.
pub(super) fn with(
    mut entries: Vec<PrefixListEntry>,
    more: Vec<PrefixListEntry>,
    family: AddressFamily,
) -> Result<Vec<PrefixListEntry>, InvalidValue> {
    let mut known: BTreeSet<_> = entries.iter().map(|entry| entry.cidr).collect();
    for entry in more {
        let cidr = entry.cidr.trunc();
        if AddressFamily::of(cidr) != family {
            return Err(InvalidValue::EntryFamily { cidr, family });
        }
        if entry.description.as_ref().is_some_and(|words| words.chars().count() > LONGEST_DESCRIPTION) {
            return Err(InvalidValue::EntryDescription);
        }
        if !known.insert(cidr) {
            return Err(InvalidValue::EntryRepeated(cidr));
        }
        entries.push(PrefixListEntry { cidr, ..entry });
    }
    entries.sort();
    Ok(entries)
}

pub(super) fn check_room(entries: &[PrefixListEntry], max_entries: u32) -> Result<(), InvalidValue> {
    if entries.len() > max_entries as usize {
        return Err(InvalidValue::PrefixListFull(max_entries));
    }
    Ok(())
}

fn without(
    mut entries: Vec<PrefixListEntry>,
    remove: &[IpNet],
) -> Result<Vec<PrefixListEntry>, InvalidValue> {
    for cidr in remove.iter().map(IpNet::trunc) {
        let at = entries.iter().position(|entry| entry.cidr == cidr);
        entries.remove(at.ok_or(InvalidValue::EntryMissing(cidr))?);
    }
    Ok(entries)
}

fn check_version(list: &PrefixList, current: Option<u64>, needed: bool) -> Result<(), Fault> {
    match current {
        None if needed => Err(InvalidValue::PrefixListVersionNeeded.into()),
        Some(current) if current != list.version => {
            Err(Fault::PrefixListVersionMismatch { list: list.id, version: list.version })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change, Destination, Direction, Peer, Permission, RouteVia};

    fn entry(text: &str) -> PrefixListEntry {
        PrefixListEntry { cidr: text.parse().unwrap(), description: None }
    }

    fn create(name: &str, family: AddressFamily, max_entries: u32, entries: &[&str]) -> Change {
        Change::CreateManagedPrefixList {
            name: name.to_owned(),
            family,
            max_entries,
            entries: entries.iter().map(|text| entry(text)).collect(),
            tags: tags("list"),
        }
    }

    fn made(network: &mut Network, max_entries: u32, entries: &[&str]) -> PrefixListId {
        match network.apply(create("offices", AddressFamily::Ipv4, max_entries, entries)) {
            Applied::PrefixList(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn modify(list: PrefixListId, version: u64, add: &[&str], remove: &[&str]) -> Change {
        Change::ModifyManagedPrefixList {
            list,
            current_version: Some(version),
            name: None,
            max_entries: None,
            add: add.iter().map(|text| entry(text)).collect(),
            remove: remove.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn resize(list: PrefixListId, max_entries: u32) -> Change {
        let (add, remove) = (Vec::new(), Vec::new());
        Change::ModifyManagedPrefixList {
            list,
            current_version: None,
            name: None,
            max_entries: Some(max_entries),
            add,
            remove,
        }
    }

    #[test]
    fn entries_have_versions() {
        let mut network = Network::new();
        let list = made(&mut network, 3, &["198.51.100.7/24", "192.0.2.0/24"]);
        network.apply(modify(list, 1, &["203.0.113.0/24"], &["192.0.2.0/24"]));
        let now = network.region.prefix_lists()[&list].clone();
        assert_eq!((now.version, now.state.to_string()), (2, "modify-complete".to_owned()));
        assert_eq!(now.entries, [entry("198.51.100.0/24"), entry("203.0.113.0/24")]);
        assert_eq!(now.entries_of(1).unwrap(), [entry("192.0.2.0/24"), entry("198.51.100.0/24")]);
        assert_eq!(now.entries_of(3), None);

        for (change, code) in [
            (modify(list, 1, &["10.0.0.0/8"], &[]), "PrefixListVersionMismatch"),
            (modify(list, 2, &["203.0.113.0/24"], &[]), "InvalidParameterValue"),
            (modify(list, 2, &[], &["10.0.0.0/8"]), "InvalidParameterValue"),
            (modify(list, 2, &["2001:db8::/32"], &[]), "InvalidParameterValue"),
            (modify(list, 2, &["10.0.0.0/8", "11.0.0.0/8"], &[]), "InvalidParameterValue"),
            (resize(list, 1), "InvalidParameterValue"),
            (resize(list, 0), "InvalidParameterValue"),
            (resize(list, 1001), "PrefixListMaxEntriesExceeded"),
        ] {
            assert_eq!(network.refused(change).code(), code);
        }
        network.apply(Change::RestoreManagedPrefixListVersion { list, current_version: 2, version: 1 });
        let restored = &network.region.prefix_lists()[&list];
        assert_eq!((restored.version, restored.state.to_string()), (3, "restore-complete".to_owned()));
        assert_eq!(restored.entries, [entry("192.0.2.0/24"), entry("198.51.100.0/24")]);
        let missing = Change::RestoreManagedPrefixListVersion { list, current_version: 3, version: 9 };
        assert_eq!(network.refused(missing).code(), "InvalidPrefixListVersion.NotFound");
        network.apply(resize(list, 2));
        network.apply(Change::DeleteManagedPrefixList { list });
        let again = network.refused(Change::DeleteManagedPrefixList { list });
        assert_eq!(again, Fault::PrefixListNotFound(list));
    }

    #[test]
    fn lists_are_made_of_one_family() {
        let mut network = Network::new();
        for (change, code) in [
            (create("", AddressFamily::Ipv4, 1, &[]), "InvalidParameterValue"),
            (create("com.amazonaws.x", AddressFamily::Ipv4, 1, &[]), "InvalidParameterValue"),
            (create("x", AddressFamily::Ipv6, 1, &["10.0.0.0/8"]), "InvalidParameterValue"),
            (create("x", AddressFamily::Ipv4, 1, &["10.0.0.0/8", "11.0.0.0/8"]), "InvalidParameterValue"),
            (create("x", AddressFamily::Ipv4, 2, &["10.0.0.0/8", "10.0.0.1/8"]), "InvalidParameterValue"),
        ] {
            assert_eq!(network.refused(change).code(), code);
        }
        network.apply(create("x", AddressFamily::Ipv6, 1, &["2001:db8::1/32"]));
    }

    #[test]
    fn what_refers_to_a_list_bears_its_changes() {
        let mut network = Network::new();
        let igw = network.internet_gateway();
        let table = network.route_table();
        let group = network.security_group("web");
        let list = made(&mut network, 20, &["198.51.100.0/24"]);
        let destination = Destination::PrefixList(list);
        network.apply(Change::CreateRoute { table, destination, target: RouteVia::InternetGateway(igw) });
        let rule = Permission::all(Peer::PrefixList(list));
        network.apply(Change::AuthorizeSecurityGroup { group, direction: Direction::Ingress, rule });
        let users: Vec<_> = network.region.users_of(list).collect();
        assert_eq!(users, [PrefixListUser::RouteTable(table), PrefixListUser::SecurityGroup(group)]);
        assert_eq!(network.refused(Change::DeleteManagedPrefixList { list }).code(), "DependencyViolation");

        let inside = network.refused(modify(list, 1, &["10.0.1.0/24"], &[]));
        assert_eq!(inside, InvalidValue::RouteInsideVpc(destination).into());
        assert_eq!(network.refused(resize(list, 51)).code(), "RouteLimitExceeded");
        network.apply(resize(list, 50));
        network.apply(Change::DeleteRoute { table, destination });
        assert_eq!(network.refused(resize(list, 61)).code(), "RulesPerSecurityGroupLimitExceeded");
        network.apply(resize(list, 60));
    }
}
