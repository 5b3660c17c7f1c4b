//! Images that come and go by requests.

use std::path::Path;
use std::sync::Arc;

use model::{Applied, Change, ImageId};
use serde::{Deserialize, Serialize};

use super::{architecture, is_declared};
use crate::ec2::action::tag::{TagSpecification, tags_for};
use crate::ec2::action::{Action, DONE, Done};
use crate::ec2::error::Error;
use crate::ec2::query::Limit;
use crate::ec2::time::now;
use crate::ec2::{Call, NoRootFileSystem, RootFileSystem};
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct RegisterImage {
    name: String,
    image_location: String,
    description: Option<String>,
    architecture: Option<String>,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::ec2::action) struct RegisterImageAnswer {
    image_id: ImageId,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::ec2::action) struct DeregisterImage {
    image_id: ImageId,
}

impl Action for RegisterImage {
    const LIMITS: &'static [Limit] = &[
        ("BillingProduct", &[]),
        ("BlockDeviceMapping", &[]),
        ("BootMode", &[]),
        ("EnaSupport", &["true"]),
        ("ImdsSupport", &[]),
        ("KernelId", &[]),
        ("RamdiskId", &[]),
        ("RootDeviceName", &[super::ROOT_DEVICE_NAME]),
        ("SriovNetSupport", &[]),
        ("TpmSupport", &[]),
        ("UefiData", &[]),
        ("VirtualizationType", &["hvm"]),
    ];
    type Answer = RegisterImageAnswer;

    /// The image is there, with all its files, when this is answered.
    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<RegisterImageAnswer, Error> {
        let keeper = call.settings().root_file_systems.as_ref();
        let keeper = keeper.ok_or(Error::Unsupported("No images can be registered here."))?;
        let own = architecture(call);
        if let Some(other) = self.architecture.filter(|asked| asked != own) {
            let reason = format!("Instances run on this machine, which is {own}.");
            return Err(Error::InvalidValue { value: other, name: "Architecture".to_owned(), reason });
        }
        let tags = tags_for("image", self.tag_specification)?;
        // Before the work.
        call.region().is_free_for_image(&self.name)?;
        let unpacked = keeper.unpack(Path::new(&self.image_location)).map_err(|why| match why {
            NoRootFileSystem::Unfit(reason) => Error::InvalidValue {
                value: self.image_location.clone(),
                name: "ImageLocation".to_owned(),
                reason,
            },
            NoRootFileSystem::NotKept(why) => Error::RootFileSystem(why),
        })?;
        // Nobody takes it for one that no image has until the image is on disk.
        let root: Arc<dyn RootFileSystem> = Arc::from(unpacked);
        let kept = Some(Arc::clone(&root)).filter(|_| !call.dry_run);
        let register = Change::RegisterImage {
            name: self.name,
            description: self.description,
            location: self.image_location,
            architecture: own.to_owned(),
            time: now(),
            tags,
        };
        let image_id = call.commit(move |transaction| {
            let Applied::Image(image) = transaction.apply(register)? else { return Err(Error::Unexpected) };
            if let Some(root) = kept {
                root.keep_as(image).map_err(|error| Error::RootFileSystem(error.to_string()))?;
            }
            Ok(image)
        })?;
        drop(root);
        Ok(RegisterImageAnswer { image_id })
    }
}

impl Action for DeregisterImage {
    const LIMITS: &'static [Limit] = &[("DeleteAssociatedSnapshots", &["false"])];
    type Answer = Done;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Done, Error> {
        if is_declared(call, self.image_id) {
            return Err(Error::Unsupported("The image is declared with the cloud, and goes with it."));
        }
        call.apply(Change::DeregisterImage { image: self.image_id })?;
        Ok(DONE)
    }
}
