//! Access keys, and whose they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use model::AccountId;
use thiserror::Error;

use super::caller::ACCOUNT;

/// The access keys that requests may be signed with; there is at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    keys: BTreeMap<String, AccessKey>,
}

/// What belongs to the id of an access key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct AccessKey {
    pub(super) secret: String,
    pub(super) account: AccountId,
}

/// Why there are no credentials.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a pipe or the like.
    #[error("{}: credentials are read from an ordinary file only", .0.display())]
    NoFile(PathBuf),
    /// Others than the owner may use the file.
    #[error(
        "{}: mode {mode:04o} lets others at it; secret keys must be their owner's alone: chmod 600 {}",
        path.display(), path.display()
    )]
    Exposed {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line is not what it should be.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// Of which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: Problem,
    },
    /// A file without a key, which would let nobody in.
    #[error("{}: there is no access key in it", .0.display())]
    Empty(PathBuf),
}

/// What is wrong with a line of a credentials file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// Neither a profile, a setting, a comment nor empty.
    #[error("expected `[profile]` or `name = value`")]
    Syntax,
    /// A setting before the first profile.
    #[error("a setting must stand below its `[profile]`")]
    NoProfile,
    /// A profile that was there before.
    #[error("profile `{0}` is there already")]
    ProfileTwice(String),
    /// A setting that the profile has already.
    #[error("`{0}` is set already in this profile")]
    SettingTwice(&'static str),
    /// A setting that nothing is done with.
    #[error(
        "`{0}` means nothing here; a profile has aws_access_key_id, aws_secret_access_key and, if it likes, \
         aws_account_id"
    )]
    UnknownSetting(String),
    /// An id or a secret with characters that it cannot have, or too short.
    #[error("this is no value for `{0}`")]
    Value(&'static str),
    /// Not twelve digits.
    #[error("an account id is twelve digits")]
    Account,
    /// A profile without a setting that it needs.
    #[error("profile `{profile}` has no {setting}")]
    Missing {
        /// Its name.
        profile: String,
        /// What it needs.
        setting: &'static str,
    },
    /// The same access key in two profiles.
    #[error("access key {0} is there already")]
    KeyTwice(String),
}

const ID: &str = "aws_access_key_id";
const SECRET: &str = "aws_secret_access_key";
const ACCOUNT_ID: &str = "aws_account_id";

/// A profile as far as it was read.
struct Profile {
    name: String,
    /// Where it begins.
    line: usize,
    id: Option<String>,
    secret: Option<String>,
    account: Option<String>,
}

impl Credentials {
    /// Reads a file in the format of AWS's shared credentials file (AWS SDKs and Tools Reference Guide, "Shared config
    /// and credentials files"): profiles with `aws_access_key_id`, `aws_secret_access_key` and, if the account is not
    /// 000000000000, `aws_account_id`.
    ///
    /// # Errors
    /// The file cannot be read, others than its owner may use it, or a line is wrong: what nothing is done with, such
    /// as `aws_session_token`, is refused.
    pub fn load(path: &Path) -> Result<Credentials, CredentialsError> {
        let unreadable = |source| CredentialsError::File { path: path.to_owned(), source };
        Credentials::read(&mut File::open(path).map_err(unreadable)?, path)
    }

    /// Reads an open file from its beginning, as [`Credentials::load`] does; `path` is what errors call it.
    ///
    /// # Errors
    /// As for [`Credentials::load`].
    pub fn read(file: &mut File, path: &Path) -> Result<Credentials, CredentialsError> {
        let unreadable = |source| CredentialsError::File { path: path.to_owned(), source };
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(CredentialsError::NoFile(path.to_owned()));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(CredentialsError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).map_err(unreadable)?;
        let wrong = |(line, problem)| CredentialsError::Line { path: path.to_owned(), line, problem };
        let keys = parse(&text).map_err(wrong)?;
        if keys.is_empty() {
            return Err(CredentialsError::Empty(path.to_owned()));
        }
        Ok(Credentials { keys })
    }

    pub(super) fn key(&self, id: &str) -> Option<&AccessKey> {
        self.keys.get(id)
    }
}

/// Secrets are not for logs.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// The keys, or a line's number and what is wrong with it.
fn parse(text: &str) -> Result<BTreeMap<String, AccessKey>, (usize, Problem)> {
    let mut profiles: Vec<Profile> = Vec::new();
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let name = name.trim().to_owned();
            if profiles.iter().any(|profile| profile.name == name) {
                return Err((line, Problem::ProfileTwice(name)));
            }
            profiles.push(Profile { name, line, id: None, secret: None, account: None });
            continue;
        }
        let (name, value) = text.split_once('=').ok_or((line, Problem::Syntax))?;
        let profile = profiles.last_mut().ok_or((line, Problem::NoProfile))?;
        profile.set(name.trim(), value.trim()).map_err(|problem| (line, problem))?;
    }
    let mut keys = BTreeMap::new();
    for profile in profiles {
        let line = profile.line;
        let (id, key) = profile.into_key().map_err(|problem| (line, problem))?;
        if keys.contains_key(&id) {
            return Err((line, Problem::KeyTwice(id)));
        }
        keys.insert(id, key);
    }
    Ok(keys)
}

