//! Tags.

use std::collections::BTreeMap;

use model::{Change, TaggedResource, Tags};
use serde::{Deserialize, Serialize};

use super::{Action, DONE, Describe, Done};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::store::ClientToken;

/// The tags that something new is to have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagSpecification {
    resource_type: String,
    #[serde(default)]
    tag: Vec<NewTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewTag {
    key: String,
    #[serde(default)]
    value: String,
}

/// A tag, as it is shown with its resource.
#[derive(Debug, Serialize)]
pub(super) struct Tag {
    key: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTags {
    resource_id: Vec<String>,
    tag: Vec<NewTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteTags {
    resource_id: Vec<String>,
    #[serde(default)]
    tag: Vec<OldTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OldTag {
    key: String,
    value: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DescribeTags {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownTag {
    key: String,
    resource_id: String,
    resource_type: &'static str,
    value: String,
}

const FILTERS: &Names =
    &[("key", "key"), ("resource-id", "resourceId"), ("resource-type", "resourceType"), ("value", "value")];

impl Action for CreateTags {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let (resources, tags) = (resources(&self.resource_id)?, tags(self.tag)?);
        call.apply(Change::CreateTags { resources, tags })?;
        Ok(DONE)
    }
}

impl Action for DeleteTags {
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        let resources = resources(&self.resource_id)?;
        let tags: BTreeMap<_, _> = self.tag.into_iter().map(|tag| (tag.key, tag.value)).collect();
        call.apply(Change::DeleteTags { resources, tags })?;
        Ok(DONE)
    }
}

impl Describe for DescribeTags {
    const SET: &'static str = "tagSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownTag;

    fn by_id(&self) -> bool {
        false
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownTag)>, Error> {
        let region = call.region();
        let mut all = Vec::new();
        for (resource, tags) in region.tagged() {
            for (key, value) in tags {
                let shown = ShownTag {
                    key: key.clone(),
                    resource_id: resource.to_string(),
                    resource_type: resource.resource_type(),
                    value: value.clone(),
                };
                all.push((format!("{resource} {key}"), shown));
            }
        }
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(all)
    }
}

/// The tags for something new of a kind.
pub(super) fn tags_for(kind: &str, specifications: Vec<TagSpecification>) -> Result<Tags, Error> {
    let mut all = Vec::new();
    for specification in specifications {
        if specification.resource_type != kind {
            return Err(not_taggable(specification.resource_type));
        }
        all.extend(specification.tag);
    }
    tags(all)
}

/// The tags for new instances and their new interfaces. An instance here has no volumes: tags for these are looked at, and
/// there is nothing to give them to.
pub(super) fn tags_for_launch(specifications: Vec<TagSpecification>) -> Result<[Tags; 2], Error> {
    let [mut instances, mut interfaces, mut volumes] = [const { Vec::new() }; 3];
    for specification in specifications {
        let of_kind = match specification.resource_type.as_str() {
            "instance" => &mut instances,
            "network-interface" => &mut interfaces,
            "volume" => &mut volumes,
            _ => return Err(not_taggable(specification.resource_type)),
        };
        of_kind.extend(specification.tag);
    }
    tags(volumes)?;
    Ok([tags(instances)?, tags(interfaces)?])
}

/// Tags, as they are shown with their resource.
pub(super) fn tag_set(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

fn tags(given: Vec<NewTag>) -> Result<Tags, Error> {
    let mut tags = Tags::new();
    for NewTag { key, value } in given {
        if tags.contains_key(&key) {
            let reason = "Duplicate tag key specified.".to_owned();
            return Err(Error::InvalidValue { value: key, name: "Tag.Key".to_owned(), reason });
        }
        tags.insert(key, value);
    }
    Ok(tags)
}

fn resources(ids: &[String]) -> Result<Vec<TaggedResource>, Error> {
    ids.iter().map(|id| Ok(id.parse::<TaggedResource>()?)).collect()
}

fn not_taggable(kind: String) -> Error {
    let reason = "Not a taggable resource type for this operation.".to_owned();
    Error::InvalidValue { value: kind, name: "TagSpecification.ResourceType".to_owned(), reason }
}
