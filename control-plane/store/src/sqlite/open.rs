//! Opening a file: owning it, making sure it is what it should be, and reading it into memory.
//!
//! Nothing is changed in a file that is not ours, damaged or newer; the error names the file and the way out.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::check::{self, BackgroundCheck, Checked, Damage};
use super::checkpoint::Checkpoints;
use super::create::{APPLICATION_ID, SCHEMA, create};
use super::database::{Database, Meta, primary_code};
use super::in_place;
use super::load::{Loaded, load};
use super::reserve::Reserve;
use crate::config::StoreConfig;
use crate::contract::Codec;
use crate::counters::Counters;
use crate::error::OpenError;
use crate::key::Revision;
use crate::memory::{HistoryLimits, Memory};
use crate::writer::{Command, LazyWrites, LogTrim, Writer};

/// The writer, ready to run, and the way to reach it.
pub(super) struct Opened<C: Codec> {
    pub(super) writer: Writer<C>,
    pub(super) commands: mpsc::Sender<Command<C::Object>>,
}

pub(super) async fn open<C: Codec>(config: StoreConfig, codec: C) -> Result<Opened<C>, OpenError> {
    let path = config.path.clone();
    let owner = own(&path)?;
    if !inspect(&path)? {
        create(&path).await?;
    }
    Reserve::lend(&path);
    // The owner file is always empty, so it tells whether the file system knows how.
    if in_place::set(&owner, &beside(&path, "-owner")) {
        in_place::make_log(&path, config.checkpoint_bytes);
    }
    let mut connection = connect(&path, &config).await?;
    let (meta, checked, loaded) = match read(&mut connection, &config, &codec).await {
        Ok(read) => read,
        Err(error) => {
            if matches!(
                error,
                OpenError::Corrupt { .. } | OpenError::NewerSchema { .. }
            ) {
                // SQLite writes the log into the database when its last connection closes. A file that is refused
                // stays as it is, so this connection is never closed: it goes with the process.
                std::mem::forget(connection);
            }
            return Err(error);
        }
    };
    let second = connect(&path, &config).await?;
    let counters = Arc::new(Counters::new());
    let checkpoints = Checkpoints::new(second, config.checkpoint_bytes, Arc::clone(&counters));
    let damage = Damage::default();
    let check = (checked == Checked::Unfinished)
        .then(|| BackgroundCheck::start(path.clone(), Arc::clone(&damage)));
    let database = Database::new(path, connection, checkpoints, owner).await?;
    let (commands, receiver) = mpsc::channel(config.queue.max(1));
    let mut writer = assemble(config, codec, meta, loaded, database, receiver);
    writer.counters = counters;
    writer.damage = damage;
    writer.check = check;
    Ok(Opened { writer, commands })
}

fn assemble<C: Codec>(
    config: StoreConfig,
    codec: C,
    meta: Meta,
    loaded: Loaded<C::Object>,
    database: Database,
    commands: mpsc::Receiver<Command<C::Object>>,
) -> Writer<C> {
    let limits = limits(&config);
    let now = Instant::now();
    let mut trim = LogTrim::new(
        limits,
        loaded.log_start,
        loaded.compacted.min(loaded.log_end),
    );
    trim.wrote(loaded.revision, loaded.log_bytes, now);
    let expiry = (loaded.log_bytes > 0).then(|| now + config.history_window);
    let memory = Memory::new(loaded.revision, loaded.compacted, loaded.buckets, limits);
    Writer {
        codec,
        memory: Arc::new(memory),
        database,
        commands,
        health: Arc::default(),
        meta: Meta {
            compacted: loaded.compacted,
            ..meta
        },
        unreadable: loaded.unreadable,
        trim,
        lazy: LazyWrites::default(),
        expiry,
        vacuum: false,
        sought: None,
        last_sync: Duration::ZERO,
        hold: None,
        config,
        counters: Arc::new(Counters::new()),
        damage: Damage::default(),
        check: None,
    }
}

fn limits(config: &StoreConfig) -> HistoryLimits {
    HistoryLimits {
        window: config.history_window,
        bytes: config.history_bytes,
    }
}

/// Takes the lock that makes this process the only one. A lock on the file itself would be lost whenever any other
/// handle to it is closed, so it sits on a file beside it.
fn own(path: &Path) -> Result<File, OpenError> {
    let lock = beside(path, "-owner");
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&lock);
    let file = file.map_err(|source| io_error(&lock, "opening", source))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked {
            path: path.to_path_buf(),
        }),
        Err(errno) => Err(io_error(&lock, "locking", errno.into())),
    }
}

