//! The image's files, laid over the machine's own places.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::SetUpError;
use super::mounts;

/// Writes all of them, making directories as needed.
pub(super) fn write_all(files: &BTreeMap<String, String>) -> Result<(), SetUpError> {
    files.iter().try_for_each(|(path, content)| write(Path::new(path), content))
}

fn write(path: &Path, content: &str) -> Result<(), SetUpError> {
    let not_own = || SetUpError::NotOwn(path.to_owned());
    let failed = |doing| move |source: io::Error| SetUpError::File { doing, path: path.to_owned(), source };
    let parent = path.parent().ok_or_else(not_own)?;
    let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain {
        return Err(not_own());
    }
    for directory in downwards(parent) {
        mounts::unfold(directory).map_err(failed("open up a directory for"))?;
    }
    let existing = parent.ancestors().find(|directory| directory.is_dir()).ok_or_else(not_own)?;
    if !mounts::is_own(existing).map_err(failed("look for"))? {
        return Err(not_own());
    }
    fs::create_dir_all(parent).map_err(failed("make a directory for"))?;
    // What is there may be a link to the host's file.
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("replace")(e)),
        _ => {}
    }
    fs::write(path, content).map_err(failed("write"))?;
    let mode = if content.starts_with("#!") { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed("write"))
}

/// The directories on the way to `directory`, itself the last.
fn downwards(directory: &Path) -> impl Iterator<Item = &Path> {
    let mut all: Vec<&Path> = directory.ancestors().collect();
    all.reverse();
    all.into_iter()
}

/// Puts user data where the machine may execute it.
pub(super) fn write_user_data(content: &[u8]) -> Result<PathBuf, SetUpError> {
    let path = PathBuf::from("/run/ringwall/user-data");
    let failed = |source| SetUpError::File { doing: "write", path: path.clone(), source };
    fs::write(&path, content).map_err(failed)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    Ok(path)
}
