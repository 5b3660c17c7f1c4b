//! Machine images that were registered: what they are called. Their files are kept by whoever runs the instances.

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::ImageId;
use crate::region::Region;
use crate::tag::{self, Tags};

/// A registered machine image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Unlike that of any other image of the region.
    pub name: String,
    /// In words.
    pub description: Option<String>,
    /// What it was made of, as its owner said.
    pub location: String,
    /// As EC2 calls it: "x86_64" or "arm64".
    pub architecture: String,
    /// When it came, in seconds since 1970.
    pub create_time: u64,
    /// Its tags.
    pub tags: Tags,
}

/// How long a name may be, and which characters it may have beside letters and digits (EC2 API Reference,
/// "RegisterImage").
const NAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=128;
const NAME_CHARACTERS: &str = "()[] ./-'@_";
/// EC2 API Reference, "RegisterImage".
const LONGEST_DESCRIPTION: usize = 255;

impl Region {
    /// Whether an image of this name could be registered now.
    ///
    /// # Errors
    /// The name is no name, or taken.
    pub fn is_free_for_image(&self, name: &str) -> Result<(), Fault> {
        let fits = |c: char| c.is_ascii_alphanumeric() || NAME_CHARACTERS.contains(c);
        if !NAME_LENGTH.contains(&name.len()) || !name.chars().all(fits) {
            return Err(Fault::ImageNameMalformed(name.to_owned()));
        }
        match self.images.values().find(|image| image.name == name) {
            Some(image) => Err(Fault::ImageNameDuplicate { name: name.to_owned(), image: image.id }),
            None => Ok(()),
        }
    }

    pub(crate) fn register_image(
        &mut self,
        name: String,
        description: Option<String>,
        location: String,
        architecture: String,
        create_time: u64,
        tags: Tags,
    ) -> Result<ImageId, Fault> {
        self.is_free_for_image(&name)?;
        if let Some(description) = description.as_ref().filter(|text| text.len() > LONGEST_DESCRIPTION) {
            return Err(InvalidValue::ImageDescription(description.clone()).into());
        }
        tag::check(&tags)?;

        let id = self.draw();
        self.images.insert(id, Image { id, name, description, location, architecture, create_time, tags });
        Ok(id)
    }

    pub(crate) fn deregister_image(&mut self, id: ImageId) -> Result<(), Fault> {
        self.images.remove(&id).ok_or(Fault::ImageNotFound(id))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Network, tags};
    use crate::{Applied, Change};

    #[test]
    fn a_name_is_given_once() {
        let mut network = Network::new();
        let register = |name: &str, description: &str| Change::RegisterImage {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            location: "/srv/small.tar".to_owned(),
            architecture: "x86_64".to_owned(),
            time: 7,
            tags: tags("image"),
        };
        let Applied::Image(image) = network.apply(register("small (1)", "")) else { panic!() };
        assert!(image.to_string().starts_with("ami-"));
        assert_eq!(network.region.images()[&image].create_time, 7);
        let refused = network.refused(register("small (1)", ""));
        assert_eq!(refused.code(), "InvalidAMIName.Duplicate");
        assert!(refused.to_string().contains(&image.to_string()));
        for name in ["", "ab", "a:b:c", "größe", &"m".repeat(129)] {
            assert_eq!(network.refused(register(name, "")).code(), "InvalidAMIName.Malformed");
        }
        let refused = network.refused(register("large", &"x".repeat(256)));
        assert_eq!(refused.code(), "InvalidParameterValue");
        network.apply(Change::DeregisterImage { image });
        let again = network.refused(Change::DeregisterImage { image });
        assert_eq!(again.code(), "InvalidAMIID.NotFound");
        network.apply(register("small (1)", ""));
    }
}
