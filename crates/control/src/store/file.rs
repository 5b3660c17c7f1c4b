//! The SQLite file `state.db`, and the lock beside it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{AccountId, Applied, Change, Region, RegionKey, RegionName};
use rusqlite::{Connection, OpenFlags, OptionalExtension, ffi, params};
use serde_json::Value;

use super::error::{Damage, StoreError};
use super::transaction::{ClientToken, Done};

/// "RWal" in ASCII, in the file's header: tells our files from those of others.
const APPLICATION_ID: i64 = 0x5257_616c;

/// The schema below.
const SCHEMA_VERSION: i64 = 2;

/// A region's state is its snapshot and then the log's entries in order. `generation` is the region's after the
/// entry, and `applied` what came of the changes: they must come out the same again.
const SCHEMA: &str = "
    CREATE TABLE region (
        account TEXT NOT NULL, region TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (account, region)
    ) STRICT;
    CREATE TABLE log (
        entry INTEGER PRIMARY KEY AUTOINCREMENT, account TEXT NOT NULL, region TEXT NOT NULL,
        generation INTEGER NOT NULL, changes TEXT NOT NULL, applied TEXT NOT NULL
    ) STRICT;
    CREATE TABLE token (
        account TEXT NOT NULL, region TEXT NOT NULL, action TEXT NOT NULL, token TEXT NOT NULL,
        parameters TEXT NOT NULL, answer TEXT NOT NULL, expires INTEGER NOT NULL,
        PRIMARY KEY (account, region, action, token)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX token_expires ON token (expires);
";

/// What version 2 has beside version 1.
const DOCUMENTS: &str = "
    CREATE TABLE document (
        account TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, content TEXT NOT NULL,
        PRIMARY KEY (account, region, name)
    ) STRICT, WITHOUT ROWID;
";

/// How long to wait for a person who has the file open and writes.
const BUSY: Duration = Duration::from_secs(5);

/// A daemon that is killed may leave a child that holds the directory's lock until its exec.
const FORKED: Duration = Duration::from_secs(1);

/// The open file. Nothing else in this process may open it: closing any descriptor of it would drop SQLite's
/// locks.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    connection: Connection,
    /// Whether there is a transaction, to our knowledge: SQLite ends it by itself after some errors, and what
    /// follows must not become one of its own.
    begun: Cell<bool>,
    /// Let go after the connection.
    _lock: Lock,
}

/// The directory's lock, on a file of its own: SQLite's locks let a second daemon in.
#[derive(Debug)]
struct Lock(File);

/// What a file held when it was opened.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Each region's last state.
    pub(super) regions: BTreeMap<RegionKey, Arc<Region>>,
    /// The log's entries of each region that has any.
    pub(super) logged: BTreeMap<RegionKey, usize>,
}

/// An entry of the log.
struct Entry {
    entry: i64,
    key: RegionKey,
    generation: i64,
    changes: String,
    applied: String,
}

