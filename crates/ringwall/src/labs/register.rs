//! Which labs there are: directories below one directory, and links to those that somebody wanted elsewhere.
//!
//! A link is called `NAME.N`, which no lab can be: it outlives the daemon, as the lab does, and goes with the lab's
//! directory.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::LabDir;

/// All labs, by name.
pub(super) fn known(labs: &Path) -> Vec<LabDir> {
    let entries = std::fs::read_dir(labs).into_iter().flatten().flatten();
    let mut known: Vec<_> = entries.filter_map(|entry| lab_at(entry.path())).collect();
    known.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    known
}

/// Makes a lab known whose directory is not below `labs`.
pub(super) fn add(labs: &Path, lab: &LabDir) -> io::Result<()> {
    if known(labs).iter().any(|known| same(&known.path, &lab.path)) {
        return Ok(());
    }
    for number in 1.. {
        match symlink(&lab.path, labs.join(format!("{}.{number}", lab.name))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    Ok(())
}

/// Forgets a lab whose directory is gone, or is about to be.
pub(super) fn forget(labs: &Path, lab: &LabDir) {
    let entries = std::fs::read_dir(labs).into_iter().flatten().flatten();
    for link in entries.map(|entry| entry.path()) {
        if std::fs::read_link(&link).is_ok_and(|target| target == lab.path) {
            // One that stays leads nowhere, and is removed by whoever looks next.
            let _ = std::fs::remove_file(link);
        }
    }
}

/// Whether both are the same directory, by whatever way they are reached.
pub(super) fn same(a: &Path, b: &Path) -> bool {
    a == b || std::fs::canonicalize(a).ok().is_some_and(|a| std::fs::canonicalize(b).is_ok_and(|b| a == b))
}

fn lab_at(path: PathBuf) -> Option<LabDir> {
    let name = path.file_name()?.to_str()?.to_owned();
    let Ok(target) = std::fs::read_link(&path) else { return Some(LabDir { name, path }) };
    match std::fs::metadata(&target) {
        // Somebody has removed the lab's directory, and not by `lab down`.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let _ = std::fs::remove_file(&path);
            None
        }
        _ => Some(LabDir { name: target.file_name()?.to_str()?.to_owned(), path: target }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(path: PathBuf) -> LabDir {
        std::fs::create_dir_all(&path).unwrap();
        LabDir { name: path.file_name().unwrap().to_str().unwrap().to_owned(), path }
    }

    fn shown(labs: &Path) -> Vec<(String, PathBuf)> {
        known(labs).into_iter().map(|lab| (lab.name, lab.path)).collect()
    }

    #[test]
    fn labs_elsewhere_are_known_until_they_are_gone() {
        let top = tempfile::tempdir().unwrap();
        let labs = top.path().join("labs");
        assert_eq!(shown(&labs), []);
        let here = lab(labs.join("x"));
        let (one, two) = (lab(top.path().join("one/x")), lab(top.path().join("two/x")));
        for lab in [&one, &two, &one] {
            add(&labs, lab).unwrap();
        }
        add(&labs, &here).unwrap();
        assert_eq!(shown(&labs), [&here, &one, &two].map(|lab| ("x".to_owned(), lab.path.clone())));
        forget(&labs, &one);
        assert_eq!(shown(&labs).len(), 2);
        std::fs::remove_dir(&two.path).unwrap();
        assert_eq!(shown(&labs).len(), 1);
        assert_eq!(std::fs::read_dir(&labs).unwrap().count(), 1, "the link that leads nowhere is gone");
    }

    #[test]
    fn a_directory_is_the_same_by_another_way() {
        let top = tempfile::tempdir().unwrap();
        let real = lab(top.path().join("real"));
        symlink(&real.path, top.path().join("way")).unwrap();
        assert!(same(&real.path, &top.path().join("way")));
        assert!(!same(&real.path, top.path()));
        assert!(!same(&top.path().join("none"), &top.path().join("neither")));
    }
}
