use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use super::*;

/// A place for images, and one for what they are made of.
struct Place {
    images: Images,
    source: PathBuf,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        fs::create_dir_all(source.join("usr/bin")).unwrap();
        symlink("usr/bin", source.join("bin")).unwrap();
        // The program, under a name that leads to it by an absolute link.
        fs::write(source.join("usr/bin/busybox"), program()).unwrap();
        fs::set_permissions(source.join("usr/bin/busybox"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("/bin/busybox", source.join("usr/bin/sh")).unwrap();
        fs::create_dir(source.join("etc")).unwrap();
        fs::write(source.join("etc/motd"), "welcome\n").unwrap();
        fs::set_permissions(source.join("etc/motd"), fs::Permissions::from_mode(0o4640)).unwrap();
        Place { images: Images::new(directory.path().join("images")), source, directory }
    }

    /// What there is of images.
    fn kept(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.images.directory) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn archive(&self, name: &str, how: Option<&str>) -> PathBuf {
        let archive = self.directory.path().join(name);
        let mut tar = Command::new("tar");
        tar.args(how).arg("-cf").arg(&archive).arg("-C").arg(&self.source).arg(".");
        assert!(tar.status().unwrap().success());
        archive
    }

    fn refuses(&self, location: &Path) -> String {
        let refused = self.images.unpack(location).unwrap_err().to_string();
        assert!(self.kept().is_empty(), "{:?}", self.kept());
        refused
    }
}

fn image(n: u32) -> ImageId {
    format!("ami-{n:017x}").parse().unwrap()
}

/// The beginning of a program of this machine's architecture.
fn program() -> Vec<u8> {
    let mut start = vec![0; 4000];
    File::open("/proc/self/exe").unwrap().read_exact(&mut start).unwrap();
    start
}

fn check(root: &Path) {
    assert_eq!(fs::read_to_string(root.join("etc/motd")).unwrap(), "welcome\n");
    assert_eq!(fs::metadata(root.join("etc/motd")).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_link(root.join("bin")).unwrap(), Path::new("usr/bin"));
    assert_eq!(fs::read(root.join("usr/bin/busybox")).unwrap(), program());
    for place in ["dev", "proc", "run", "sys", "tmp"] {
        assert!(root.join(place).is_dir(), "{place}");
    }
}

#[test]
fn directories_and_archives_of_all_kinds_become_images() {
    let place = Place::new();
    let archives =
        [("a.tar", None), ("b", Some("gzip")), ("c.tar.xz", Some("xz")), ("d.tar.zst", Some("zstd"))];
    let archives = archives.map(|(name, program)| {
        let how = program.map(|program| format!("--{program}"));
        let archive = place.archive(name, how.as_deref());
        if let Some(program) = program {
            // Two streams one after the other are one.
            let nothing = Command::new(program).arg("-c").stdin(Stdio::null()).output().unwrap().stdout;
            assert!(!nothing.is_empty());
            fs::OpenOptions::new().append(true).open(&archive).unwrap().write_all(&nothing).unwrap();
        }
        archive
    });
    for (n, location) in archives.iter().chain([&place.source]).enumerate() {
        let image = image(u32::try_from(n).unwrap());
        let draft = place.images.unpack(location).unwrap();
        draft.keep_as(image).unwrap();
        drop(draft);
        check(&place.images.root(image));
    }
    assert_eq!(place.kept().len(), 5);
    assert_eq!(fs::metadata(&place.images.directory).unwrap().permissions().mode() & 0o777, 0o700);
    let wanted = || BTreeSet::from([image(1), image(3), image(9)]);
    place.images.sweep(wanted).unwrap();
    let mut kept = place.kept();
    kept.sort();
    assert_eq!(kept, [image(1), image(3)].map(|image| image.to_string()));
}

#[test]
fn what_is_no_root_file_system() {
    let place = Place::new();
    let at = |name: &str| place.directory.path().join(name);
    assert!(place.refuses(Path::new("relative")).contains("absolute"));
    assert!(place.refuses(&at("missing")).contains("cannot be read"));
    assert!(place.refuses(Path::new("/dev/null")).contains("neither"));
    assert!(place.refuses(place.directory.path()).contains("own state"));
    fs::write(at("words"), "these are no archive ".repeat(100)).unwrap();
    assert!(place.refuses(&at("words")).contains("cannot be unpacked"));

    let whole = place.archive("whole.tar.gz", Some("--gzip"));
    let content = fs::read(&whole).unwrap();
    fs::write(at("cut"), &content[..content.len() - 9]).unwrap();
    assert!(place.refuses(&at("cut")).contains("cannot be unpacked"));
    let mut wrong = fs::read(place.archive("whole.tar.zst", Some("--zstd"))).unwrap();
    *wrong.last_mut().unwrap() ^= 1;
    fs::write(at("wrong"), wrong).unwrap();
    assert!(place.refuses(&at("wrong")).contains("check sum"));

    let shell = place.source.join("usr/bin/sh");
    fs::remove_file(&shell).unwrap();
    assert!(place.refuses(&place.source).contains("/bin/sh is not there"));
    fs::write(&shell, "#!/bin/bash\n").unwrap();
    assert!(place.refuses(&place.source).contains("/bin/sh is no program."));
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(place.refuses(&place.source).contains("architecture"));
    symlink("/", place.source.join("dev")).unwrap();
    assert!(place.refuses(&place.source).contains("/dev is no directory"));
}

#[test]
fn nothing_leads_out_of_an_archive() {
    let place = Place::new();
    let archive = place.directory.path().join("evil.tar");
    let outside = place.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let header = |kind, path: &str, size| {
        let mut header = tar::Header::new_gnu();
        // Past the checks of whoever writes archives in good faith.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header
    };
    let write = |headers: Vec<(tar::Header, &[u8])>| {
        let mut builder = tar::Builder::new(File::create(&archive).unwrap());
        for (mut header, content) in headers {
            header.set_cksum();
            builder.append(&header, content).unwrap();
        }
        builder.finish().unwrap();
    };
    write(vec![(header(tar::EntryType::Regular, "../outside/file", 1), b"x")]);
    assert!(place.refuses(&archive).contains("leads out"));
    let mut link = header(tar::EntryType::Symlink, "way", 0);
    link.set_link_name(&outside).unwrap();
    write(vec![(link, b""), (header(tar::EntryType::Regular, "way/file", 1), b"x")]);
    assert!(place.refuses(&archive).contains("cannot be unpacked"));
    let mut link = header(tar::EntryType::Link, "passwd", 0);
    link.set_link_name("/etc/passwd").unwrap();
    write(vec![(link, b"")]);
    place.refuses(&archive);
    assert!(fs::read_dir(&outside).unwrap().next().is_none());
}

#[test]
fn there_is_an_end_to_what_is_unpacked() {
    let place = Place::new();
    let archive = place.archive("a.tar.gz", Some("--gzip"));
    let size = program().len() as u64;
    for location in [&archive, &place.source] {
        for bounds in [Bounds { bytes: size, files: 100 }, Bounds { bytes: size * 2, files: 5 }] {
            let refused = place.images.unpack_within(location, bounds).unwrap_err();
            assert!(matches!(refused, ImageError::TooLarge), "{refused}");
            assert!(place.kept().is_empty());
        }
        place.images.unpack_within(location, Bounds { bytes: size + 8, files: 8 }).unwrap();
    }
    // A name that fills the memory.
    let mut builder = tar::Builder::new(File::create(&archive).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(2 << 20);
    header.set_cksum();
    builder.append(&header, io::repeat(b'x').take(2 << 20)).unwrap();
    builder.finish().unwrap();
    assert!(matches!(place.images.unpack(&archive).unwrap_err(), ImageError::TooLarge));
}

#[test]
fn what_a_killed_daemon_left_goes() {
    let place = Place::new();
    let draft = place.images.unpack(&place.source).unwrap();
    // While it is made nothing is removed.
    place.images.sweep(|| panic!("asked")).unwrap();
    assert_eq!(place.kept(), [DRAFT]);
    std::mem::forget(draft);
    let next = Images::new(place.images.directory.clone());
    check(&next.unpack(&place.source).unwrap().directory);
    assert!(place.kept().is_empty());
    std::mem::forget(next.unpack(&place.source).unwrap());
    Images::new(place.images.directory.clone()).sweep(BTreeSet::new).unwrap();
    assert!(place.kept().is_empty());
}
