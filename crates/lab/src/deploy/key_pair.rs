//! Key pairs that somebody brings: EC2 makes none here.

use model::{Applied, Change, PublicKey};

use super::resources::Properties;
use super::{Maker, PhysicalId};
use crate::error::{LabError, Wrong};

impl Maker<'_> {
    pub(super) fn key_pair(&mut self, properties: &Properties<'_>) -> Result<PhysicalId, LabError> {
        let fields = &properties.fields;
        let (node, material) = (fields.required("KeyName")?, fields.required("PublicKeyMaterial")?);
        let name = node.text("`KeyName`")?.to_owned();
        let key = PublicKey::parse(material.text("`PublicKeyMaterial`")?).ok_or_else(|| {
            let value = material.text("this").unwrap_or_default().chars().take(40).collect();
            material
                .error(Wrong::Value { value, expected: "a public key: ssh-rsa or ssh-ed25519, and base64" })
        })?;
        let change = Change::ImportKeyPair {
            name: name.clone(),
            public_key: key.line,
            fingerprint: key.fingerprint,
            time: self.cloud.time(),
            tags: properties.tags()?,
        };
        match self.apply(properties, &node.place, change)? {
            Applied::KeyPair(id) => Ok(PhysicalId::KeyPair { id, name }),
            _ => unreachable!("ImportKeyPair gives a key pair"),
        }
    }
}
