//! Archives of tar(1), plain or compressed. Which it is tells their beginning, not their name.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use tar::{Archive, EntryType};

use super::bounds::Bounds;
use super::{ImageError, directory, unreadable};

/// What compressed files begin with (RFC 1952, the .xz file format, RFC 8878).
const GZIP: &[u8] = &[0x1f, 0x8b];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// KiB of memory; `xz -9` needs a quarter of it.
const XZ_MEMORY: u32 = 256 << 10;
/// Most bytes between the contents of two files: long names and attributes, which are held in memory.
const MOST_BETWEEN: u64 = 1 << 20;

/// Unpacks an archive into a directory.
pub(super) fn unpack(archive: &Path, root: &Path, mut bounds: Bounds) -> Result<(), ImageError> {
    let between = Rc::new(Cell::new(MOST_BETWEEN));
    let file = BufReader::new(directory::read_only(archive, 0).map_err(unreadable(archive))?);
    let inner = decompress(file).map_err(unreadable(archive))?;
    let mut archive = Archive::new(Stream { inner, between: Rc::clone(&between) });
    let mut entries = archive.entries().map_err(failed)?;
    loop {
        between.set(MOST_BETWEEN);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(failed)?;
        // Holes are filled with zeros.
        bounds.take(entry.size())?;
        between.set(u64::MAX);
        // Of devices machines have those of whoever runs them.
        let plain = matches!(
            entry.header().entry_type(),
            EntryType::Regular
                | EntryType::Continuous
                | EntryType::GNUSparse
                | EntryType::Directory
                | EntryType::Symlink
                | EntryType::Link
        );
        if plain && !entry.unpack_in(root).map_err(failed)? {
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            return Err(ImageError::NoRoot(format!("the path {path:?} leads out of it")));
        }
        io::copy(&mut entry, &mut io::sink()).map_err(failed)?;
    }
    // What follows are zeros, and the check sums of what was compressed.
    between.set(MOST_BETWEEN);
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(failed)?;
    Ok(())
}

fn decompress(mut file: BufReader<File>) -> io::Result<Box<dyn Read>> {
    let start = file.fill_buf()?;
    Ok(if start.starts_with(GZIP) {
        Box::new(MultiGzDecoder::new(file))
    } else if start.starts_with(XZ) {
        Box::new(XzReader::new_mem_limit(file, true, XZ_MEMORY))
    } else if start.starts_with(ZSTD) {
        Box::new(ZstdFrames::Between(file))
    } else {
        Box::new(file)
    })
}

/// An archive's bytes, of which there may not be too many in a row that are none of a file's content.
struct Stream {
    inner: Box<dyn Read>,
    between: Rc<Cell<u64>>,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.between.get().checked_sub(read as u64);
        self.between.set(left.ok_or(io::ErrorKind::FileTooLarge)?);
        Ok(read)
    }
}

/// A file compressed by zstd: one frame after the other (RFC 8878, section 3).
enum ZstdFrames {
    Between(BufReader<File>),
    Inside(Box<StreamingDecoder<BufReader<File>, FrameDecoder>>),
    Over,
}

impl Read for ZstdFrames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            *self = match std::mem::replace(self, ZstdFrames::Over) {
                ZstdFrames::Over => return Ok(0),
                ZstdFrames::Between(mut file) => {
                    if file.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    ZstdFrames::Inside(Box::new(StreamingDecoder::new(file).map_err(io::Error::other)?))
                }
                ZstdFrames::Inside(mut frame) => match frame.read(buffer)? {
                    0 => {
                        let decoder = &frame.decoder;
                        let said = decoder.get_checksum_from_data();
                        if said.is_some() && said != decoder.get_calculated_checksum() {
                            return Err(io::Error::new(io::ErrorKind::InvalidData, "its check sum is wrong"));
                        }
                        ZstdFrames::Between(frame.into_inner())
                    }
                    read => {
                        *self = ZstdFrames::Inside(frame);
                        return Ok(read);
                    }
                },
            }
        }
    }
}

fn failed(error: io::Error) -> ImageError {
    use std::error::Error as _;
    // The reason of the reason is what the kernel said.
    let reason = error.source().map(ToString::to_string);
    match error.kind() {
        io::ErrorKind::FileTooLarge => ImageError::TooLarge,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => {
            ImageError::Keep { path: "the archive's content".into(), source: error }
        }
        kind => ImageError::Archive(match reason {
            Some(reason) => io::Error::new(kind, format!("{error}: {reason}")),
            None => error,
        }),
    }
}
