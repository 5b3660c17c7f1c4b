//! Managed prefix lists.

mod content;

use ipnet::IpNet;
use model::{AddressFamily, Applied, Change, Fault, PrefixList, PrefixListEntry, PrefixListId, Region};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, Describe, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::store::ClientToken;

pub(super) use content::{
    DescribePrefixLists, GetManagedPrefixListAssociations, GetManagedPrefixListEntries,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateManagedPrefixList {
    prefix_list_name: String,
    address_family: AddressFamily,
    max_entries: u32,
    #[serde(default)]
    entry: Vec<NewEntry>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewEntry {
    cidr: IpNet,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OldEntry {
    cidr: IpNet,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ModifyManagedPrefixList {
    prefix_list_id: PrefixListId,
    current_version: Option<u64>,
    prefix_list_name: Option<String>,
    max_entries: Option<u32>,
    #[serde(default)]
    add_entry: Vec<NewEntry>,
    #[serde(default)]
    remove_entry: Vec<OldEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RestoreManagedPrefixListVersion {
    prefix_list_id: PrefixListId,
    previous_version: u64,
    current_version: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteManagedPrefixList {
    prefix_list_id: PrefixListId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeManagedPrefixLists {
    #[serde(default)]
    prefix_list_id: Vec<PrefixListId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    prefix_list: ShownPrefixList,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownPrefixList {
    prefix_list_id: PrefixListId,
    prefix_list_arn: String,
    prefix_list_name: String,
    address_family: AddressFamily,
    state: String,
    max_entries: u32,
    version: u64,
    owner_id: String,
    tag_set: Vec<Tag>,
}

const FILTERS: &Names = &[
    ("owner-id", "ownerId"),
    ("prefix-list-id", "prefixListId"),
    ("prefix-list-name", "prefixListName"),
    ("tag-key", "tagSet.key"),
];

impl Action for CreateManagedPrefixList {
    const TAKES_TOKEN: bool = true;
    type Answer = Answer;

    fn run(self, call: &Call<'_>, token: Option<ClientToken>) -> Result<Answer, Error> {
        let create = Change::CreateManagedPrefixList {
            name: self.prefix_list_name,
            family: self.address_family,
            max_entries: self.max_entries,
            entries: entries(self.entry),
            tags: tags_for("prefix-list", self.tag_specification)?,
        };
        let id = call.commit_once(token, move |transaction| match transaction.apply(create)? {
            Applied::PrefixList(id) => Ok(id),
            _ => Err(Error::Unexpected),
        })?;
        // It may be gone already when a token comes again.
        answer(&call.region(), id)
    }
}

impl Action for ModifyManagedPrefixList {
    const LIMITS: &'static [Limit] = &[("IpamPrefixListResolverSyncEnabled", &["false"])];
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let list = self.prefix_list_id;
        let modify = Change::ModifyManagedPrefixList {
            list,
            current_version: self.current_version,
            name: self.prefix_list_name,
            max_entries: self.max_entries,
            add: entries(self.add_entry),
            remove: self.remove_entry.into_iter().map(|entry| entry.cidr).collect(),
        };
        call.commit(move |transaction| {
            transaction.apply(modify)?;
            answer(transaction.region(), list)
        })
    }
}

impl Action for RestoreManagedPrefixListVersion {
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let list = self.prefix_list_id;
        let (version, current_version) = (self.previous_version, self.current_version);
        call.commit(move |transaction| {
            transaction.apply(Change::RestoreManagedPrefixListVersion { list, current_version, version })?;
            answer(transaction.region(), list)
        })
    }
}

impl Action for DeleteManagedPrefixList {
    type Answer = Answer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Answer, Error> {
        let list = self.prefix_list_id;
        call.commit(move |transaction| {
            let mut last = answer(transaction.region(), list)?;
            transaction.apply(Change::DeleteManagedPrefixList { list })?;
            "delete-complete".clone_into(&mut last.prefix_list.state);
            Ok(last)
        })
    }
}

impl Describe for DescribeManagedPrefixLists {
    const SET: &'static str = "prefixListSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownPrefixList;

    fn by_id(&self) -> bool {
        !self.prefix_list_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownPrefixList)>, Error> {
        let region = call.region();
        let lists = pick(&self.prefix_list_id, region.prefix_lists(), Fault::PrefixListNotFound)?;
        Ok(lists.into_iter().map(|list| (list.id.to_string(), shown(&region, list))).collect())
    }
}

fn entries(new: Vec<NewEntry>) -> Vec<PrefixListEntry> {
    new.into_iter().map(|NewEntry { cidr, description }| PrefixListEntry { cidr, description }).collect()
}

fn answer(region: &Region, id: PrefixListId) -> Result<Answer, Error> {
    let list = region.prefix_lists().get(&id).ok_or(Fault::PrefixListNotFound(id))?;
    Ok(Answer { prefix_list: shown(region, list) })
}

fn shown(region: &Region, list: &PrefixList) -> ShownPrefixList {
    let key = region.key();
    ShownPrefixList {
        prefix_list_id: list.id,
        prefix_list_arn: format!("arn:aws:ec2:{}:{}:prefix-list/{}", key.region.0, key.account.0, list.id),
        prefix_list_name: list.name.clone(),
        address_family: list.family,
        state: list.state.to_string(),
        max_entries: list.max_entries,
        version: list.version,
        owner_id: key.account.0.clone(),
        tag_set: tag_set(&list.tags),
    }
}