impl Profile {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        // A secret is base64; an id is letters and digits, but other endpoints' stand-ins have more.
        let fine = |value: &str, more: &str| {
            !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let (name, place, valid) = match name.to_ascii_lowercase().as_str() {
            ID => (ID, &mut self.id, fine(value, "_-.")),
            SECRET => (SECRET, &mut self.secret, fine(value, "_-.+/=")),
            ACCOUNT_ID => {
                if value.len() != 12 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Problem::Account);
                }
                (ACCOUNT_ID, &mut self.account, true)
            }
            _ => return Err(Problem::UnknownSetting(name.to_owned())),
        };
        if !valid {
            return Err(Problem::Value(name));
        }
        match place.replace(value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(Problem::SettingTwice(name)),
        }
    }

    fn into_key(self) -> Result<(String, AccessKey), Problem> {
        let missing = |setting| Problem::Missing { profile: self.name.clone(), setting };
        let id = self.id.ok_or_else(|| missing(ID))?;
        let secret = self.secret.ok_or_else(|| missing(SECRET))?;
        let account = AccountId(self.account.unwrap_or_else(|| ACCOUNT.to_owned()));
        Ok((id, AccessKey { secret, account }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = "\
# ours
[default]
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY

; theirs
[ other ]
  AWS_ACCESS_KEY_ID = other
  aws_secret_access_key = a+b=
  aws_account_id = 111122223333
";

    #[test]
    fn profiles() {
        let keys = parse(FINE).unwrap();
        let seen: Vec<_> =
            keys.iter().map(|(id, key)| (id.as_str(), key.secret.as_str(), key.account.0.as_str())).collect();
        let default = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "000000000000");
        assert_eq!(seen, [default, ("other", "a+b=", "111122223333")]);
        let words = format!("{:?}", Credentials { keys });
        assert!(words.contains("other") && !words.contains("a+b="), "{words}");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let whole = "[a]\naws_access_key_id=A\naws_secret_access_key=s\n";
        for (text, line, problem) in [
            ("[a\n", 1, Problem::Syntax),
            ("\naws_access_key_id=A", 2, Problem::NoProfile),
            ("[a]\naws_access_key_id=A", 1, Problem::Missing { profile: "a".into(), setting: SECRET }),
            ("#\n[a]\naws_secret_access_key=s", 2, Problem::Missing { profile: "a".into(), setting: ID }),
            (&format!("{whole}[a]"), 4, Problem::ProfileTwice("a".into())),
            (&whole.replace("A", "A B"), 2, Problem::Value(ID)),
            (&whole.replace("=s", "="), 3, Problem::Value(SECRET)),
            (&format!("{whole}aws_account_id=12345678901"), 4, Problem::Account),
            (&format!("{whole}aws_account_id=12345678901x"), 4, Problem::Account),
            (&format!("{whole}aws_secret_access_key=t"), 4, Problem::SettingTwice(SECRET)),
            (&format!("{whole}aws_session_token=t"), 4, Problem::UnknownSetting("aws_session_token".into())),
            (&format!("{whole}{}", whole.replace("[a]", "[b]")), 4, Problem::KeyTwice("A".into())),
        ] {
            assert_eq!(parse(text).err(), Some((line, problem)), "{text}");
        }
    }

    #[test]
    fn a_file_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        std::fs::write(&path, FINE).unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match Credentials::load(&path) {
                Ok(credentials) => assert!(fine && credentials.key("other").is_some(), "{mode:o}"),
                Err(error) => assert!(
                    !fine && error.to_string().contains(&format!("mode {mode:04o}")),
                    "{mode:o}: {error}"
                ),
            }
        }
    }

    #[test]
    fn no_keys_are_no_credentials() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials");
        assert!(matches!(Credentials::load(&path), Err(CredentialsError::File { .. })));
        assert!(matches!(Credentials::load(directory.path()), Err(CredentialsError::NoFile(_))));
        std::fs::write(&path, "# none yet\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(Credentials::load(&path), Err(CredentialsError::Empty(_))));
        std::fs::write(&path, "# none yet\n[a]\nx").unwrap();
        let error = Credentials::load(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}:3: expected `[profile]` or `name = value`", path.display()));
    }
}
