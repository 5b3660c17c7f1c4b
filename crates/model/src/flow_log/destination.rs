//! Where the files of a flow log go.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A bucket, and maybe a folder in it, as an ARN: `arn:aws:s3:::BUCKET[/FOLDER[/]]`. Neither part leads anywhere else
/// where it is the name of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogDestination {
    /// As it was given.
    arn: String,
}

/// A text that is no [`LogDestination`], and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadLogDestination {
    /// It is the ARN of something else, or none.
    #[error("Expecting the ARN of an S3 bucket: arn:aws:s3:::bucket-name/folder/")]
    NoBucket,
    /// No bucket can be called so (Amazon S3 user guide, "General purpose bucket naming rules").
    #[error("The bucket's name is not valid.")]
    BucketName,
    /// No folder can be called so.
    #[error("The name of a folder is not valid.")]
    Folder,
}

/// What all ARNs of buckets begin with.
const BUCKET: &str = "arn:aws:s3:::";
/// Folders below which AWS keeps its own.
const RESERVED: &str = "AWSLogs";
/// Most bytes of a folder's name: those of a directory's on Linux.
const LONGEST_FOLDER: usize = 255;
/// Most bytes of all folders: an object's key has 1024 at most.
const LONGEST_PATH: usize = 512;

impl LogDestination {
    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        self.parts().0
    }

    /// The folders in it, from the outermost.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.parts().1.split('/').filter(|folder| !folder.is_empty())
    }

    fn parts(&self) -> (&str, &str) {
        parts(&self.arn).unwrap_or((&self.arn, ""))
    }
}

fn parts(arn: &str) -> Option<(&str, &str)> {
    let path = arn.strip_prefix(BUCKET)?;
    Some(path.split_once('/').unwrap_or((path, "")))
}

fn is_bucket_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().next_back()];
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| fine(byte) || matches!(byte, b'.' | b'-'))
        && ends.into_iter().all(|end| end.is_some_and(fine))
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err()
}

fn is_folder_name(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "!-_.*'()=:@ ".contains(c);
    name.len() <= LONGEST_FOLDER && name.chars().all(fine) && !matches!(name, "" | "." | ".." | RESERVED)
}

impl FromStr for LogDestination {
    type Err = BadLogDestination;

    fn from_str(arn: &str) -> Result<LogDestination, BadLogDestination> {
        let (bucket, path) = parts(arn).ok_or(BadLogDestination::NoBucket)?;
        if !is_bucket_name(bucket) {
            return Err(BadLogDestination::BucketName);
        }
        let folders = path.strip_suffix('/').unwrap_or(path);
        let fine = folders.is_empty() || folders.split('/').all(is_folder_name);
        if !fine || folders.len() > LONGEST_PATH {
            return Err(BadLogDestination::Folder);
        }
        Ok(LogDestination { arn: arn.to_owned() })
    }
}

impl TryFrom<String> for LogDestination {
    type Error = BadLogDestination;

    fn try_from(arn: String) -> Result<LogDestination, BadLogDestination> {
        arn.parse()
    }
}

impl From<LogDestination> for String {
    fn from(destination: LogDestination) -> String {
        destination.arn
    }
}

impl fmt::Display for LogDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_folders() {
        for (arn, bucket, folders) in [
            ("arn:aws:s3:::flows", "flows", &[][..]),
            ("arn:aws:s3:::my.flow-logs1/", "my.flow-logs1", &[]),
            ("arn:aws:s3:::abc/a/b=c/", "abc", &["a", "b=c"]),
        ] {
            let destination: LogDestination = arn.parse().unwrap();
            assert_eq!((destination.bucket(), destination.to_string()), (bucket, arn.to_owned()));
            assert_eq!(destination.folders().collect::<Vec<_>>(), folders);
        }
    }

    #[test]
    fn nothing_leads_elsewhere() {
        use BadLogDestination::{BucketName, Folder, NoBucket};
        for (arn, why) in [
            ("", NoBucket),
            ("flows", NoBucket),
            ("arn:aws:logs:eu-west-1:000000000000:log-group:x", NoBucket),
            ("arn:aws:s3:::", BucketName),
            ("arn:aws:s3:::..", BucketName),
            ("arn:aws:s3:::../../etc", BucketName),
            ("arn:aws:s3:::a..b", BucketName),
            ("arn:aws:s3:::.abc", BucketName),
            ("arn:aws:s3:::ab", BucketName),
            ("arn:aws:s3:::Flows", BucketName),
            ("arn:aws:s3:::my_flows", BucketName),
            ("arn:aws:s3:::192.0.2.1", BucketName),
            ("arn:aws:s3:::flows//etc", Folder),
            ("arn:aws:s3:::flows/..", Folder),
            ("arn:aws:s3:::flows/a/../b", Folder),
            ("arn:aws:s3:::flows/./b", Folder),
            ("arn:aws:s3:::flows/AWSLogs/", Folder),
            ("arn:aws:s3:::flows/a\n", Folder),
            ("arn:aws:s3:::flows/ü", Folder),
        ] {
            assert_eq!(arn.parse::<LogDestination>(), Err(why), "{arn}");
        }
        let long = format!("arn:aws:s3:::flows/{}", "a".repeat(256));
        assert_eq!(long.parse::<LogDestination>(), Err(Folder));
        assert!(serde_json::from_str::<LogDestination>("\"arn:aws:s3:::..\"").is_err());
    }
}