impl StateFile {
    pub(super) fn open(dir: &Path) -> Result<(StateFile, Loaded), StoreError> {
        let lock = Lock::take(dir)?;
        let path = dir.join("state.db");
        create(&path)?;

        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)
            .map_err(|error| StoreError::sqlite(path.clone(), error))?;
        let file = StateFile { path, connection, begun: Cell::new(false), _lock: lock };
        file.prepare()?;
        let loaded = file.load()?;
        Ok((file, loaded))
    }

    /// What `token` was answered at `now` or before; inside, None if it came with other parameters.
    pub(super) fn answered(
        &self,
        key: &RegionKey,
        token: &ClientToken,
        now: i64,
    ) -> Result<Option<Option<Value>>, StoreError> {
        let sql = "SELECT parameters, answer FROM token
            WHERE account = ? AND region = ? AND action = ? AND token = ? AND expires > ?";
        let of = params![key.account.0, key.region.0, token.action, token.token, now];
        let found = self.connection.query_row(sql, of, |row| {
            Ok((row.get::<_, String>("parameters")?, row.get::<_, String>("answer")?))
        });
        let Some((parameters, answer)) = found.optional().map_err(|error| self.failed(error))? else {
            return Ok(None);
        };
        if parameters != token.parameters {
            return Ok(Some(None));
        }
        let answer = serde_json::from_str(&answer)
            .map_err(|error| self.corrupt(Damage::Answer { source: Arc::new(error) }))?;
        Ok(Some(Some(answer)))
    }

    /// Begins a transaction, if none has begun.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        if !self.begun.get() {
            self.run("BEGIN IMMEDIATE")?;
            self.begun.set(true);
        } else if self.connection.is_autocommit() {
            let rolled_back = ffi::Error::new(ffi::SQLITE_ABORT_ROLLBACK);
            return Err(self.failed(rusqlite::Error::SqliteFailure(rolled_back, None)));
        }
        Ok(())
    }

    /// Puts all since `begin` on disk.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        if !self.begun.get() {
            return Ok(());
        }
        let committed = self.run("COMMIT");
        match committed {
            Ok(()) => self.begun.set(false),
            Err(_) => {
                self.roll_back();
                self.overwrite();
            }
        }
        committed
    }

    /// Forgets all since `begin`.
    pub(super) fn roll_back(&self) {
        self.begun.set(false);
        if !self.connection.is_autocommit()
            && let Err(error) = self.run("ROLLBACK")
        {
            tracing::error!(%error, "the store's transaction was not rolled back");
        }
    }

    /// A region's first snapshot, or its next one.
    pub(super) fn put_region(&self, region: &Region) -> Result<(), StoreError> {
        let key = region.key();
        let sql = "INSERT INTO region (account, region, state) VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET state = excluded.state";
        self.execute(sql, params![key.account.0, key.region.0, json(region)?])
    }

    /// An entry of the log, for what made `region` of its last state.
    pub(super) fn append(&self, region: &Region, done: &Done) -> Result<(), StoreError> {
        let key = region.key();
        let sql = "INSERT INTO log (account, region, generation, changes, applied) VALUES (?, ?, ?, ?, ?)";
        let generation = region.generation().cast_signed();
        let (changes, applied) = (json(&done.changes)?, json(&done.applied)?);
        self.execute(sql, params![key.account.0, key.region.0, generation, changes, applied])
    }

    /// Keeps the answer to a token.
    pub(super) fn put_answer(
        &self,
        key: &RegionKey,
        token: &ClientToken,
        answer: &Value,
        expires: i64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT OR REPLACE INTO token (account, region, action, token, parameters, answer, expires)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        let ClientToken { action, token, parameters } = token;
        let answer = json(answer)?;
        self.execute(sql, params![key.account.0, key.region.0, action, token, parameters, answer, expires])
    }

    /// What is kept with a region under a name.
    pub(super) fn document(&self, key: &RegionKey, name: &str) -> Result<Option<Value>, StoreError> {
        let sql = "SELECT content FROM document WHERE account = ? AND region = ? AND name = ?";
        let of = params![key.account.0, key.region.0, name];
        let found = self.connection.query_row(sql, of, |row| row.get::<_, String>(0)).optional();
        let found = found.map_err(|error| self.failed(error))?;
        let content = found.map(|text| serde_json::from_str(&text)).transpose();
        content.map_err(|error| self.corrupt(Damage::Document { source: Arc::new(error) }))
    }

    /// Keeps something with a region under a name, or nothing any more.
    pub(super) fn put_document(
        &self,
        key: &RegionKey,
        name: &str,
        content: Option<&Value>,
    ) -> Result<(), StoreError> {
        let Some(content) = content else {
            let sql = "DELETE FROM document WHERE account = ? AND region = ? AND name = ?";
            return self.execute(sql, params![key.account.0, key.region.0, name]);
        };
        let sql = "INSERT OR REPLACE INTO document (account, region, name, content) VALUES (?, ?, ?, ?)";
        self.execute(sql, params![key.account.0, key.region.0, name, json(content)?])
    }

    /// Puts snapshots in the place of the whole log, so they must be of all regions that are in it; forgets
    /// answers that are not kept any longer.
    pub(super) fn fold<'a>(
        &self,
        regions: impl IntoIterator<Item = &'a Region>,
        now: i64,
    ) -> Result<(), StoreError> {
        let folded = (|| {
            self.begin()?;
            for region in regions {
                self.put_region(region)?;
            }
            self.execute("DELETE FROM log", [])?;
            self.execute("DELETE FROM token WHERE expires <= ?", [now])?;
            self.commit()
        })();
        if folded.is_err() {
            self.roll_back();
        }
        folded
    }

    /// Checks that the file is ours, makes the schema if it is new, and sets how it is written.
    fn prepare(&self) -> Result<(), StoreError> {
        self.connection.busy_timeout(BUSY).map_err(|error| self.failed(error))?;
        let id: i64 = self.ask("PRAGMA application_id")?;
        let version: i64 = self.ask("PRAGMA user_version")?;
        let tables: i64 = self.ask("SELECT count(*) FROM sqlite_schema")?;
        match (id, version) {
            (0, 0) if tables == 0 => {
                // Before there is a write-ahead log, so that a log cut short never takes the schema with it.
                self.run(&format!(
                    "BEGIN IMMEDIATE; {SCHEMA} {DOCUMENTS} PRAGMA application_id = {APPLICATION_ID};
                     PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
                ))?;
            }
            (APPLICATION_ID, 1) => {
                self.run(&format!(
                    "BEGIN IMMEDIATE; {DOCUMENTS} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT"
                ))?;
            }
            (APPLICATION_ID, SCHEMA_VERSION) => {}
            (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
                let path = self.path.clone();
                return Err(StoreError::NewerVersion { path, found, known: SCHEMA_VERSION });
            }
            _ => return Err(StoreError::NotAStateFile(self.path.clone())),
        }
        let check: String = self.ask("PRAGMA quick_check(1)")?;
        if check != "ok" {
            return Err(self.corrupt(Damage::Check(check)));
        }
        let _: String = self.ask("PRAGMA journal_mode = WAL")?;
        self.run("PRAGMA synchronous = FULL")
    }

    /// If only the flush of a commit failed, its transaction stands whole in the write-ahead log, and who opens the
    /// file after a crash would find it. Writing anything takes its place there.
    fn overwrite(&self) {
        if let Err(error) = self.run(&format!("PRAGMA user_version = {SCHEMA_VERSION}")) {
            tracing::debug!(%error, "a failed transaction was not overwritten");
        }
    }

    fn load(&self) -> Result<Loaded, StoreError> {
        let mut regions = BTreeMap::new();
        for (key, state) in self.snapshots().map_err(|error| self.failed(error))? {
            let region: Region = serde_json::from_str(&state).map_err(|error| {
                self.corrupt(Damage::Snapshot { region: key.clone(), source: Arc::new(error) })
            })?;
            regions.insert(key, region);
        }
        let mut logged = BTreeMap::new();
        for entry in self.entries().map_err(|error| self.failed(error))? {
            let Some(region) = regions.get_mut(&entry.key) else {
                return Err(self.corrupt(Damage::Stray { entry: entry.entry, region: entry.key }));
            };
            entry.replay(region).map_err(|damage| self.corrupt(damage))?;
            *logged.entry(entry.key).or_default() += 1;
        }
        let regions = regions.into_iter().map(|(key, region)| (key, Arc::new(region))).collect();
        Ok(Loaded { regions, logged })
    }

    fn snapshots(&self) -> Result<Vec<(RegionKey, String)>, rusqlite::Error> {
        let mut statement = self.connection.prepare("SELECT account, region, state FROM region")?;
        let rows = statement.query_map([], |row| Ok((key(row)?, row.get("state")?)))?;
        rows.collect()
    }

    fn entries(&self) -> Result<Vec<Entry>, rusqlite::Error> {
        let sql = "SELECT entry, account, region, generation, changes, applied FROM log ORDER BY entry";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(Entry {
                entry: row.get("entry")?,
                key: key(row)?,
                generation: row.get("generation")?,
                changes: row.get("changes")?,
                applied: row.get("applied")?,
            })
        })?;
        rows.collect()
    }

    fn ask<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<T, StoreError> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| self.failed(error))
    }

    fn run(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(|error| self.failed(error))
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), StoreError> {
        self.connection.execute(sql, params).map(|_| ()).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(self.path.clone(), error)
    }

    fn corrupt(&self, damage: Damage) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), damage: Box::new(damage) }
    }
}

