//! Key pairs: the public halves, for instances to learn from the metadata service.

mod public_key;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, InvalidValue};
use crate::id::KeyPairId;
use crate::region::Region;
use crate::tag::{self, Tags};

pub use public_key::PublicKey;

/// A public key with a name. The private half is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPair {
    /// Its id.
    pub id: KeyPairId,
    /// Unlike that of any other key pair of the region.
    pub name: String,
    /// As `authorized_keys` has it: type, base64, comment.
    pub public_key: String,
    /// Of the key, as EC2 shows it.
    pub fingerprint: String,
    /// When it came, in seconds since 1970.
    pub create_time: u64,
    /// Its tags.
    pub tags: Tags,
}

const LONGEST_NAME: usize = 255;

impl Region {
    /// The key pair of this name.
    pub fn key_pair_named(&self, name: &str) -> Option<&KeyPair> {
        self.key_pairs.values().find(|key_pair| key_pair.name == name)
    }

    pub(crate) fn import_key_pair(
        &mut self,
        name: String,
        public_key: String,
        fingerprint: String,
        create_time: u64,
        tags: Tags,
    ) -> Result<KeyPairId, Fault> {
        if name.is_empty() || name.len() > LONGEST_NAME || !name.is_ascii() {
            return Err(InvalidValue::KeyName(name).into());
        }
        if self.key_pair_named(&name).is_some() {
            return Err(Fault::KeyPairDuplicate(name));
        }
        tag::check(&tags)?;

        let id = self.draw();
        self.key_pairs.insert(id, KeyPair { id, name, public_key, fingerprint, create_time, tags });
        Ok(id)
    }

    pub(crate) fn delete_key_pair(&mut self, id: KeyPairId) -> Result<(), Fault> {
        self.key_pairs.remove(&id).ok_or_else(|| Fault::KeyPairNotFound(id.to_string()))?;
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
        let import = |name: &str| Change::ImportKeyPair {
            name: name.to_owned(),
            public_key: "ssh-ed25519 AAAA me".to_owned(),
            fingerprint: "aa:bb".to_owned(),
            time: 7,
            tags: tags("key"),
        };
        let Applied::KeyPair(key_pair) = network.apply(import("me")) else { panic!() };
        assert!(key_pair.to_string().starts_with("key-"));
        assert_eq!(network.refused(import("me")).code(), "InvalidKeyPair.Duplicate");
        for name in ["", "mé", &"m".repeat(256)] {
            assert_eq!(network.refused(import(name)).code(), "InvalidParameterValue");
        }
        assert_eq!(network.region.key_pair_named("me").unwrap().create_time, 7);
        network.apply(Change::DeleteKeyPair { key_pair });
        let again = network.refused(Change::DeleteKeyPair { key_pair });
        assert_eq!(again.code(), "InvalidKeyPair.NotFound");
        network.apply(import("me"));
    }
}
