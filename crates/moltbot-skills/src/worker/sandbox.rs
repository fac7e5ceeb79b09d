//! The walls around a worker. It puts them up itself, before it reads a line of script, and they never come down.

use std::collections::BTreeMap;
use std::convert::TryInto;
use std::fmt;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, nice, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde::{Deserialize, Serialize};

/// Address space of a worker: twice the most that a manifest may ask for, and room for the program.
const ADDRESS_SPACE: u64 = 2 << 30;
/// Processor time of a worker over all its calls, in seconds: a call that its own watch can't end ends here.
pub(super) const CPU_SECONDS: u64 = 60;
/// Workers step behind the calls of the API.
const NICENESS: i32 = 5;

/// Which walls stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The kernel refuses every system call that is not on a short list.
    pub seccomp: bool,
    /// No program that is started could gain rights.
    pub no_new_privs: bool,
    /// Files, ports and other processes are out of reach.
    pub landlock: Landlock,
    /// Address space, processes, files and processor time have limits.
    pub limits: bool,
}

/// How far Landlock holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Landlock {
    /// Wholly.
    Full,
    /// The kernel knows a part of it; seccomp closes the rest.
    Partial,
    /// The kernel has none.
    #[default]
    None,
}

impl Sandbox {
    /// What the kernel lacks, in words; empty where every wall stands.
    pub fn lacks(&self) -> Vec<&'static str> {
        let parts = [
            (self.seccomp, "seccomp"),
            (self.no_new_privs, "no_new_privs"),
            (self.landlock != Landlock::None, "Landlock"),
            (self.landlock != Landlock::Partial, "a part of Landlock"),
            (self.limits, "resource limits"),
        ];
        let lacks = parts.iter().filter(|(stands, _)| !stands);
        lacks.map(|(_, what)| *what).collect()
    }

    /// Whether scripts of strangers may run in it: nothing but a newer part of Landlock is missing.
    pub fn holds(&self) -> bool {
        self.seccomp && self.no_new_privs && self.limits && self.landlock != Landlock::None
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lacks() {
            lacks if lacks.is_empty() => f.write_str("every wall stands"),
            lacks => write!(f, "the kernel lacks {}", lacks.join(", ")),
        }
    }
}

/// Closes this process in, as workers do before they read a line of script; it can't be undone. What can't be
/// had is told; the starter decides whether that is enough.
pub fn close_in() -> Sandbox {
    let _ = nice(NICENESS);
    // Where memory runs out, the kernel ends a worker first.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Sandbox {
        no_new_privs: rustix::thread::set_no_new_privs(true).is_ok(),
        // Before the limits: a ruleset is a file while it is made.
        landlock: landlock(),
        limits: limits(),
        // The last one: the others need calls that it refuses.
        seccomp: filter().is_some_and(|filter| seccompiler::apply_filter(&filter).is_ok()),
    }
}

fn limits() -> bool {
    let most = |resource, most| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).is_ok()
    };
    [
        most(Resource::As, ADDRESS_SPACE),
        most(Resource::Cpu, CPU_SECONDS),
        most(Resource::Core, 0),
        most(Resource::Fsize, 0),
        most(Resource::Nproc, 0),
        // Those that are open stay open: standard input, output and error.
        most(Resource::Nofile, 3),
    ]
    .into_iter()
    .all(|set| set)
}

/// Nothing is allowed to anybody: a ruleset without rules.
fn landlock() -> Landlock {
    const KNOWN: ABI = ABI::V6;
    let restrict = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KNOWN))?
            .handle_access(AccessNet::from_all(KNOWN))?
            .scope(Scope::from_all(KNOWN))?
            .create()?
            .no_new_privs(true)
            .restrict_self()
    };
    match restrict().map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => Landlock::Full,
        Ok(RulesetStatus::PartiallyEnforced) => Landlock::Partial,
        _ => Landlock::None,
    }
}

/// The system calls that an engine needs; all others fail with `EPERM`.
fn filter() -> Option<BpfProgram> {
    let mut rules = BTreeMap::new();
    // Whatever file was open when the worker began is as good as closed but for these.
    rules.insert(libc::SYS_read, vec![argument(0, 0)?]);
    rules.insert(libc::SYS_write, vec![argument(0, 1)?, argument(0, 2)?]);
    rules.insert(libc::SYS_writev, vec![argument(0, 1)?, argument(0, 2)?]);
    // Memory never becomes code.
    rules.insert(libc::SYS_mmap, vec![not_executable(2)?]);
    rules.insert(libc::SYS_mprotect, vec![not_executable(2)?]);
    for call in ALLOWED {
        rules.insert(*call, Vec::new());
    }
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into().ok()?,
    );
    filter.ok()?.try_into().ok()
}

/// Time, memory and the end; nothing that reaches outside.
const ALLOWED: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

fn argument(index: u8, value: u64) -> Option<SeccompRule> {
    let equal = SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    SeccompRule::new(vec![equal.ok()?]).ok()
}

fn not_executable(index: u8) -> Option<SeccompRule> {
    let executable = libc::PROT_EXEC as u64;
    let without = SeccompCondition::new(
        index,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(executable),
        0,
    );
    SeccompRule::new(vec![without.ok()?]).ok()
}

#[cfg(test)]
mod tests;
