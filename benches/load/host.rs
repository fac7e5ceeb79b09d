//! The machine: its cores, and what a process took of them.

use std::collections::HashMap;
use std::time::Duration;
use std::{fs, io};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The core of the generator and the upstream, and the core of the server under test.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) load: usize,
    pub(crate) server: usize,
}

impl Cores {
    /// The first two cores that this process may use; the same one twice where there is only one.
    pub(crate) fn pick() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let load = cores.next().unwrap_or(0);
        Ok(Self {
            load,
            server: cores.next().unwrap_or(load),
        })
    }
}

/// Binds the calling thread, and the processes and threads that it starts from now on, to one core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// Processor time of each thread of a process at one moment, in nanoseconds.
pub(crate) struct CpuTime(HashMap<String, u64>);

impl CpuTime {
    /// Reads the threads of `pid`. Exact while they sleep; a running thread may lag by one scheduler tick.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut threads = HashMap::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            // A thread that has ended since the listing is left out.
            if let Ok(line) = fs::read_to_string(thread.path().join("schedstat")) {
                let spent = line
                    .split(' ')
                    .next()
                    .and_then(|field| field.parse().ok())
                    .unwrap_or(0);
                threads.insert(thread.file_name().to_string_lossy().into_owned(), spent);
            }
        }
        Ok(Self(threads))
    }

    /// What the threads that are alive now have spent since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let spent = self
            .0
            .iter()
            .map(|(thread, now)| now - earlier.0.get(thread).copied().unwrap_or(0).min(*now));
        Duration::from_nanos(spent.sum())
    }
}

/// Memory of a process that is resident: now, and at its highest so far, in MiB.
pub(crate) struct Resident {
    pub(crate) now: f64,
    pub(crate) peak: f64,
}

impl Resident {
    /// Reads the status of `pid`.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
            Some(kib / 1024.0)
        };
        match (field("VmRSS:"), field("VmHWM:")) {
            (Some(now), Some(peak)) => Ok(Self { now, peak }),
            _ => Err(io::Error::other(format!(
                "/proc/{pid}/status shows no resident memory"
            ))),
        }
    }
}

/// One line on the machine: processor, cores, kernel.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    format!(
        "{model}, {cores} cores, Linux {}, load average at the start {load}",
        kernel.trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ended_takes_nothing_away() {
        let at = |threads: &[(&str, u64)]| {
            CpuTime(
                threads
                    .iter()
                    .map(|(id, ns)| (id.to_string(), *ns))
                    .collect(),
            )
        };
        let before = at(&[("1", 1000), ("2", 9000)]);
        let after = at(&[("1", 1500), ("3", 200)]);
        assert_eq!(after.since(&before), Duration::from_nanos(700));
    }

    #[test]
    fn this_process_is_resident_and_has_used_its_core() {
        let pid = std::process::id();
        let memory = Resident::of(pid).expect("status of this process");
        assert!(memory.now > 0.1 && memory.peak >= memory.now - 1.0);
        assert!(
            !CpuTime::of(pid)
                .expect("threads of this process")
                .0
                .is_empty()
        );
    }
}
