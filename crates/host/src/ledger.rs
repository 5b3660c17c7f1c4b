//! The list of what was made on this machine. Each thing is on the list, and the list on disk, before the
//! thing is made: so whatever moment a crash chooses, [`crate::teardown`] knows all there can be.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The ledger's file in the state directory: one JSON object a line.
pub const FILE_NAME: &str = "made.jsonl";

/// One thing that was, or was about to be, made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "made", rename_all = "kebab-case")]
pub enum Made {
    /// A pinned network namespace, with all links and processes in it.
    Namespace {
        /// The name it is pinned under.
        name: String,
    },
    /// The directory of `ip netns` itself.
    NetnsDirectory,
    /// The mount that `ip netns` wants on its directory.
    NetnsMount,
    /// Something mounted on this path.
    Mount {
        /// The mount point.
        path: PathBuf,
    },
    /// A directory; what others put into it is not ours, so it goes only when empty.
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// A directory whose whole content is ours.
    Tree {
        /// The directory.
        path: PathBuf,
    },
    /// A file, socket or symbolic link.
    File {
        /// The file.
        path: PathBuf,
    },
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file operation failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line before the last is no entry.
    #[error("{}, line {line}: {source}", path.display())]
    Corrupt {
        /// The ledger.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// An entry that JSON cannot hold: a path that is not UTF-8.
    #[error("cannot list {entry:?}: {source}")]
    Unlistable {
        /// The entry.
        entry: Made,
        /// Why.
        source: serde_json::Error,
    },
}

/// The open ledger of one state directory.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    made: BTreeSet<Made>,
}

impl Ledger {
    /// Opens the ledger in `dir` for appending. A state directory that is missing is made, with its parents,
    /// and they are the first entries; so is one that is empty, since that is what a crash in between leaves.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        let dir = &std::path::absolute(dir).map_err(|e| io_error(dir, e))?;
        let missing: Vec<&Path> = dir.ancestors().skip(1).take_while(|path| !path.exists()).collect();
        fs::create_dir_all(dir).map_err(|e| io_error(dir, e))?;
        let fresh = fs::read_dir(dir).map_err(|e| io_error(dir, e))?.next().is_none();

        let path = dir.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|e| io_error(&path, e))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|e| io_error(&path, e))?;
        // A torn last line is cut off, or the next entry would be appended to it.
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        if whole < content.len() {
            file.set_len(whole as u64).map_err(|e| io_error(&path, e))?;
        }
        let made = parse(&path, &content)?.into_iter().collect();
        let mut ledger = Self { path, file, made };
        for parent in missing.into_iter().rev() {
            ledger.record(&Made::Directory { path: parent.to_owned() })?;
        }
        if fresh {
            ledger.record(&Made::Tree { path: dir.to_owned() })?;
        }
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| io_error(dir, e))?;
        Ok(ledger)
    }

    /// Puts an entry on the list and waits until it is on disk; to be called before the thing is made. What
    /// is on the list already stays there once.
    ///
    /// # Errors
    /// `Io`, `Unlistable`.
    pub fn record(&mut self, entry: &Made) -> Result<(), LedgerError> {
        if self.made.contains(entry) {
            return Ok(());
        }
        let mut line = serde_json::to_vec(entry)
            .map_err(|source| LedgerError::Unlistable { entry: entry.clone(), source })?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| io_error(&self.path, e))?;
        self.made.insert(entry.clone());
        Ok(())
    }

    /// All that is on the list, in the order of [`Made`].
    pub fn made(&self) -> &BTreeSet<Made> {
        &self.made
    }

    /// Reads the list in `dir` in the order of making. No list is an empty one; a torn last line (a crash
    /// while it was written) says nothing was made yet and is left out.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    pub fn read(dir: &Path) -> Result<Vec<Made>, LedgerError> {
        let path = dir.join(FILE_NAME);
        match fs::read(&path) {
            Ok(content) => parse(&path, &content),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Vec::new())
            }
            Err(e) => Err(io_error(&path, e)),
        }
    }
}

fn parse(path: &Path, content: &[u8]) -> Result<Vec<Made>, LedgerError> {
    let whole = content.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    content[..whole]
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(index, line)| {
            serde_json::from_slice(line).map_err(|source| LedgerError::Corrupt {
                path: path.to_owned(),
                line: index + 1,
                source,
            })
        })
        .collect()
}

fn io_error(path: &Path, source: io::Error) -> LedgerError {
    LedgerError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(name: &str) -> Made {
        Made::Namespace { name: name.to_owned() }
    }

    #[test]
    fn entries_come_back_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path()).unwrap();
        for name in ["b", "a", "b"] {
            ledger.record(&namespace(name)).unwrap();
        }
        let tree = Made::Tree { path: dir.path().to_owned() };
        assert_eq!(Ledger::read(dir.path()).unwrap(), [tree, namespace("b"), namespace("a")]);
        // A second opening, as after a restart, keeps the list.
        Ledger::open(dir.path()).unwrap().record(&namespace("a")).unwrap();
        assert_eq!(Ledger::read(dir.path()).unwrap().len(), 3);
    }

    #[test]
    fn made_parents_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("x/y");
        Ledger::open(&state).unwrap();
        assert_eq!(
            Ledger::read(&state).unwrap(),
            [Made::Directory { path: dir.path().join("x") }, Made::Tree { path: state }]
        );
    }

    #[test]
    fn a_directory_with_content_of_others_is_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), "").unwrap();
        Ledger::open(dir.path()).unwrap();
        assert_eq!(Ledger::read(dir.path()).unwrap(), []);
    }

    #[test]
    fn a_line_torn_at_any_byte_is_left_out_and_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut ledger = Ledger::open(dir.path()).unwrap();
        ledger.record(&namespace("first")).unwrap();
        let kept = fs::read(&path).unwrap().len();
        ledger.record(&namespace("second")).unwrap();
        let content = fs::read(&path).unwrap();
        for length in kept..content.len() {
            fs::write(&path, &content[..length]).unwrap();
            assert_eq!(Ledger::read(dir.path()).unwrap().last(), Some(&namespace("first")));
            Ledger::open(dir.path()).unwrap().record(&namespace("third")).unwrap();
            let read = Ledger::read(dir.path()).unwrap();
            assert_eq!(read[1..], [namespace("first"), namespace("third")]);
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let line = serde_json::to_string(&namespace("a")).unwrap();
        fs::write(dir.path().join(FILE_NAME), format!("{line}\nnonsense\n{line}\n")).unwrap();
        let error = Ledger::read(dir.path()).unwrap_err();
        assert!(matches!(error, LedgerError::Corrupt { line: 2, .. }), "{error}");
    }

    #[test]
    fn no_ledger_is_an_empty_one() {
        assert_eq!(Ledger::read(Path::new("/no/such/place")).unwrap(), []);
    }
}
