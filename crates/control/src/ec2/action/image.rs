//! Machine images: what the settings have, and what was registered.

mod register;

use model::{Fault, ImageId, Region};
use serde::{Deserialize, Serialize};

use super::Describe;
use super::tag::{Tag, tag_set};
use crate::ec2::Call;
use crate::ec2::Image;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::ec2::time::Timestamp;

pub(super) use register::{DeregisterImage, RegisterImage};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeImages {
    #[serde(default)]
    image_id: Vec<ImageId>,
    #[serde(default)]
    owner: Vec<String>,
    #[serde(default)]
    executable_by: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownImage {
    image_id: ImageId,
    image_location: String,
    image_state: &'static str,
    image_owner_id: String,
    creation_date: Timestamp,
    is_public: bool,
    architecture: String,
    image_type: &'static str,
    name: String,
    description: Option<String>,
    platform_details: &'static str,
    usage_operation: &'static str,
    ena_support: bool,
    hypervisor: &'static str,
    virtualization_type: &'static str,
    root_device_name: &'static str,
    root_device_type: &'static str,
    block_device_mapping: Vec<()>,
    tag_set: Vec<Tag>,
}

const FILTERS: &Names = &[
    ("architecture", "architecture"),
    ("creation-date", "creationDate"),
    ("description", "description"),
    ("ena-support", "enaSupport"),
    ("hypervisor", "hypervisor"),
    ("image-id", "imageId"),
    ("image-type", "imageType"),
    ("is-public", "isPublic"),
    ("manifest-location", "imageLocation"),
    ("name", "name"),
    ("owner-alias", "imageOwnerAlias"),
    ("owner-id", "imageOwnerId"),
    ("platform", "platform"),
    ("root-device-name", "rootDeviceName"),
    ("root-device-type", "rootDeviceType"),
    ("state", "imageState"),
    ("tag-key", "tagSet.key"),
    ("virtualization-type", "virtualizationType"),
];

/// How clients know that an instance can be stopped and started again.
pub(super) const ROOT_DEVICE_TYPE: &str = "ebs";
pub(super) const ROOT_DEVICE_NAME: &str = "/dev/sda1";

impl Describe for DescribeImages {
    const LIMITS: &'static [Limit] =
        &[("IncludeDeprecated", &["false", "true"]), ("IncludeDisabled", &["false", "true"])];
    const SET: &'static str = "imagesSet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownImage;

    fn by_id(&self) -> bool {
        !self.image_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownImage)>, Error> {
        let region = call.region();
        for &id in &self.image_id {
            check(call, &region, id)?;
        }
        let account = call.key.account.0.as_str();
        // Every image belongs to every account that sees it, and is for it alone.
        let own = |who: &[String]| who.is_empty() || who.iter().any(|who| who == "self" || who == account);
        if !own(&self.owner) || !own(&self.executable_by) {
            return Ok(Vec::new());
        }
        let declared = call.settings().images.iter().map(|image| declared(account, image));
        let registered = region.images().values().map(|image| shown(account, image));
        let mut images: Vec<_> = declared
            .chain(registered)
            .filter(|image| self.image_id.is_empty() || self.image_id.contains(&image.image_id))
            .map(|image| (image.image_id.to_string(), image))
            .collect();
        images.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(images)
    }
}

/// Whether there is an image of this id in a region.
pub(super) fn check(call: &Call<'_>, region: &Region, id: ImageId) -> Result<(), Error> {
    if is_declared(call, id) || region.images().contains_key(&id) {
        return Ok(());
    }
    Err(Fault::ImageNotFound(id).into())
}

/// Whether an image is one of the settings'.
pub(super) fn is_declared(call: &Call<'_>, id: ImageId) -> bool {
    call.settings().images.iter().any(|image| image.id == id)
}

/// Of the machine, and so of all images.
pub(super) fn architecture<'a>(call: &'a Call<'_>) -> &'a str {
    call.settings().images.first().map_or("x86_64", |image| image.architecture.as_str())
}

fn declared(account: &str, image: &Image) -> ShownImage {
    shown(
        account,
        &model::Image {
            id: image.id,
            name: image.name.clone(),
            description: Some(image.description.clone()),
            location: format!("{account}/{}", image.name),
            architecture: image.architecture.clone(),
            create_time: image.created,
            tags: Default::default(),
        },
    )
}

fn shown(account: &str, image: &model::Image) -> ShownImage {
    ShownImage {
        image_id: image.id,
        image_location: image.location.clone(),
        image_state: "available",
        image_owner_id: account.to_owned(),
        creation_date: Timestamp(image.create_time),
        is_public: false,
        architecture: image.architecture.clone(),
        image_type: "machine",
        name: image.name.clone(),
        description: image.description.clone(),
        platform_details: "Linux/UNIX",
        usage_operation: "RunInstances",
        ena_support: true,
        hypervisor: "xen",
        virtualization_type: "hvm",
        root_device_name: ROOT_DEVICE_NAME,
        root_device_type: ROOT_DEVICE_TYPE,
        block_device_mapping: Vec::new(),
        tag_set: tag_set(&image.tags),
    }
}
