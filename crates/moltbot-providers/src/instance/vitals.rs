//! Whether the processes of a server work: a server that burns time without answering is busy, one that
//! does neither hangs.

use std::ffi::OsStr;
use std::fs;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::task::TaskTracker;

/// How long they are looked at.
const LOOK: Duration = Duration::from_millis(300);
/// Processor time in that span that counts as work, in ticks of 10 ms; an idle event loop uses less.
const WORK: u64 = 2;

/// Whether the process group used processor time while it was looked at. `false` where the system does
/// not tell (it needs `/proc`).
pub(super) async fn works(group: u32, tracker: &TaskTracker) -> bool {
    let used = || async {
        let looked = tracker.spawn_blocking(move || used(group)).await;
        looked.unwrap_or_default()
    };
    let before = used().await;
    sleep(LOOK).await;
    used().await.saturating_sub(before) >= WORK
}

/// The processor time that all processes of the group used, in ticks.
fn used(group: u32) -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else {
        return 0;
    };
    processes
        .flatten()
        .filter(|entry| is_number(&entry.file_name()))
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
        .filter_map(|stat| ticks(&stat, group))
        .sum()
}

fn is_number(name: &OsStr) -> bool {
    name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
}

/// User and system time of a process, where it belongs to the group.
fn ticks(stat: &str, group: u32) -> Option<u64> {
    // The name, in brackets, may hold blanks and brackets itself.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    if fields.get(2)?.parse() != Ok(group) {
        return None;
    }
    let time = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(time(11)? + time(12)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_brackets() {
        let stat = "4242 (a) (b c) R 1 4240 7 0 -1 4194304 1 2 3 4 150 25 0 0 20 0 1 0 9";
        assert_eq!(ticks(stat, 4240), Some(175));
        assert_eq!(ticks(stat, 4242), None);
        assert_eq!(ticks("", 1), None);
    }
}
