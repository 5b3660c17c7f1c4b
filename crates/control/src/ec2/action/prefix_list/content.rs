//! What is in managed prefix lists, and what refers to them.

use ipnet::IpNet;
use model::{Fault, PrefixListId};
use serde::{Deserialize, Serialize};

use crate::ec2::Call;
use crate::ec2::action::{Describe, pick};
use crate::ec2::error::Error;
use crate::ec2::filter::Names;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct GetManagedPrefixListEntries {
    prefix_list_id: PrefixListId,
    target_version: Option<u64>,
}

#[derive(Serialize)]
pub(in crate::ec2::action) struct ShownEntry {
    cidr: IpNet,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct GetManagedPrefixListAssociations {
    prefix_list_id: PrefixListId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct ShownAssociation {
    resource_id: String,
    resource_owner: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct DescribePrefixLists {
    #[serde(default)]
    prefix_list_id: Vec<PrefixListId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct ShownService {
    prefix_list_id: PrefixListId,
    prefix_list_name: String,
    cidr_set: Vec<IpNet>,
}

impl Describe for GetManagedPrefixListEntries {
    const SET: &'static str = "entrySet";
    const FILTERS: &'static Names = &[];
    type Shown = ShownEntry;

    fn by_id(&self) -> bool {
        false
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownEntry)>, Error> {
        let (region, id) = (call.region(), self.prefix_list_id);
        let list = region.prefix_lists().get(&id).ok_or(Fault::PrefixListNotFound(id))?;
        let version = self.target_version.unwrap_or(list.version);
        let entries = list.entries_of(version);
        let entries = entries.ok_or(Fault::PrefixListVersionNotFound { list: id, version })?.iter().cloned();
        let shown = entries.map(|entry| {
            let (cidr, description) = (entry.cidr, entry.description);
            (cidr.to_string(), ShownEntry { cidr, description })
        });
        let mut shown: Vec<_> = shown.collect();
        shown.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(shown)
    }
}

impl Describe for GetManagedPrefixListAssociations {
    const SET: &'static str = "prefixListAssociationSet";
    const FILTERS: &'static Names = &[];
    type Shown = ShownAssociation;

    fn by_id(&self) -> bool {
        false
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownAssociation)>, Error> {
        let (region, id) = (call.region(), self.prefix_list_id);
        region.prefix_lists().get(&id).ok_or(Fault::PrefixListNotFound(id))?;
        let owner = &region.key().account.0;
        let shown = region.users_of(id).map(|user| {
            let resource_id = user.to_string();
            (resource_id.clone(), ShownAssociation { resource_id, resource_owner: owner.clone() })
        });
        Ok(shown.collect())
    }
}

impl Describe for DescribePrefixLists {
    const SET: &'static str = "prefixListSet";
    const FILTERS: &'static Names =
        &[("prefix-list-id", "prefixListId"), ("prefix-list-name", "prefixListName")];
    type Shown = ShownService;

    fn by_id(&self) -> bool {
        !self.prefix_list_id.is_empty()
    }

    /// Those of AWS's services, of which there are none; and those that are asked for by their ids.
    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownService)>, Error> {
        if !self.by_id() {
            return Ok(Vec::new());
        }
        let region = call.region();
        let lists = pick(&self.prefix_list_id, region.prefix_lists(), Fault::PrefixListNotFound)?;
        let shown = lists.into_iter().map(|list| {
            let cidr_set = list.entries.iter().map(|entry| entry.cidr).collect();
            let (prefix_list_id, prefix_list_name) = (list.id, list.name.clone());
            (list.id.to_string(), ShownService { prefix_list_id, prefix_list_name, cidr_set })
        });
        Ok(shown.collect())
    }
}
