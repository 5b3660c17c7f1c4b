//! The files of flow logs, as S3 has them (VPC user guide, "Flow log files"): a bucket is a directory, and an object a
//! file in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use model::{DateTime, FlowLogId, NewFlowLog, RegionKey};

use super::super::random;
use super::{DeliveryError, record};

/// The directory of all buckets.
const BUCKETS: &str = "buckets";
/// Files are of so many seconds, by the ends of their records, and are called by when these begin.
const SLOT: u64 = 300;

/// Writes records, each with its end in seconds since 1970, to the bucket below `root`: all of one slot to one file,
/// which is there as a whole or not at all.
pub(super) fn write(
    root: &Path,
    region: &RegionKey,
    id: FlowLogId,
    log: &NewFlowLog,
    records: Vec<(u64, String)>,
) -> Result<(), DeliveryError> {
    let mut slots: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (end, line) in records {
        slots.entry(end - end % SLOT).or_insert_with(|| vec![record::header(&log.format)]).push(line);
    }
    for (slot, lines) in slots {
        let folder = folder(root, region, log, slot);
        let time = DateTime(slot).to_string().replace(['-', ':'], "");
        // Without its seconds.
        let time = time.get(..13).unwrap_or(&time);
        // Whatever else is written for this slot has another hash.
        let hash = random()? >> 32;
        let RegionKey { account, region } = region;
        let name = format!("{account}_vpcflowlogs_{region}_{id}_{time}Z_{hash:08x}.log.gz");
        write_whole(&folder, &name, &lines)?;
    }
    Ok(())
}

fn folder(root: &Path, region: &RegionKey, log: &NewFlowLog, slot: u64) -> PathBuf {
    let mut path = root.join(BUCKETS).join(log.destination.bucket());
    path.extend(log.destination.folders());
    path.push("AWSLogs");
    let date = DateTime(slot).to_string();
    // 2026-11-23T07
    let date: Vec<_> = date.split(['-', 'T', ':']).take(if log.per_hour { 4 } else { 3 }).collect();
    let RegionKey { account, region } = region;
    let of_log = [account.0.as_str(), "vpcflowlogs", region.0.as_str()];
    let names = ["aws-account-id", "aws-service", "aws-region", "year", "month", "day", "hour"];
    for (name, value) in names.into_iter().zip(of_log.into_iter().chain(date)) {
        if log.hive_compatible { path.push(format!("{name}={value}")) } else { path.push(value) }
    }
    path
}

fn write_whole(folder: &Path, name: &str, lines: &[String]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // Whoever lists the bucket for files of flow logs does not see this one.
    let draft = folder.join(format!(".{name}.new"));
    let written = write_draft(&draft, lines).and_then(|()| fs::rename(&draft, folder.join(name)));
    if written.is_err() {
        // It may never have been there.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write_draft(draft: &Path, lines: &[String]) -> io::Result<()> {
    let mut file = GzEncoder::new(File::create(draft)?, Compression::default());
    for line in lines {
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
    }
    file.finish()?.sync_all()
}
