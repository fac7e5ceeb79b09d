//! One worker for each conversation that has something to do: order within it, none across.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What waits, by conversation.
#[derive(Debug)]
pub(crate) struct Lanes<W>(Mutex<Waiting<W>>);

#[derive(Debug)]
struct Waiting<W> {
    lanes: HashMap<String, VecDeque<W>>,
    count: usize,
}

impl<W> Default for Lanes<W> {
    fn default() -> Self {
        Self(Mutex::new(Waiting {
            lanes: HashMap::new(),
            count: 0,
        }))
    }
}

impl<W> Lanes<W> {
    fn lock(&self) -> MutexGuard<'_, Waiting<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work. Whether the lane was empty: whoever gets `true` works it until [`Lanes::next`] gives nothing.
    pub(crate) fn push(&self, lane: &str, work: W) -> bool {
        let mut waiting = self.lock();
        waiting.count += 1;
        match waiting.lanes.get_mut(lane) {
            Some(queue) => {
                queue.push_back(work);
                false
            }
            None => {
                waiting
                    .lanes
                    .insert(lane.to_owned(), VecDeque::from([work]));
                true
            }
        }
    }

    /// The next work of a lane. `None` ends the worker: the lane is gone.
    pub(crate) fn next(&self, lane: &str) -> Option<W> {
        let mut waiting = self.lock();
        let work = waiting.lanes.get_mut(lane).and_then(VecDeque::pop_front);
        match work.is_some() {
            true => waiting.count -= 1,
            false => {
                waiting.lanes.remove(lane);
            }
        }
        work
    }

    /// Drops what waits in a lane: it is still on the disk.
    pub(crate) fn abandon(&self, lane: &str) {
        let mut waiting = self.lock();
        if let Some(queue) = waiting.lanes.remove(lane) {
            waiting.count -= queue.len();
        }
    }

    /// How much waits in all lanes.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_has_one_worker_and_keeps_its_order() {
        let lanes = Lanes::default();
        assert!(lanes.push("a", 1));
        assert!(!lanes.push("a", 2));
        assert!(lanes.push("b", 3));
        assert_eq!(lanes.waiting(), 3);
        assert_eq!((lanes.next("a"), lanes.next("a")), (Some(1), Some(2)));
        // The worker still runs its last piece, so nobody else may begin.
        assert!(!lanes.push("a", 4));
        assert_eq!((lanes.next("a"), lanes.next("a")), (Some(4), None));
        assert!(lanes.push("a", 5));
        lanes.abandon("a");
        lanes.abandon("b");
        assert_eq!(lanes.waiting(), 0);
    }
}
