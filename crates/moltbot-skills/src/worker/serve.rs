//! The life of a worker: closed in, then one order after the other until its starter is gone.

use std::io::{self, Read, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::engine::{Engine, Ran};
use super::protocol::{Failure, Order, Said, Trouble, VERSION};
use super::{frame, sandbox};

/// How a worker exits that could not go on.
const BROKEN: i32 = 70;

/// Works until the orders end; gives the exit code.
pub(super) fn run() -> i32 {
    let sandbox = sandbox::close_in();
    let line = Line;
    line.say(&Said::Ready {
        version: VERSION,
        sandbox,
    });
    // Made while nobody waits; thrown away after one call.
    let mut engine = Engine::new();
    loop {
        let order = match frame::read(&mut Input) {
            Ok(Some(order)) => order,
            Ok(None) => return 0,
            Err(_) => return BROKEN,
        };
        let Ok(ready) = engine else { return BROKEN };
        let said = match order {
            Order::Check(program) => Said::Checked(ready.check(program)),
            Order::Run {
                program,
                input,
                bounds,
            } => {
                let Ran { result, cpu } = ready.run(program, &input, bounds, &line);
                Said::Done {
                    result,
                    cpu_us: cpu.as_micros() as u64,
                }
            }
            // It came too late: the call that asked has ended.
            Order::Settle { .. } => {
                engine = Ok(ready);
                continue;
            }
        };
        line.say(&said);
        engine = Engine::new();
    }
}

/// The line to the starter. Where it is cut, the worker ends.
#[derive(Clone, Copy, Default)]
pub(super) struct Line;

impl Line {
    /// Says something.
    pub(super) fn say(&self, said: &Said) {
        match frame::write(&mut Output, said) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let trouble = Trouble::limit("it sent more than 8 MiB at once");
                let done = Said::Done {
                    result: Err(trouble),
                    cpu_us: 0,
                };
                let _ = frame::write(&mut Output, &done);
                std::process::exit(BROKEN);
            }
            Err(_) => std::process::exit(BROKEN),
        }
    }

    /// Waits for something that was asked for, at most `within`; `None` where nothing came.
    pub(super) fn settled(&self, within: Duration) -> Option<(u32, Result<Value, Failure>)> {
        let wait = Timespec {
            tv_sec: within.as_secs() as i64,
            tv_nsec: within.subsec_nanos().into(),
        };
        let input = io::stdin();
        let mut files = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut files, Some(&wait)) {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        match frame::read(&mut Input) {
            Ok(Some(Order::Settle { number, result })) => Some((number, result)),
            Ok(Some(_)) => None,
            // The starter is gone.
            Ok(None) | Err(_) => std::process::exit(0),
        }
    }
}

/// Standard input without a buffer, so that waiting for it tells the truth.
struct Input;

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(io::stdin(), into)?)
    }
}

/// Standard output without a buffer.
struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