impl Lock {
    /// Takes the directory for this daemon. The lock ends with the process, however that ends; its file stays.
    fn take(dir: &Path) -> Result<Lock, StoreError> {
        if let Err(source) = std::fs::read_dir(dir) {
            return Err(StoreError::Directory { path: dir.to_owned(), source: Arc::new(source) });
        }
        let path = dir.join("state.lock");
        let file = create(&path)?;
        let give_up = Instant::now() + FORKED;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => std::thread::sleep(FORKED / 20),
                Err(TryLockError::WouldBlock) => return Err(StoreError::Locked(dir.to_owned())),
                Err(TryLockError::Error(error)) => {
                    return Err(StoreError::NotWritable { path, source: Arc::new(error) });
                }
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would leave it to a child that has not come to its exec yet.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the state directory was not unlocked");
        }
    }
}

impl Entry {
    /// Makes the entry's changes again.
    fn replay(&self, region: &mut Region) -> Result<(), Damage> {
        let entry = self.entry;
        let unreadable = |error| Damage::Entry { entry, source: Arc::new(error) };
        let changes: Vec<Change> = serde_json::from_str(&self.changes).map_err(unreadable)?;
        let then: Vec<Applied> = serde_json::from_str(&self.applied).map_err(unreadable)?;
        let now = changes.into_iter().map(|change| region.apply(change)).collect::<Result<Vec<_>, _>>();
        let now = now.map_err(|fault| Damage::Refused { entry, fault })?;
        // The generation also tells that an entry before this one is missing.
        if now != then || region.generation().cast_signed() != self.generation {
            return Err(Damage::Diverged { entry });
        }
        Ok(())
    }
}

/// Opens a file, made if need be: user data and keys are in it, so it is only its owner's.
fn create(path: &Path) -> Result<File, StoreError> {
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(path.to_owned()),
        _ => StoreError::NotWritable { path: path.to_owned(), source: Arc::new(error) },
    })
}

fn key(row: &rusqlite::Row<'_>) -> Result<RegionKey, rusqlite::Error> {
    Ok(RegionKey { account: AccountId(row.get("account")?), region: RegionName(row.get("region")?) })
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Encode(Arc::new(error)))
}
