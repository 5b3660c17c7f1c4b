//! Key pairs: public keys that clients bring. Private keys are not made here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Applied, Change, Fault, KeyPair, KeyPairId, PublicKey};
use serde::{Deserialize, Serialize};

use super::tag::{Tag, TagSpecification, tag_set, tags_for};
use super::{Action, Describe, pick};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::ec2::time::{Timestamp, now};
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ImportKeyPair {
    key_name: String,
    public_key_material: String,
    #[serde(default)]
    tag_specification: Vec<TagSpecification>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportKeyPairAnswer {
    key_name: String,
    key_fingerprint: String,
    key_pair_id: KeyPairId,
    tag_set: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteKeyPair {
    key_name: Option<String>,
    key_pair_id: Option<KeyPairId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteKeyPairAnswer {
    r#return: bool,
    key_pair_id: Option<KeyPairId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeKeyPairs {
    #[serde(default)]
    key_name: Vec<String>,
    #[serde(default)]
    key_pair_id: Vec<KeyPairId>,
    #[serde(default)]
    include_public_key: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownKeyPair {
    key_pair_id: KeyPairId,
    key_name: String,
    key_type: &'static str,
    key_fingerprint: String,
    create_time: Timestamp,
    public_key: Option<String>,
    tag_set: Vec<Tag>,
}

const FILTERS: &Names = &[
    ("fingerprint", "keyFingerprint"),
    ("key-name", "keyName"),
    ("key-pair-id", "keyPairId"),
    ("tag-key", "tagSet.key"),
];

impl Action for ImportKeyPair {
    type Answer = ImportKeyPairAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<ImportKeyPairAnswer, Error> {
        let material = STANDARD.decode(self.public_key_material.trim()).ok();
        let line = material.and_then(|material| String::from_utf8(material).ok());
        let key = line.and_then(|line| PublicKey::parse(&line)).ok_or(Error::InvalidKeyFormat)?;
        let tags = tags_for("key-pair", self.tag_specification)?;
        let import = Change::ImportKeyPair {
            name: self.key_name.clone(),
            public_key: key.line,
            fingerprint: key.fingerprint.clone(),
            time: now(),
            tags: tags.clone(),
        };
        match call.apply(import)? {
            Applied::KeyPair(key_pair_id) => Ok(ImportKeyPairAnswer {
                key_name: self.key_name,
                key_fingerprint: key.fingerprint,
                key_pair_id,
                tag_set: tag_set(&tags),
            }),
            _ => Err(Error::Unexpected),
        }
    }
}

impl Action for DeleteKeyPair {
    type Answer = DeleteKeyPairAnswer;

    /// A name that no key pair has is no error: EC2 answers as if it had been deleted now.
    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<DeleteKeyPairAnswer, Error> {
        call.commit(move |transaction| {
            let key_pair_id = match (self.key_pair_id, self.key_name) {
                (Some(id), _) => Some(id),
                (None, Some(name)) => transaction.region().key_pair_named(&name).map(|key_pair| key_pair.id),
                (None, None) => return Err(Error::MissingParameter("KeyName".to_owned())),
            };
            if let Some(key_pair) = key_pair_id {
                transaction.apply(Change::DeleteKeyPair { key_pair })?;
            }
            Ok(DeleteKeyPairAnswer { r#return: true, key_pair_id })
        })
    }
}

impl Describe for DescribeKeyPairs {
    const SET: &'static str = "keySet";
    const FILTERS: &'static Names = FILTERS;
    type Shown = ShownKeyPair;

    fn by_id(&self) -> bool {
        !self.key_name.is_empty() || !self.key_pair_id.is_empty()
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ShownKeyPair)>, Error> {
        let region = call.region();
        let mut ids = self.key_pair_id.clone();
        for name in &self.key_name {
            let named = region.key_pair_named(name);
            ids.push(named.ok_or_else(|| Fault::KeyPairNotFound(name.clone()))?.id);
        }
        let key_pairs = pick(&ids, region.key_pairs(), |id| Fault::KeyPairNotFound(id.to_string()))?;
        let shown = |key_pair: &KeyPair| (key_pair.id.to_string(), shown(key_pair, self.include_public_key));
        Ok(key_pairs.into_iter().map(shown).collect())
    }
}

fn shown(key_pair: &KeyPair, with_key: bool) -> ShownKeyPair {
    ShownKeyPair {
        key_pair_id: key_pair.id,
        key_name: key_pair.name.clone(),
        key_type: kind(&key_pair.public_key),
        key_fingerprint: key_pair.fingerprint.clone(),
        create_time: Timestamp(key_pair.create_time),
        public_key: with_key.then(|| key_pair.public_key.clone()),
        tag_set: tag_set(&key_pair.tags),
    }
}

/// EC2's name for the type of a key.
fn kind(line: &str) -> &'static str {
    if line.starts_with("ssh-rsa") { "rsa" } else { "ed25519" }
}
