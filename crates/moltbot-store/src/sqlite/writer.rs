//! The one task that writes: changes that wait together share a transaction and its sync to the disk.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::explain::{explain, is_of_change};
use crate::error::{Result, StoreError};

/// Changes that may wait; a further one waits for room.
const QUEUE: usize = 1024;
/// Most changes of one transaction.
const BATCH: usize = 256;

/// The way to the task that writes.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    closed: CancellationToken,
}

/// The other end of a [`Writer`], to be run as a task.
pub(super) struct Jobs {
    jobs: mpsc::Receiver<Box<dyn Job>>,
    closed: CancellationToken,
}

pub(super) fn channel() -> (Writer, Jobs) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let closed = CancellationToken::new();
    let writer = Writer {
        jobs: sender,
        closed: closed.clone(),
    };
    let jobs = Jobs {
        jobs: receiver,
        closed,
    };
    (writer, jobs)
}

impl Writer {
    /// Makes a change; it is on the disk when this returns, and not made at all when it fails.
    pub(super) async fn write<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<T>>
            + Send
            + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Change {
            change: Some(change),
            made: None,
            answer,
        };
        let sent = self.jobs.send(Box::new(job)).await;
        sent.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes no further change; those that wait are made.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

impl Jobs {
    /// Writes until the [`Writer`] is closed or gone. Once the file is found damaged nothing is written.
    pub(super) async fn run(mut self, mut connection: SqliteConnection, file: Arc<Path>) {
        let mut batch: Vec<Box<dyn Job>> = Vec::with_capacity(BATCH);
        let mut damaged = None;
        while self.next(&mut batch).await {
            let written = match &damaged {
                Some(error) => Err(StoreError::clone(error)),
                None => write(&mut connection, &mut batch)
                    .await
                    .map_err(|error| explain(&file, &error)),
            };
            if let (None, Err(error @ StoreError::Corrupt { .. })) = (&damaged, &written) {
                error!(%error, "nothing is stored any more");
                damaged = Some(error.clone());
            }
            for job in batch.drain(..) {
                job.finish(&written, &file);
            }
        }
        // Leaves one file behind, without its write-ahead log.
        if damaged.is_none()
            && let Err(error) = connection.close().await
        {
            error!(error = %explain(&file, &error), "the store did not close well");
        }
    }
}

impl Jobs {
    /// Takes what waits, at least one; `false` when there will be none.
    async fn next(&mut self, batch: &mut Vec<Box<dyn Job>>) -> bool {
        tokio::select! {
            biased;
            () = self.closed.cancelled(), if !self.jobs.is_closed() => {
                self.jobs.close();
                self.jobs.recv_many(batch, BATCH).await > 0
            }
            taken = self.jobs.recv_many(batch, BATCH) => taken > 0,
        }
    }
}

/// One transaction. A change that fails by its own fault is undone alone; the file's trouble undoes all.
async fn write(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> sqlx::Result<()> {
    // Plain statements: the driver's own transactions lose count where SQLite undoes one by itself, on a full disk.
    run(connection, "BEGIN IMMEDIATE").await?;
    let mut written = make(connection, batch).await;
    if written.is_ok() {
        written = run(connection, "COMMIT").await;
    }
    if written.is_err() {
        // Fails where it is undone already.
        let _ = run(connection, "ROLLBACK").await;
    }
    written
}

async fn make(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> sqlx::Result<()> {
    for job in batch {
        run(connection, "SAVEPOINT one").await?;
        if !job.make(connection).await? {
            run(connection, "ROLLBACK TO one").await?;
        }
        run(connection, "RELEASE one").await?;
    }
    Ok(())
}

async fn run(connection: &mut SqliteConnection, statement: &'static str) -> sqlx::Result<()> {
    sqlx::query(statement).execute(connection).await.map(|_| ())
}

#[async_trait]
trait Job: Send {
    /// Makes the change; `false` where it fails by its own fault.
    async fn make(&mut self, connection: &mut SqliteConnection) -> sqlx::Result<bool>;
    /// Tells whoever asked what came of it.
    fn finish(self: Box<Self>, written: &Result<()>, file: &Path);
}

struct Change<F, T> {
    change: Option<F>,
    made: Option<sqlx::Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

#[async_trait]
impl<F, T> Job for Change<F, T>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send,
{
    async fn make(&mut self, connection: &mut SqliteConnection) -> sqlx::Result<bool> {
        let Some(change) = self.change.take() else {
            return Ok(true);
        };
        let made = change(connection).await;
        if let Err(error) = &made
            && !is_of_change(error)
        {
            return made.map(|_| true);
        }
        Ok(self.made.insert(made).is_ok())
    }

    fn finish(self: Box<Self>, written: &Result<()>, file: &Path) {
        let result = match (self.made, written) {
            (Some(Err(error)), _) => Err(explain(file, &error)),
            (_, Err(error)) => Err(error.clone()),
            (Some(Ok(made)), Ok(())) => Ok(made),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        // Whoever asked may have left; the change is made all the same.
        let _ = self.answer.send(result);
    }
}
