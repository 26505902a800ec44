//! The check of a file after an unclean stop. What does not fit into the time a start may take goes on beside the
//! running store, on a connection of its own; damage found then ends all writing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::task::JoinHandle;

use super::database::primary_code;
use super::open::sqlite_error;
use crate::error::{OpenError, StoreError};

/// SQLite looks at the clock after so many steps.
const STEPS: i32 = 10_000;

/// SQLite's code for a statement that was stopped on request.
const INTERRUPTED: i32 = 9;

/// Damage that was found while the store runs; set at most once.
pub(crate) type Damage = Arc<OnceLock<StoreError>>;

/// How far a check came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Checked {
    Sound,
    /// The time was up.
    Unfinished,
}

/// Checks the file for at most `budget`.
pub(super) async fn within(
    budget: Duration,
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Checked, OpenError> {
    if budget.is_zero() {
        return Ok(Checked::Unfinished);
    }
    let start = Instant::now();
    let checked = run("PRAGMA quick_check(1)", connection, path, move || {
        start.elapsed() < budget
    });
    checked.await
}

/// Checks everything, however long it takes: the structure, and that every page is where it belongs.
pub(super) async fn whole(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    run("PRAGMA integrity_check(1)", connection, path, || true)
        .await
        .map(drop)
}

async fn run(
    pragma: &'static str,
    connection: &mut SqliteConnection,
    path: &Path,
    go_on: impl FnMut() -> bool + Send + 'static,
) -> Result<Checked, OpenError> {
    let failed = |source| sqlite_error(path, "the check", source);
    connection
        .lock_handle()
        .await
        .map_err(failed)?
        .set_progress_handler(STEPS, go_on);
    let found = sqlx::query(pragma)
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get::<String, _>(0));
    connection
        .lock_handle()
        .await
        .map_err(failed)?
        .remove_progress_handler();
    match found {
        Ok(detail) if detail == "ok" => Ok(Checked::Sound),
        Ok(detail) => Err(OpenError::Corrupt {
            path: path.to_path_buf(),
            detail,
        }),
        Err(error) if primary_code(&error) == Some(INTERRUPTED) => Ok(Checked::Unfinished),
        Err(error) => Err(failed(error)),
    }
}

/// A check that goes on while the store runs.
pub(crate) struct BackgroundCheck {
    stop: Arc<AtomicBool>,
    task: JoinHandle<bool>,
}

impl BackgroundCheck {
    /// Starts over on a connection of its own.
    pub(super) fn start(path: PathBuf, damage: Damage) -> BackgroundCheck {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            match background(&path, stopped).await {
                Ok(Checked::Sound) => {
                    tracing::info!(path = %path.display(), "the database is sound");
                    return true;
                }
                Ok(Checked::Unfinished) => {}
                Err(OpenError::Corrupt { path, detail }) => {
                    let error = StoreError::Corrupt { path, detail };
                    tracing::error!(%error, "no more writes are accepted");
                    // Set once: this task is the only one that does.
                    let _ = damage.set(error);
                }
                Err(error) => tracing::warn!(%error, "the database could not be checked"),
            }
            false
        });
        BackgroundCheck { stop, task }
    }

    /// Ends it, and tells whether everything was looked at and sound. If not, the next start looks again.
    pub(crate) async fn end(self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "the check did not end well");
            false
        })
    }
}

async fn background(path: &Path, stop: Arc<AtomicBool>) -> Result<Checked, OpenError> {
    let failed = |source| sqlite_error(path, "the check", source);
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed)?;
    let checked = run("PRAGMA quick_check(1)", &mut connection, path, move || {
        !stop.load(Ordering::Relaxed)
    })
    .await;
    connection.close().await.map_err(failed)?;
    checked
}
