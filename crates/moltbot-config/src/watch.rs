//! Tells when a file changed, whatever way it was changed.
//!
//! Folders are watched for events, so that editors which rename and links which are swapped are seen, and contents
//! are compared every two seconds, because a bind mount sends no events.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Contents are compared this often.
const COMPARE: Duration = Duration::from_secs(2);
/// One change makes several events; this long without one means that it is over.
const QUIET: Duration = Duration::from_millis(150);
/// Events that never end are looked into after this time.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A file that changes is read again after this time, until twice the same was read.
const AGAIN: Duration = Duration::from_millis(50);
/// A file may be away for this long before that counts as a change.
const AWAY: Duration = Duration::from_secs(2);

/// Hears of changed files. Dropping it ends its task.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<()>,
    paths: watch::Sender<BTreeSet<PathBuf>>,
}

impl Watch {
    /// Watches `paths`, which need not exist, on a task of `tracker` until `stop`.
    ///
    /// What they hold now is read before it returns: load after it, and no change is missed.
    pub fn new(
        paths: impl IntoIterator<Item = PathBuf>,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let paths: BTreeSet<_> = paths.into_iter().collect();
        let seen = Seen::first(&paths);
        let (paths, followed) = watch::channel(paths);
        let (tell, changes) = mpsc::channel(1);
        tracker.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = run(followed, tell, seen) => {}
            }
        });
        Self { changes, paths }
    }

    /// Waits for a change; several that came meanwhile are one. False once it was stopped.
    pub async fn changed(&mut self) -> bool {
        self.changes.recv().await.is_some()
    }

    /// Watches these paths from now on. A new one that exists counts as a change, for nobody knows since when it is
    /// as it is.
    pub fn follow(&self, paths: impl IntoIterator<Item = PathBuf>) {
        let paths: BTreeSet<_> = paths.into_iter().collect();
        self.paths.send_if_modified(|followed| {
            let changed = *followed != paths;
            *followed = paths;
            changed
        });
    }
}

/// Runs what waits for the disk beside the async threads.
async fn aside<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(f).await {
        Ok(result) => result,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // the runtime ends and this task with it
            Err(_) => std::future::pending().await,
        },
    }
}

async fn run(
    mut paths: watch::Receiver<BTreeSet<PathBuf>>,
    tell: mpsc::Sender<()>,
    mut seen: Seen,
) {
    let (event, mut events) = mpsc::channel(1);
    let mut followed: BTreeSet<_> = seen.told.keys().cloned().collect();
    let mut watcher = watch_folders(&followed, &event);
    let mut compare = interval(COMPARE);
    compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = compare.tick() => {}
            _ = events.recv() => quiet(&mut events).await,
            changed = paths.changed() => {
                if changed.is_err() {
                    return;
                }
                followed = paths.borrow_and_update().clone();
                watcher = watch_folders(&followed, &event);
            }
        }
        let changed = seen.changed(&followed).await;
        if changed {
            // a link may lead elsewhere now
            watcher = watch_folders(&followed, &event);
        }
        // a full channel means that a change is waiting to be heard already
        if changed && tell.try_send(()).is_err() && tell.is_closed() {
            drop(watcher);
            return;
        }
    }
}

/// Waits until events cease.
async fn quiet(events: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + LONGEST_WAIT;
    while Instant::now() < latest && timeout(QUIET, events.recv()).await.is_ok() {}
}

/// Watches the folders of all paths, and those that links lead to. Without events, contents are still compared.
fn watch_folders(
    paths: &BTreeSet<PathBuf>,
    event: &mpsc::Sender<()>,
) -> Option<RecommendedWatcher> {
    let event = event.clone();
    let mut watcher = notify::recommended_watcher(move |told: notify::Result<notify::Event>| {
        // reading makes events too, and we read
        if told.is_ok_and(|told| !told.kind.is_access()) {
            // a full channel means that an event is waiting already
            let _ = event.try_send(());
        }
    })
    .inspect_err(|error| tracing::warn!(%error, "files are watched by comparing alone"))
    .ok()?;
    let targets = paths.iter().filter_map(|path| fs::canonicalize(path).ok());
    let parents = paths
        .iter()
        .cloned()
        .chain(targets)
        .filter_map(|path| path.parent().map(Path::to_owned));
    let folders: BTreeSet<_> = parents
        .chain(paths.iter().filter(|path| path.is_dir()).cloned())
        .collect();
    for folder in folders {
        // a folder that is not there is no mistake: its files may come
        let _ = watcher.watch(&folder, RecursiveMode::NonRecursive);
    }
    Some(watcher)
}

/// What a file was like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Missing,
    Unreadable,
    /// A hash of content and mode bits; the content of a folder is the names in it.
    Content([u8; 32]),
}

type Looks = BTreeMap<PathBuf, Look>;

/// What was seen of the files when last something was told.
struct Seen {
    told: Looks,
    /// Since when files are away that were there.
    away: BTreeMap<PathBuf, Instant>,
}

impl Seen {
    fn first(paths: &BTreeSet<PathBuf>) -> Self {
        Self {
            told: look(paths),
            away: BTreeMap::new(),
        }
    }

    /// Whether any file is other than what was told; takes the new state as told then.
    async fn changed(&mut self, paths: &BTreeSet<PathBuf>) -> bool {
        let mut now = look_aside(paths).await;
        if !self.differs(&now) {
            return false;
        }
        // a writer may be at work: go on once two looks agree
        let latest = Instant::now() + LONGEST_WAIT;
        while Instant::now() < latest {
            sleep(AGAIN).await;
            let again = look_aside(paths).await;
            if std::mem::replace(&mut now, again) == now {
                break;
            }
        }
        let differs = self.differs(&now);
        if differs {
            self.told = now;
            self.away.clear();
        }
        differs
    }

    /// Compares; a file that has just gone is still as it was.
    fn differs(&mut self, now: &Looks) -> bool {
        let mut differs = false;
        for (path, look) in now {
            let before = self.told.get(path).copied().unwrap_or(Look::Missing);
            if *look == Look::Missing && before != Look::Missing {
                let since = self.away.entry(path.clone()).or_insert_with(Instant::now);
                differs |= since.elapsed() >= AWAY;
            } else {
                self.away.remove(path);
                differs |= *look != before;
            }
        }
        differs
    }
}

async fn look_aside(paths: &BTreeSet<PathBuf>) -> Looks {
    let paths = paths.clone();
    aside(move || look(&paths)).await
}

fn look(paths: &BTreeSet<PathBuf>) -> Looks {
    paths
        .iter()
        .map(|path| (path.clone(), look_at(path)))
        .collect()
}

fn look_at(path: &Path) -> Look {
    let read = fs::metadata(path).and_then(|meta| {
        let content = if meta.is_dir() {
            names_in(path)?
        } else {
            fs::read(path)?
        };
        Ok((meta.permissions().mode(), content))
    });
    match read {
        Ok((mode, content)) => {
            let mut hash = digest::Context::new(&digest::SHA256);
            hash.update(&mode.to_le_bytes());
            hash.update(&content);
            let mut look = [0; 32];
            look.copy_from_slice(hash.finish().as_ref());
            Look::Content(look)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Look::Missing,
        Err(_) => Look::Unreadable,
    }
}

/// The names in a folder, in order. Those that begin with a dot are of editors and of files half written.
fn names_in(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(path)? {
        names.insert(entry?.file_name().into_encoded_bytes());
    }
    names.retain(|name| !name.starts_with(b"."));
    Ok(names.into_iter().collect::<Vec<_>>().join(&0))
}

#[cfg(test)]
mod tests;
