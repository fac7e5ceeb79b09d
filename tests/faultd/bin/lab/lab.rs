//! The laboratory: what is run, how much of it, and from which seed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use moltbot_faultd::{Mix, Rhythm, Server, Settings};

/// Why the laboratory itself could not go on.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Quick,
    Usual,
    Long,
}

/// What every scenario stands on.
pub(crate) struct Lab {
    pub(crate) moltbotd: PathBuf,
    pub(crate) seed: u64,
    pub(crate) size: Size,
    nonces: AtomicU64,
}

impl Lab {
    pub(crate) fn new(moltbotd: PathBuf, seed: u64, size: Size) -> Self {
        Self {
            moltbotd,
            seed,
            size,
            nonces: AtomicU64::new(0),
        }
    }

    /// The one of three that suits the size of this run.
    pub(crate) fn pick<T>(&self, quick: T, usual: T, long: T) -> T {
        match self.size {
            Size::Quick => quick,
            Size::Usual => usual,
            Size::Long => long,
        }
    }

    /// A nonce that no other request of this run has.
    pub(crate) fn nonce(&self) -> String {
        format!("n{}", self.nonces.fetch_add(1, Ordering::Relaxed))
    }

    /// An upstream that fails by this run's seed.
    pub(crate) async fn upstream(
        &self,
        name: &str,
        mix: Mix,
        rhythm: Option<Rhythm>,
    ) -> Result<Server, Failure> {
        let settings = Settings {
            seed: self.seed,
            mix,
            rhythm,
            ..Settings::named(name)
        };
        Ok(Server::start(settings).await?)
    }

    /// Upstreams without faults.
    pub(crate) async fn good<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<Vec<Server>, Failure> {
        let mut servers = Vec::new();
        for name in names {
            servers.push(self.upstream(name, Mix::none(), None).await?);
        }
        Ok(servers)
    }
}

/// Numbers that a seed decides (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0 to below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end.max(1)
    }
}
