//! The filters that exist, built once, and the chains that are made of them.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, ready};
use moltbot_types::CallError;
use moltbot_types::filter::{Direction, Filter, Hit, Screen, Screened};

use crate::detect::Detector;
use crate::error::FilterError;
use crate::gate::{Gate, blocked};
use crate::pii::Pii;
use crate::safety::Safety;
use crate::scan::{Part, Scan, Stream};
use crate::secrets::Secrets;
use crate::settings::{Name, Settings, Watch};
use crate::words::Words;

/// Filters by name, ready to look.
#[derive(Clone)]
pub struct Engine {
    parts: Vec<(Name, Part)>,
    safety: Option<Arc<Safety>>,
    watch: Option<Arc<dyn Watch>>,
}

impl Engine {
    /// Builds what `settings` name.
    ///
    /// # Errors
    /// Words that are too long or too many; an endpoint that is no address.
    pub fn new(settings: &Settings) -> Result<Self, FilterError> {
        let mut parts = Vec::new();
        let mut add = |name: Name, action, detector: Arc<dyn Detector>| {
            let part = Part {
                name: name.word(),
                action,
                detector,
            };
            parts.push((name, part));
        };
        if let Some(action) = settings.pii {
            add(Name::Pii, action, Arc::new(Pii));
        }
        if let Some(action) = settings.secrets {
            add(Name::Secrets, action, Arc::new(Secrets::new()?));
        }
        if let Some(words) = &settings.words {
            let list = Words::new(words.words.iter().map(String::as_str))?;
            add(Name::Words, words.action, Arc::new(list));
        }
        let safety = settings.safety.as_ref().map(Safety::new).transpose()?;
        Ok(Self {
            parts,
            safety: safety.map(Arc::new),
            watch: None,
        })
    }

    /// Tells `watch` what the chains find from now on.
    pub fn watched(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// The names of the filters that exist.
    pub fn names(&self) -> impl Iterator<Item = Name> + '_ {
        let safety = self.safety.iter().map(|_| Name::Safety);
        self.parts.iter().map(|(name, _)| *name).chain(safety)
    }

    /// The filters of these names as one; names of filters that do not exist have no effect.
    pub fn chain(&self, inbound: &[Name], outbound: &[Name]) -> Chain {
        Chain {
            inbound: self.way(inbound),
            outbound: self.way(outbound),
            watch: self.watch.clone(),
        }
    }

    fn way(&self, names: &[Name]) -> Way {
        let parts = self.parts.iter().filter(|(name, _)| names.contains(name));
        let safety = self.safety.clone();
        Way {
            parts: parts.map(|(_, part)| part.clone()).collect(),
            safety: safety.filter(|_| names.contains(&Name::Safety)),
        }
    }
}

/// Filters in one direction.
#[derive(Clone)]
struct Way {
    parts: Arc<[Part]>,
    safety: Option<Arc<Safety>>,
}

/// Filters that are in force at one place.
#[derive(Clone)]
pub struct Chain {
    inbound: Way,
    outbound: Way,
    watch: Option<Arc<dyn Watch>>,
}

impl Chain {
    fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        }
    }

    /// Looks at whole texts with all that needs no service.
    fn scan(&self, direction: Direction, texts: &[Cow<'_, str>]) -> Result<Screened, CallError> {
        let parts = &self.way(direction).parts;
        let mut screened = Screened::default();
        for (place, text) in texts.iter().enumerate() {
            let mut scan = Scan::new(parts);
            let changed = scan.whole(parts, text);
            for hit in scan.hits() {
                if !screened.hits.contains(&hit) {
                    screened.hits.push(hit);
                    self.tell(direction, &hit);
                }
            }
            if let Some(text) = changed.map_err(|hit| blocked(&hit))? {
                screened.changed.push((place, text));
            }
        }
        Ok(screened)
    }

    fn tell(&self, direction: Direction, hit: &Hit) {
        if let Some(watch) = &self.watch {
            watch.hit(direction, hit);
        }
    }

    fn gate(&self, direction: Direction) -> Option<Gate> {
        let safety = self.way(direction).safety.as_ref()?;
        Some(Gate::new(Arc::clone(safety), direction, self.watch.clone()))
    }
}

impl Filter for Chain {
    fn looks(&self, direction: Direction) -> bool {
        let way = self.way(direction);
        !way.parts.is_empty() || way.safety.is_some()
    }

    fn screen<'a>(
        &'a self,
        direction: Direction,
        texts: &'a [Cow<'a, str>],
    ) -> BoxFuture<'a, Result<Screened, CallError>> {
        let (mut screened, gate) = match (self.scan(direction, texts), self.gate(direction)) {
            (Ok(screened), Some(gate)) => (screened, gate),
            (scanned, _) => return ready(scanned).boxed(),
        };
        async move {
            // the service sees what would pass, in one piece
            let mut changed = screened.changed.iter().peekable();
            let mut joined = String::new();
            for (place, text) in texts.iter().enumerate() {
                let text = match changed.next_if(|(at, _)| *at == place) {
                    Some((_, changed)) => changed,
                    None => &**text,
                };
                if !joined.is_empty() {
                    joined.push_str("\n\n");
                }
                joined.push_str(text);
            }
            screened.hits.extend(gate.ask(&joined).await?);
            Ok(screened)
        }
        .boxed()
    }

    fn begin(&self, direction: Direction) -> Box<dyn Screen> {
        Box::new(Running {
            stream: Stream::new(Arc::clone(&self.way(direction).parts)),
            gate: self.gate(direction),
            direction,
            watch: self.watch.clone(),
            told: Vec::new(),
            fresh: Vec::new(),
        })
    }
}

/// A text that comes in pieces, with all filters around it.
struct Running {
    stream: Stream,
    gate: Option<Gate>,
    direction: Direction,
    watch: Option<Arc<dyn Watch>>,
    /// What the watch heard of.
    told: Vec<Hit>,
    /// What nobody asked for yet.
    fresh: Vec<Hit>,
}

impl Running {
    /// Takes what a scan gave; its hits are told, each kind once.
    fn heard(&mut self, text: Result<String, Hit>) -> Result<String, CallError> {
        for hit in self.stream.hits() {
            if self.told.contains(&hit) {
                continue;
            }
            self.told.push(hit);
            self.fresh.push(hit);
            if let Some(watch) = &self.watch {
                watch.hit(self.direction, &hit);
            }
        }
        text.map_err(|hit| blocked(&hit))
    }

    async fn pass(&mut self, text: String, last: bool) -> Result<String, CallError> {
        let Some(gate) = &mut self.gate else {
            return Ok(text);
        };
        let (text, hits) = gate.pass(text, last).await?;
        self.fresh.extend(hits);
        Ok(text)
    }
}

impl Screen for Running {
    fn push<'a>(&'a mut self, piece: &'a str) -> BoxFuture<'a, Result<String, CallError>> {
        let text = self.stream.push(piece);
        match (self.heard(text), &self.gate) {
            (Ok(text), Some(_)) => self.pass(text, false).boxed(),
            (other, _) => ready(other).boxed(),
        }
    }

    fn finish(&mut self) -> BoxFuture<'_, Result<String, CallError>> {
        let text = self.stream.finish();
        match (self.heard(text), &self.gate) {
            (Ok(text), Some(_)) => self.pass(text, true).boxed(),
            (other, _) => ready(other).boxed(),
        }
    }

    fn hits(&mut self) -> Vec<Hit> {
        std::mem::take(&mut self.fresh)
    }
}
