//! A copy of a directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use super::bounds::Bounds;
use super::{ImageError, kept, unreadable};

/// Copies what is in `from`, as far as it is on the same file system, into `to`.
pub(super) fn copy(from: &Path, to: &Path, mut bounds: Bounds) -> Result<(), ImageError> {
    let real = |path: &Path| fs::canonicalize(path).map_err(unreadable(path));
    if real(to)?.starts_with(real(from)?) {
        return Err(ImageError::NoRoot("this cloud keeps its own state in it".to_owned()));
    }
    let device = fs::metadata(from).map_err(unreadable(from))?.dev();
    copy_entries(from, to, device, &mut bounds)
}

fn copy_entries(from: &Path, to: &Path, device: u64, bounds: &mut Bounds) -> Result<(), ImageError> {
    for entry in fs::read_dir(from).map_err(unreadable(from))? {
        let entry = entry.map_err(unreadable(from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let about = entry.metadata().map_err(unreadable(&from))?;
        let mode = about.mode() & 0o777;
        if about.is_dir() {
            bounds.take(0)?;
            fs::DirBuilder::new().mode(mode | 0o700).create(&to).map_err(kept(&to))?;
            if about.dev() == device {
                copy_entries(&from, &to, device, bounds)?;
            }
            fs::set_permissions(&to, fs::Permissions::from_mode(mode)).map_err(kept(&to))?;
        } else if about.is_symlink() {
            bounds.take(0)?;
            let target = fs::read_link(&from).map_err(unreadable(&from))?;
            symlink(target, &to).map_err(kept(&to))?;
        } else if about.is_file() {
            bounds.take(about.len())?;
            copy_file(&from, &to, about.len(), mode)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, length: u64, mode: u32) -> Result<(), ImageError> {
    let source = read_only(from, libc::O_NOFOLLOW).map_err(unreadable(from))?;
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(to);
    let mut made = made.map_err(kept(to))?;
    // It may have grown.
    io::copy(&mut source.take(length), &mut made).map_err(kept(to))?;
    made.set_permissions(fs::Permissions::from_mode(mode)).map_err(kept(to))
}

/// Opens a file, and waits for nobody at the other end if it has become a pipe.
pub(super) fn read_only(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | flags).open(path)
}
