//! What a machine needs of its root file system.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::{ImageError, kept, unreadable};

/// The directories that machines mount something on.
const PLACES: [&str; 6] = ["dev", "etc", "proc", "run", "sys", "tmp"];
/// The beginning of a program (elf(5), `Elf64_Ehdr`), up to the architecture that it is for.
const HEAD: usize = 20;

/// Checks that machines of this architecture can run on it, and makes the places that they need.
pub(super) fn complete(root: &Path) -> Result<(), ImageError> {
    for place in PLACES {
        let path = root.join(place);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(ImageError::NoRoot(format!("/{place} is no directory"))),
            Err(_) => fs::create_dir(&path).map_err(kept(&path))?,
        }
    }
    let no_shell = |why: &str| ImageError::NoRoot(format!("/bin/sh {why}"));
    // Links in it are to be understood as the machine will.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let directory = openat2(CWD, root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::empty());
    let directory = directory.map_err(|error| unreadable(root)(error.into()))?;
    let shell = openat2(&directory, "bin/sh", flags, Mode::empty(), ResolveFlags::IN_ROOT);
    let mut shell = File::from(shell.map_err(|_| no_shell("is not there"))?);
    let about = shell.metadata().map_err(unreadable(root))?;
    if !about.is_file() || about.mode() & 0o111 == 0 {
        return Err(no_shell("is no program"));
    }
    let own = Path::new("/proc/self/exe");
    let (mut head, mut own_head) = ([0; HEAD], [0; HEAD]);
    File::open(own).and_then(|mut file| file.read_exact(&mut own_head)).map_err(unreadable(own))?;
    match shell.read_exact(&mut head) {
        // The same class, byte order and machine.
        Ok(()) if head[..6] == own_head[..6] && head[18..] == own_head[18..] => Ok(()),
        _ => Err(no_shell("is no program of this machine's architecture")),
    }
}
