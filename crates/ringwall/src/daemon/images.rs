//! The images that were registered, and their root file systems.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use control::ec2::{NoRootFileSystem, RootFileSystem, RootFileSystems};
use host::image::{Draft, ImageError};
use model::{ImageId, InstanceState, Region};

use super::cloud::Cloud;

impl RootFileSystems for Cloud {
    fn unpack(&self, location: &Path) -> Result<Box<dyn RootFileSystem>, NoRootFileSystem> {
        match self.images.unpack(location) {
            Ok(draft) => Ok(Box::new(Unpacked(draft))),
            Err(error @ ImageError::Keep { .. }) => {
                tracing::error!(%error, "an image could not be kept");
                Err(NoRootFileSystem::NotKept(error.to_string()))
            }
            Err(error) => Err(NoRootFileSystem::Unfit(error.to_string())),
        }
    }
}

struct Unpacked(Draft);

impl RootFileSystem for Unpacked {
    fn keep_as(&self, image: ImageId) -> io::Result<()> {
        self.0.keep_as(image)
    }
}

impl Cloud {
    /// The root of the machines that run an image: the host's own if the image is declared, else what was registered.
    pub(super) fn root(&self, image: ImageId) -> Option<PathBuf> {
        self.lab.image(image).is_none().then(|| self.images.root(image))
    }

    /// Removes the root file systems of images that are no more, once nobody runs them; `before` are the regions as they
    /// were when the machines were last looked after.
    pub(super) fn sweep_images(&self, before: &[Arc<Region>]) -> io::Result<()> {
        self.images.sweep(|| {
            // As they are now: an image may have come since.
            let now = self.regions();
            before.iter().chain(&now).flat_map(|region| used(region)).collect()
        })
    }
}

/// The images of a region, and those that its instances run or will run again.
fn used(region: &Region) -> BTreeSet<ImageId> {
    let instances = region.instances().values();
    let live = instances.filter(|instance| instance.state != InstanceState::Terminated);
    region.images().keys().copied().chain(live.map(|instance| instance.image)).collect()
}