/// Looks at the file before SQLite does. Answers whether there is one.
pub(super) fn inspect(path: &Path) -> Result<bool, OpenError> {
    let corrupt = |detail: String| OpenError::Corrupt {
        path: path.to_path_buf(),
        detail,
    };
    let wal = fs::metadata(beside(path, "-wal")).map_or(0, |metadata| metadata.len());
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound && wal == 0 => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(corrupt("it is missing, but its -wal file is there".into()));
        }
        Err(error) => return Err(io_error(path, "opening", error)),
    };
    let length = file
        .metadata()
        .map_err(|source| io_error(path, "reading", source))?
        .len();
    let mut header = [0; 100];
    if length < header.len() as u64 {
        return Err(corrupt(format!("it has only {length} bytes")));
    }
    file.read_exact(&mut header)
        .map_err(|source| io_error(path, "reading", source))?;
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::NotADatabase {
            path: path.to_path_buf(),
        });
    }
    let expected = header_length(&header);
    // With a log to replay the file may rightly be shorter than its header says.
    if wal == 0 && length < expected {
        return Err(corrupt(format!(
            "it was cut off at {length} of {expected} bytes"
        )));
    }
    Ok(true)
}

/// The length of the file according to its header.
fn header_length(header: &[u8; 100]) -> u64 {
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65536,
        size => u64::from(size),
    };
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    page_size * u64::from(pages)
}

/// Opens a connection to an existing file.
pub(super) async fn connect(
    path: &Path,
    config: &StoreConfig,
) -> Result<SqliteConnection, OpenError> {
    let log_limit = config.checkpoint_bytes.saturating_mul(4).to_string();
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", log_limit)
        // A full disk must not get in the way of sorting a few numbers.
        .pragma("temp_store", "MEMORY")
        .row_buffer_size(256);
    let connection = options.disable_statement_logging().connect().await;
    connection.map_err(|source| sqlite_error(path, "the opening", source))
}

/// Makes sure the file is ours and of a schema we know.
///
/// `schema` is SQLite's name for the file in this connection.
pub(super) async fn identify(
    connection: &mut SqliteConnection,
    schema: &'static str,
    path: &Path,
) -> Result<Meta, OpenError> {
    let failed = |source| sqlite_error(path, "the reading", source);
    let query = |text: String| sqlx::query(AssertSqlSafe(text));
    let application: i64 = query(format!("PRAGMA {schema}.application_id"))
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    if application != APPLICATION_ID {
        return Err(OpenError::NotADatabase {
            path: path.to_path_buf(),
        });
    }
    let rows = query(format!("SELECT * FROM {schema}.meta"))
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let [row] = rows.as_slice() else {
        let detail = format!("its meta table has {} rows", rows.len());
        return Err(OpenError::Corrupt {
            path: path.to_path_buf(),
            detail,
        });
    };
    let number = |column: &str| row.try_get::<i64, _>(column).map_err(failed);
    let found = number("schema")?;
    if found > SCHEMA {
        let path = path.to_path_buf();
        return Err(OpenError::NewerSchema {
            path,
            found,
            supported: SCHEMA,
        });
    }
    let revision = |column: &str| number(column).map(|number| Revision(number.max(0) as u64));
    Ok(Meta {
        ceiling: revision("ceiling")?,
        revision: revision("revision")?,
        compacted: revision("compacted")?,
        clean: number("clean")? != 0,
    })
}

/// What is in the file, once that is known to be ours and, as far as can be told, sound.
async fn read<C: Codec>(
    connection: &mut SqliteConnection,
    config: &StoreConfig,
    codec: &C,
) -> Result<(Meta, Checked, Loaded<C::Object>), OpenError> {
    let (meta, checked) = examine(connection, &config.path, config.check_time).await?;
    let loaded = load(connection, &config.path, codec, &meta, limits(config)).await?;
    Ok((meta, checked, loaded))
}

/// Whether the file is ours and, as far as can be told within `time`, sound.
async fn examine(
    connection: &mut SqliteConnection,
    path: &Path,
    time: Duration,
) -> Result<(Meta, Checked), OpenError> {
    let meta = identify(connection, "main", path).await?;
    if meta.clean {
        return Ok((meta, Checked::Sound));
    }
    tracing::info!(path = %path.display(), "checking the database after an unclean stop");
    let checked = check::within(time, connection, path).await?;
    Ok((meta, checked))
}

/// `path` with something appended to its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(path, "removing", error)),
        _ => Ok(()),
    }
}

pub(super) fn io_error(path: &Path, step: &'static str, source: std::io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_path_buf(),
        step,
        source,
    }
}

/// Damage shows as an error of whatever happened to touch it.
pub(super) fn sqlite_error(path: &Path, step: &'static str, source: sqlx::Error) -> OpenError {
    let path = path.to_path_buf();
    match primary_code(&source) {
        Some(26) => OpenError::NotADatabase { path },
        Some(11) => OpenError::Corrupt {
            path,
            detail: source.to_string(),
        },
        Some(5 | 6) => OpenError::Locked { path },
        _ => OpenError::Sqlite { path, step, source },
    }
}

/// Buckets by name, as [`Memory`] takes them.
pub(super) type Buckets<O> = HashMap<Arc<str>, crate::memory::Bucket<O>>;
