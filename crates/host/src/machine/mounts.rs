//! What a machine sees of the host's files, or an image's: all of them, read-only, but for a few places of its own.

use std::ffi::{CStr, CString, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use super::SetUpError;
use crate::namespace;

/// The host's `/etc`, read-only, as the machine's `/etc` links to it.
pub(super) const HOST_ETC: &str = "/run/ringwall/etc";

/// Where the host's root is while a machine leaves it: a directory of every image.
const HOST_ROOT: &str = "/run";

/// Places of the machine's own, with their modes, where the host has them. `/run` comes first: it will
/// hold what the others need.
const OWN: [(&str, &CStr); 8] = [
    ("/run", c"mode=0755"),
    ("/tmp", c"mode=1777"),
    ("/var/tmp", c"mode=1777"),
    ("/var/log", c"mode=0755"),
    ("/dev/shm", c"mode=1777"),
    ("/var/lib/dhcp", c"mode=0755"),
    ("/var/lib/dhclient", c"mode=0755"),
    ("/var/lib/dhcpcd", c"mode=0755"),
];

/// Entries of `/etc` that the machine has copies of (or none), instead of links to the host's.
const OWN_ETC: [&str; 4] = ["dhcp", "resolv.conf", "hosts", "hostname"];

/// Makes the mount namespace of the calling process, a new one, the machine's. The process must be in the
/// machine's network and PID namespaces, since `/sys` and `/proc` show those of whoever mounts them. With an `image`,
/// a directory, all but `/dev` is the image's and not the host's.
pub(super) fn set_up(hostname: &str, image: Option<&Path>) -> Result<(), SetUpError> {
    let root = Path::new("/");
    rustix::mount::mount_change(root, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(failed("make private", root))?;
    // Else our copies of other machines' pinned namespaces would keep these alive.
    let below: Vec<PathBuf> = namespace::mount_points()
        .filter(|point| point.starts_with("/run") && point != Path::new("/run"))
        .collect();
    for point in below.iter().rev() {
        let _ = rustix::mount::unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    if let Some(image) = image {
        enter(image)?;
    }
    let own_etc = EtcCopies::read(Path::new("/etc"));
    set_read_only(c"/", true).map_err(failed("make read-only", root))?;
    mount_proc()?;
    mount_new("sysfs", Path::new("/sys"), MountFlags::RDONLY | MountFlags::NOEXEC, None)?;
    if image.is_some() {
        rustix::mount::unmount(HOST_ROOT, UnmountFlags::DETACH)
            .map_err(failed("leave", Path::new(HOST_ROOT)))?;
    }
    for (path, mode) in OWN {
        let path = Path::new(path);
        if fs::symlink_metadata(path).is_ok_and(|file| file.is_dir()) {
            mount_new("tmpfs", path, MountFlags::empty(), Some(mode))?;
        }
    }
    fs::create_dir_all("/run/lock").map_err(failed("create", Path::new("/run/lock")))?;
    mount_etc(&own_etc?, hostname)
}

/// Makes a directory the root, and puts the host's below it for the time being: a user namespace may mount a new `/proc`
/// only beside one that it has.
fn enter(image: &Path) -> Result<(), SetUpError> {
    rustix::mount::mount_bind(image, image).map_err(failed("mount", image))?;
    let dev = image.join("dev");
    rustix::mount::mount_bind_recursive("/dev", &dev).map_err(failed("mount", &dev))?;
    rustix::process::chdir(image).map_err(failed("enter", image))?;
    let below = HOST_ROOT.trim_start_matches('/');
    rustix::process::pivot_root(".", below).map_err(failed("make a root of", image))?;
    rustix::process::chdir("/").map_err(failed("enter", image))
}

/// Whether a directory lies on one of the machine's own file systems.
pub(super) fn is_own(directory: &Path) -> io::Result<bool> {
    let device = fs::metadata(directory)?.dev();
    if device == fs::metadata("/")?.dev() {
        return Ok(false);
    }
    let own = OWN.iter().map(|(path, _)| *path).chain(["/etc"]);
    Ok(own.filter_map(|path| fs::metadata(path).ok()).any(|own| own.dev() == device))
}

/// Puts links to its entries in place of a link to a directory of the host's `/etc`, so that entries can be
/// added to it and replaced. Leaves everything else alone.
pub(super) fn unfold(path: &Path) -> io::Result<()> {
    match fs::read_link(path) {
        Ok(target) if target.starts_with(HOST_ETC) && target.is_dir() => {
            fs::remove_file(path)?;
            fs::create_dir(path)?;
            link_entries(&target, path, &[])
        }
        _ => Ok(()),
    }
}

fn mount_proc() -> Result<(), SetUpError> {
    mount_new("proc", Path::new("/proc"), MountFlags::NOEXEC, None)?;
    // The settings of the whole kernel are not the machine's business, those of its network are.
    for path in ["/proc/sys", "/proc/sys/net"] {
        rustix::mount::mount_bind(path, path).map_err(failed("mount", Path::new(path)))?;
    }
    set_read_only(c"/proc/sys", false).map_err(failed("make read-only", Path::new("/proc/sys")))
}

/// `/etc` is a directory of links to the host's, so that programs can put files in place of links; DHCP
/// clients do that with resolv.conf.
fn mount_etc(own: &EtcCopies, hostname: &str) -> Result<(), SetUpError> {
    let (etc, host_etc) = (Path::new("/etc"), Path::new(HOST_ETC));
    fs::create_dir_all(host_etc).map_err(failed("create", host_etc))?;
    rustix::mount::mount_bind_recursive(etc, host_etc).map_err(failed("mount", host_etc))?;
    mount_new("tmpfs", etc, MountFlags::empty(), Some(c"mode=0755"))?;
    let fill = || {
        link_entries(host_etc, etc, &OWN_ETC)?;
        link_root_beside_etc()?;
        if host_etc.join("dhcp").is_dir() {
            copy_directory(&host_etc.join("dhcp"), &etc.join("dhcp"))?;
        }
        write_readable(&etc.join("resolv.conf"), &own.resolv_conf)?;
        write_readable(&etc.join("hostname"), format!("{hostname}\n").as_bytes())?;
        let hosts = format!("127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n");
        write_readable(&etc.join("hosts"), hosts.as_bytes())
    };
    fill().map_err(failed("fill", etc))
}

/// What must be read before `/run` is covered, since the host's file may be a link into it.
struct EtcCopies {
    resolv_conf: Vec<u8>,
}

impl EtcCopies {
    fn read(etc: &Path) -> Result<EtcCopies, SetUpError> {
        let path = etc.join("resolv.conf");
        match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(EtcCopies { resolv_conf: Vec::new() }),
            read => read.map(|resolv_conf| EtcCopies { resolv_conf }).map_err(failed("read", &path)),
        }
    }
}

/// Links every entry of `from` into `into`; a link is made again as it is.
fn link_entries(from: &Path, into: &Path, except: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if except.iter().any(|except| name == *except) {
            continue;
        }
        let target =
            if entry.file_type()?.is_symlink() { fs::read_link(entry.path())? } else { entry.path() };
        symlink(target, into.join(name))?;
    }
    Ok(())
}

/// A relative link in a directory of the host's `/etc` may climb out of it, to `../../usr/share`: it must
/// find there what stands beside `/etc`.
fn link_root_beside_etc() -> io::Result<()> {
    let Some(beside) = Path::new(HOST_ETC).parent() else { return Ok(()) };
    for entry in fs::read_dir("/")? {
        let name: OsString = entry?.file_name();
        if name != "etc" {
            symlink(Path::new("/").join(&name), beside.join(&name))?;
        }
    }
    Ok(())
}

fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, copy) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_directory(&entry.path(), &copy)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, copy)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), copy)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

fn write_readable(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

fn mount_new(
    file_system: &str,
    path: &Path,
    flags: MountFlags,
    options: Option<&CStr>,
) -> Result<(), SetUpError> {
    let flags = flags | MountFlags::NOSUID | MountFlags::NODEV;
    let options = options.map(CString::from);
    rustix::mount::mount(file_system, path, file_system, flags, options.as_deref())
        .map_err(failed("mount", path))
}

/// Makes the mount at `path` read-only, and with `below` all mounts under it.
fn set_read_only(path: &CStr, below: bool) -> io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = if below { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: both pointers live through the call, which reads as many bytes as it is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn failed<E: Into<io::Error>>(doing: &'static str, path: &Path) -> impl FnOnce(E) -> SetUpError {
    let path = path.to_owned();
    move |source| SetUpError::File { doing, path, source: source.into() }
}
