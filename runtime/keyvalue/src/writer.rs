//! The one task that writes. What has queued up goes to the disk together: one transaction, one sync.
//!
//! A transaction that fails is tried again piece by piece, so that what is wrong with one call is no concern of the
//! others.

mod apply;
mod usage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use crate::error::KeyValueError;
use crate::limits::Limits;
use crate::store::{BucketName, Namespace};
use usage::Usages;

/// Calls in one transaction.
const BATCH: usize = 256;

/// Rows of a deleted namespace that are removed between two transactions of the living.
const SLICE: i64 = 500;

/// A bucket in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) namespace: i64,
    pub(crate) bucket: i64,
}

/// What is to be written.
#[derive(Debug)]
pub(crate) enum Work {
    Open(BucketName),
    /// A namespace and all its buckets.
    Remove(Namespace),
    Set(Place, BTreeMap<String, Vec<u8>>),
    Delete(Place, BTreeSet<String>),
    Increment(Place, String, i64),
    Swap {
        place: Place,
        key: String,
        expected: Option<i64>,
        value: Vec<u8>,
    },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Answer {
    Opened(Place),
    Done,
    Number(i64),
    Swapped(bool),
}

pub(crate) struct Command {
    pub(crate) work: Work,
    pub(crate) reply: oneshot::Sender<Result<Answer, KeyValueError>>,
}

/// A call is refused and the transaction goes on, or the file failed and nothing of it happened.
enum Failed {
    Refused(KeyValueError),
    Storage(sqlx::Error),
}

impl From<KeyValueError> for Failed {
    fn from(error: KeyValueError) -> Failed {
        Failed::Refused(error)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Failed {
        Failed::Storage(error)
    }
}

pub(crate) struct Writer {
    connection: SqliteConnection,
    limits: Limits,
    /// The last version given out. Never goes back, even if its transaction did.
    version: i64,
    usages: Usages,
    /// Namespaces that are gone and whose rows are not, yet.
    dead: VecDeque<i64>,
    /// Those the transaction under way marks dead: they are if it holds.
    dying: Vec<i64>,
    commands: mpsc::Receiver<Command>,
}

impl Writer {
    pub(crate) fn new(
        connection: SqliteConnection,
        version: i64,
        limits: Limits,
        commands: mpsc::Receiver<Command>,
    ) -> Writer {
        Writer {
            connection,
            limits,
            version,
            usages: Usages::default(),
            dead: VecDeque::new(),
            dying: Vec::new(),
            commands,
        }
    }

    /// Runs until the last handle is gone.
    pub(crate) async fn run(mut self) {
        match apply::dead(&mut self.connection).await {
            Ok(dead) => self.dead = dead.into(),
            Err(error) => tracing::warn!(%error, "what deleted namespaces left is not known"),
        }
        loop {
            let mut batch = Vec::new();
            if self.dead.is_empty() {
                if self.commands.recv_many(&mut batch, BATCH).await == 0 {
                    break;
                }
            } else {
                while batch.len() < BATCH
                    && let Ok(command) = self.commands.try_recv()
                {
                    batch.push(command);
                }
                if self.commands.is_closed() && batch.is_empty() {
                    break;
                }
            }
            self.write(batch).await;
            self.remove_slice().await;
        }
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the key-value file was not closed");
        }
    }

    async fn write(&mut self, batch: Vec<Command>) {
        if batch.is_empty() {
            return;
        }
        let (work, replies): (Vec<Work>, Vec<_>) = batch
            .into_iter()
            .map(|command| (command.work, command.reply))
            .unzip();
        let answers = match self.commit(&work).await {
            Ok(answers) => answers,
            Err(_) if work.len() > 1 => self.one_by_one(&work).await,
            Err(error) => vec![Err(error.into())],
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Whoever asked may have given up.
            let _unheard = reply.send(answer);
        }
    }

    async fn one_by_one(&mut self, work: &[Work]) -> Vec<Result<Answer, KeyValueError>> {
        let mut answers = Vec::with_capacity(work.len());
        for work in work {
            let answer = self.commit(std::slice::from_ref(work)).await;
            let answer = answer.map_err(KeyValueError::from);
            answers.push(answer.and_then(|mut answers| {
                let only = answers.pop();
                only.unwrap_or(Err(KeyValueError::Closed))
            }));
        }
        answers
    }

    /// One transaction. What is refused in it is not in it; an error means that nothing of it happened.
    async fn commit(
        &mut self,
        work: &[Work],
    ) -> Result<Vec<Result<Answer, KeyValueError>>, sqlx::Error> {
        let done = self.transaction(work).await;
        if let Err(error) = &done {
            tracing::warn!(%error, "a write of key-value pairs failed");
            // What was counted did not happen.
            self.usages = Usages::default();
            self.dying.clear();
            if let Err(error) = sqlx::raw_sql("ROLLBACK")
                .execute(&mut self.connection)
                .await
            {
                // Usual after errors that end a transaction by themselves, such as a full disk.
                tracing::debug!(%error, "nothing to roll back");
            }
        }
        done
    }

    async fn transaction(
        &mut self,
        work: &[Work],
    ) -> Result<Vec<Result<Answer, KeyValueError>>, sqlx::Error> {
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut self.connection)
            .await?;
        let mut answers = Vec::with_capacity(work.len());
        for work in work {
            answers.push(match self.apply(work).await {
                Ok(answer) => Ok(answer),
                Err(Failed::Refused(error)) => Err(error),
                Err(Failed::Storage(error)) => return Err(error),
            });
        }
        self.usages.save(&mut self.connection).await?;
        sqlx::query("UPDATE meta SET version = $1 WHERE version < $1")
            .bind(self.version)
            .execute(&mut self.connection)
            .await?;
        sqlx::raw_sql("COMMIT")
            .execute(&mut self.connection)
            .await?;
        self.dead.extend(self.dying.drain(..));
        Ok(answers)
    }

    /// Removes a little of what a deleted namespace left.
    async fn remove_slice(&mut self) {
        let Some(&namespace) = self.dead.front() else {
            return;
        };
        match apply::remove_slice(&mut self.connection, namespace, SLICE).await {
            Ok(true) => {
                self.dead.pop_front();
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "what a deleted namespace left is not removed");
                // The next start of the process tries again.
                self.dead.pop_front();
            }
        }
    }
}
