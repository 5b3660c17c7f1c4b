//! Machine images: what the settings have.

use model::ImageId;
use serde::{Deserialize, Serialize};

use super::Describe;
use crate::ec2::Call;
use crate::ec2::Image;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::query::Limit;
use crate::ec2::time::Timestamp;

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
    description: String,
    platform_details: &'static str,
    usage_operation: &'static str,
    ena_support: bool,
    hypervisor: &'static str,
    virtualization_type: &'static str,
    root_device_name: &'static str,
    root_device_type: &'static str,
    block_device_mapping: Vec<()>,
    tag_set: Vec<()>,
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
        for &id in &self.image_id {
            find(call, id)?;
        }
        let account = call.key.account.0.as_str();
        // Every image belongs to every account, and is for it alone.
        let own = |who: &[String]| who.is_empty() || who.iter().any(|who| who == "self" || who == account);
        let mut images: Vec<_> = call
            .settings()
            .images
            .iter()
            .filter(|image| self.image_id.is_empty() || self.image_id.contains(&image.id))
            .filter(|_| own(&self.owner) && own(&self.executable_by))
            .map(|image| (image.id.to_string(), shown(account, image)))
            .collect();
        images.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(images)
    }
}

/// The image of an id.
pub(super) fn find<'a>(call: &'a Call<'_>, id: ImageId) -> Result<&'a Image, Error> {
    let found = call.settings().images.iter().find(|image| image.id == id);
    found.ok_or_else(|| Error::NotFound {
        code: "InvalidAMIID.NotFound",
        kind: "image id",
        id: format!("[{id}]"),
    })
}

fn shown(account: &str, image: &Image) -> ShownImage {
    ShownImage {
        image_id: image.id,
        image_location: format!("{account}/{}", image.name),
        image_state: "available",
        image_owner_id: account.to_owned(),
        creation_date: Timestamp(image.created),
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
        tag_set: Vec::new(),
    }
}
