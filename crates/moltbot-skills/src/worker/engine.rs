//! One engine for one call: made before the call arrives, thrown away after it.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use rquickjs::context::EvalOptions;
use rquickjs::function::Opt;
use rquickjs::promise::PromiseState;
use rquickjs::{
    Context, Ctx, Error, Exception, Function, Object, Promise, Runtime, TypedArray, Value,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value as Json;

use super::loader::{Files, ROOT, nothing};
use super::protocol::{Bounds, Failure, Program, Returned, Said, Syntax, Trouble, TroubleKind};
use super::serve::Line;
use super::types;

/// Stack that a script may use; far below what the process has.
const STACK: usize = 512 << 10;
/// Things that a script may ask for in one call.
const ASKS: u32 = 1000;
/// Bytes of an answer.
const ANSWER: usize = 256 << 10;
/// Bytes that a call may log.
const LOGS: usize = 64 << 10;
const PRELUDE: &str = include_str!("prelude.js");

/// An engine without a script.
pub(super) struct Engine {
    runtime: Runtime,
    context: Context,
    files: Files,
    state: Rc<State>,
}

/// What the engine's host functions share.
#[derive(Default)]
struct State {
    line: Cell<Option<Line>>,
    asked: Cell<u32>,
    open: Cell<u32>,
    logged: Cell<usize>,
    timers: RefCell<BinaryHeap<Reverse<(Duration, u32)>>>,
    watch: Cell<Option<Watch>>,
    /// Which limit was broken.
    broken: Cell<Option<&'static str>>,
}

/// When a call must end.
#[derive(Clone, Copy)]
struct Watch {
    cpu: Duration,
    wall: Duration,
}

impl State {
    /// Whether a limit is broken now.
    fn is_over(&self) -> bool {
        let Some(watch) = self.watch.get() else {
            return false;
        };
        if self.broken.get().is_none() {
            if cpu() >= watch.cpu {
                self.broken.set(Some("cpu"));
            } else if now() >= watch.wall {
                self.broken.set(Some("wall"));
            }
        }
        self.broken.get().is_some()
    }

    fn say(&self, said: &Said) {
        if let Some(line) = self.line.get() {
            line.say(said);
        }
    }
}

/// Time on the processor, of this process.
fn cpu() -> Duration {
    duration(ClockId::ProcessCPUTime)
}

/// Time on the clock, from some beginning.
fn now() -> Duration {
    duration(ClockId::Monotonic)
}

fn duration(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// What came of a call.
pub(super) struct Ran {
    pub(super) result: Result<Returned, Trouble>,
    pub(super) cpu: Duration,
}

impl Engine {
    /// Makes an engine with everything that scripts find.
    pub(super) fn new() -> rquickjs::Result<Self> {
        let runtime = Runtime::new()?;
        let context = Context::full(&runtime)?;
        let (files, state) = (Files::default(), Rc::new(State::default()));
        runtime.set_max_stack_size(STACK);
        runtime.set_loader(files.clone(), files.clone());
        let watched = Rc::clone(&state);
        runtime.set_interrupt_handler(Some(Box::new(move || watched.is_over())));
        context.with(|ctx| {
            let prelude: Function<'_> = ctx.eval_with_options(PRELUDE, options(ROOT))?;
            let host = host(&ctx, &files, &state)?;
            let ours: Object<'_> = prelude.call((host,))?;
            ctx.globals().set(OURS, ours)
        })?;
        Ok(Self {
            runtime,
            context,
            files,
            state,
        })
    }

    /// Calls the handler of a program, to its end or to its limits.
    pub(super) fn run(
        self,
        program: Arc<Program>,
        input: &Json,
        bounds: Bounds,
        line: &Line,
    ) -> Ran {
        let begun = cpu();
        self.state.watch.set(Some(Watch {
            cpu: begun + Duration::from_millis(bounds.cpu_ms),
            wall: now() + Duration::from_millis(bounds.wall_ms),
        }));
        self.runtime.set_memory_limit(bounds.memory);
        self.state.line.set(Some(*line));
        self.files.put(Arc::clone(&program));
        let mut result = self.context.with(|ctx| {
            let called = self.call(&ctx, &program, input, line);
            called.unwrap_or_else(|error| Err(self.trouble(&ctx, &error)))
        });
        if let Some(limit) = self.state.broken.get() {
            let which = match limit {
                "cpu" => format!("it used more than {} ms of processor time", bounds.cpu_ms),
                "wall" => format!("it took longer than {} ms", bounds.wall_ms),
                other => other.to_owned(),
            };
            let place = result.err().unwrap_or_else(|| Trouble::limit(""));
            result = Err(Trouble {
                kind: TroubleKind::Limit,
                message: which,
                ..place
            });
        }
        let cpu = cpu().saturating_sub(begun);
        Ran { result, cpu }
    }

    fn call<'js>(
        &self,
        ctx: &Ctx<'js>,
        program: &Program,
        input: &Json,
        line: &Line,
    ) -> rquickjs::Result<Result<Returned, Trouble>> {
        let Some(entry) = program.files.iter().find(|file| file.path == program.entry) else {
            return Ok(Err(Trouble::threw("the entry is missing")));
        };
        let syntax = match entry.syntax {
            Syntax::Common => "common",
            _ => "module",
        };
        let ours: Object<'js> = ctx.globals().get(OURS)?;
        ctx.globals().remove(OURS)?;
        let run: Function<'js> = ours.get("run")?;
        let promise: Promise<'js> =
            run.call((program.entry.as_str(), syntax, input.to_string()))?;
        loop {
            // Jobs of promises are a loop without a script: it is watched like one.
            while !self.state.is_over() && ctx.execute_pending_job() {}
            if self.state.is_over() {
                return Ok(Err(Trouble::limit("")));
            }
            if promise.state() != PromiseState::Pending {
                break;
            }
            if let Some(number) = self.due() {
                let fire: Function<'js> = ours.get("fire")?;
                fire.call::<_, ()>((number,))?;
                continue;
            }
            let next = self.state.timers.borrow().peek().map(|due| due.0.0);
            if next.is_none() && self.state.open.get() == 0 {
                let words = "the handler waits for something that never comes";
                return Ok(Err(Trouble::threw(words)));
            }
            let wall = self.state.watch.get().map(|watch| watch.wall);
            let until = next.into_iter().chain(wall).min().unwrap_or_default();
            match line.settled(until.saturating_sub(now())) {
                Some((number, result)) => {
                    self.state.open.update(|open| open.saturating_sub(1));
                    settle(&ours, number, result)?;
                }
                None => continue,
            }
        }
        let text: String = match promise.result() {
            Some(text) => text?,
            None => return Ok(Err(Trouble::threw("it never ended"))),
        };
        let returned: Returned = match serde_json::from_str(&text) {
            Ok(returned) => returned,
            Err(_) => return Ok(Err(Trouble::threw("the answer is no text"))),
        };
        if returned
            .text
            .as_ref()
            .is_some_and(|text| text.len() > ANSWER)
        {
            let words = format!("its answer is larger than {} KiB", ANSWER >> 10);
            return Ok(Err(Trouble::limit(words)));
        }
        Ok(Ok(returned))
    }

    /// The timer that is due, taken out.
    fn due(&self) -> Option<u32> {
        let mut timers = self.state.timers.borrow_mut();
        let is_due = timers.peek().is_some_and(|due| due.0.0 <= now());
        is_due.then(|| timers.pop().map(|due| due.0.1)).flatten()
    }

    /// What an error of the engine means for whoever wrote the script.
    fn trouble(&self, ctx: &Ctx<'_>, error: &Error) -> Trouble {
        if !error.is_exception() {
            return Trouble::threw(error.to_string());
        }
        trouble(&ctx.catch(), self.files.program().as_deref())
    }

    /// Looks whether the files of a program can be read, and how; takes types away.
    pub(super) fn check(self, mut program: Program) -> Result<Program, Trouble> {
        for file in &mut program.files {
            match ending(&file.path) {
                "json" => {
                    serde_json::from_str::<Json>(&file.text).map_err(|error| Trouble {
                        file: Some(file.path.clone()),
                        line: Some(error.line() as u32),
                        ..Trouble::threw(format!("is no JSON: {error}"))
                    })?;
                    file.syntax = Syntax::Json;
                }
                "ts" | "mts" | "cts" => file.text = types::strip(&file.path, &file.text)?,
                _ => file.syntax = Syntax::Text,
            }
        }
        // Reading a module looks for what it imports.
        self.files.put(Arc::new(program.clone()));
        for file in &mut program.files {
            if let ending @ ("js" | "mjs" | "cjs" | "ts" | "mts" | "cts") = ending(&file.path) {
                file.syntax = self.syntax(&file.path, &file.text, ending)?;
            }
        }
        Ok(program)
    }

    /// CommonJS where it can be read as the body of a function, an ES module where as that.
    fn syntax(&self, path: &str, text: &str, ending: &str) -> Result<Syntax, Trouble> {
        let at_home = |error: Trouble| Trouble {
            file: Some(path.to_owned()),
            ..error
        };
        let mut first = None;
        if !ending.starts_with('m') {
            match self.context.with(|ctx| self.reads(&ctx, path, text, false)) {
                Ok(()) => return Ok(Syntax::Common),
                Err(error) if ending.starts_with('c') => return Err(at_home(error)),
                Err(error) => first = Some(error),
            }
        }
        match self.context.with(|ctx| self.reads(&ctx, path, text, true)) {
            Ok(()) => Ok(Syntax::Module),
            Err(error) => {
                let says_module = error.line != first.as_ref().and_then(|first| first.line);
                Err(at_home(match first {
                    Some(first) if !says_module => first,
                    _ => error,
                }))
            }
        }
    }

    fn reads(&self, ctx: &Ctx<'_>, path: &str, text: &str, module: bool) -> Result<(), Trouble> {
        let read = match module {
            true => rquickjs::Module::declare(ctx.clone(), path, text).map(drop),
            false => compile(ctx, path, text).map(drop),
        };
        read.map_err(|error| match error.is_exception() {
            true => trouble(&ctx.catch(), None),
            false => Trouble::threw(error.to_string()),
        })
    }
}

/// The global in which the prelude's own functions wait for the call; taken away before a script runs.
const OURS: &str = "__moltbot";

fn ending(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or("", |(_, ending)| ending)
}

fn options(file: &str) -> EvalOptions {
    let mut options = EvalOptions::default();
    options.strict = true;
    options.filename = Some(file.to_owned());
    options
}

/// A CommonJS file as the function that runs it. Its first line stays the first line.
fn compile<'js>(ctx: &Ctx<'js>, path: &str, text: &str) -> rquickjs::Result<Function<'js>> {
    let source =
        format!("(function (exports, require, module, __filename, __dirname) {{{text}\n}})");
    let mut options = options(path);
    options.strict = false;
    ctx.eval_with_options(source, options)
}

fn settle(ours: &Object<'_>, number: u32, result: Result<Json, Failure>) -> rquickjs::Result<()> {
    let settle: Function<'_> = ours.get("settle")?;
    match result {
        Ok(value) => settle.call((number, value.to_string())),
        Err(failure) => settle.call((number, "null", failure.message, failure.denied)),
    }
}

/// What was thrown, and where in the script.
fn trouble(thrown: &Value<'_>, program: Option<&Program>) -> Trouble {
    let object = thrown.as_object();
    let text = |key: &str| object.and_then(|object| object.get::<_, String>(key).ok());
    let (name, message) = (text("name"), text("message"));
    let words = match (&name, &message) {
        (Some(name), Some(message)) => format!("{name}: {message}"),
        (None, Some(message)) => message.clone(),
        _ => match thrown.clone().try_into_string() {
            Ok(text) => format!("threw {:?}", text.to_string().unwrap_or_default()),
            Err(_) => "threw something that is no error".to_owned(),
        },
    };
    let is = |word: &str| {
        message
            .as_deref()
            .is_some_and(|message| message.contains(word))
    };
    let (kind, words) = if name.as_deref() == Some("PermissionError") {
        (TroubleKind::Denied, words)
    } else if is("out of memory") || thrown.is_null() {
        (TroubleKind::Limit, "it ran out of memory".to_owned())
    } else if is("call stack size exceeded") || is("stack overflow") {
        (TroubleKind::Limit, "it ran out of stack".to_owned())
    } else {
        (TroubleKind::Threw, words)
    };
    let stack = text("stack").unwrap_or_default();
    let known = |file: &str| match program {
        Some(program) => program.files.iter().any(|known| known.path == file),
        None => file != ROOT,
    };
    let place = stack
        .lines()
        .find_map(place)
        .filter(|(file, _)| known(file));
    let place = place.or_else(|| {
        let places = stack.lines().filter_map(self::place);
        places.into_iter().find(|(file, _)| known(file))
    });
    let mut trouble = Trouble::threw(words.chars().take(1000).collect::<String>());
    trouble.kind = kind;
    if let Some((file, line)) = place {
        trouble.file = Some(file.to_owned());
        trouble.line = Some(line);
    }
    trouble
}

/// File and line of a line of a stack: `at name (file:line:column)` or `at file:line:column`.
fn place(frame: &str) -> Option<(&str, u32)> {
    let frame = frame.trim().strip_prefix("at ")?;
    let inner = match frame.rsplit_once('(') {
        Some((_, inner)) => inner.strip_suffix(')')?,
        None => frame,
    };
    let mut parts = inner.rsplitn(3, ':');
    let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    Some((file, line.parse().ok()?))
}

/// The functions that the prelude calls.
fn host<'js>(ctx: &Ctx<'js>, files: &Files, state: &Rc<State>) -> rquickjs::Result<Object<'js>> {
    let host = Object::new(ctx.clone())?;
    let shared = Rc::clone(state);
    let ask = move |ctx: Ctx<'js>, number: u32, what: String, with: String| {
        let asked = shared.asked.get() + 1;
        shared.asked.set(asked);
        if asked > ASKS {
            shared
                .broken
                .set(Some("it asked for more than 1000 things"));
            return Err(Exception::throw_range(&ctx, "too many requests"));
        }
        let with = serde_json::from_str(&with)
            .map_err(|error| Exception::throw_type(&ctx, &error.to_string()))?;
        shared.open.update(|open| open + 1);
        shared.say(&Said::Ask { number, what, with });
        Ok(())
    };
    host.set("ask", Function::new(ctx.clone(), ask)?)?;
    let shared = Rc::clone(state);
    let log = move |level: String, mut text: String| {
        let room = LOGS.saturating_sub(shared.logged.get());
        if room == 0 {
            return;
        }
        if text.len() > room {
            text.truncate(text.floor_char_boundary(room));
        }
        shared.logged.update(|logged| logged + text.len().max(1));
        shared.say(&Said::Log { level, text });
    };
    host.set("log", Function::new(ctx.clone(), log)?)?;
    let shared = Rc::clone(state);
    let timer = move |number: u32, ms: f64| {
        let wait = Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::from_secs(86400));
        let due = Reverse((now() + wait, number));
        shared.timers.borrow_mut().push(due);
    };
    host.set("timer", Function::new(ctx.clone(), timer)?)?;
    let own = files.clone();
    let resolve = move |ctx: Ctx<'js>, base: String, name: String| {
        own.resolve(&base, &name)
            .ok_or_else(|| Exception::throw_reference(&ctx, &nothing(&base, &name)))
    };
    host.set("resolve", Function::new(ctx.clone(), resolve)?)?;
    let own = files.clone();
    let source = move |ctx: Ctx<'js>, path: String| {
        let file = own.find(&path).ok_or_else(|| Error::new_loading(&path))?;
        let syntax = match file.syntax {
            Syntax::Module => "module",
            Syntax::Common => "common",
            Syntax::Json => "json",
            Syntax::Text => "text",
        };
        let source = Object::new(ctx)?;
        source.set("syntax", syntax)?;
        source.set("text", file.text)?;
        Ok::<_, Error>(source)
    };
    host.set("source", Function::new(ctx.clone(), source)?)?;
    let compiled = |ctx: Ctx<'js>, path: String, text: String| compile(&ctx, &path, &text);
    host.set("compile", Function::new(ctx.clone(), compiled)?)?;
    texts(ctx, &host)?;
    urls(ctx, &host)?;
    Ok(host)
}

/// Text coding, digests, randomness.
fn texts<'js>(ctx: &Ctx<'js>, host: &Object<'js>) -> rquickjs::Result<()> {
    let encode = |ctx: Ctx<'js>, text: String| TypedArray::<u8>::new(ctx, text.into_bytes());
    host.set("encode", Function::new(ctx.clone(), encode)?)?;
    let decode = |ctx: Ctx<'js>, latin: String, fatal: bool| {
        String::from_utf8(bytes(&latin)).or_else(|error| match fatal {
            true => Err(Exception::throw_type(&ctx, "the bytes are no UTF-8")),
            false => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        })
    };
    host.set("decode", Function::new(ctx.clone(), decode)?)?;
    let digest = |ctx: Ctx<'js>, name: String, latin: String| {
        let algorithm = match name.as_str() {
            "SHA-1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            "SHA-256" => &digest::SHA256,
            "SHA-384" => &digest::SHA384,
            "SHA-512" => &digest::SHA512,
            other => {
                let words =
                    format!("no digest {other}; known are SHA-1, SHA-256, SHA-384, SHA-512");
                return Err(Exception::throw_type(&ctx, &words));
            }
        };
        TypedArray::<u8>::new(ctx, digest::digest(algorithm, &bytes(&latin)).as_ref())
    };
    host.set("digest", Function::new(ctx.clone(), digest)?)?;
    let random = |ctx: Ctx<'js>, length: usize| {
        let mut bytes = vec![0; length.min(65536)];
        let mut filled = 0;
        while filled < bytes.len() {
            let flags = rustix::rand::GetRandomFlags::empty();
            match rustix::rand::getrandom(&mut bytes[filled..], flags) {
                Ok(more) => filled += more,
                Err(error) => return Err(Exception::throw_message(&ctx, &error.to_string())),
            }
        }
        TypedArray::<u8>::new(ctx, bytes)
    };
    host.set("random", Function::new(ctx.clone(), random)?)
}

/// Bytes that came as a text of letters up to U+00FF: the engine lends its own memory only to unsafe code.
fn bytes(latin: &str) -> Vec<u8> {
    latin.chars().map(|letter| letter as u8).collect()
}

/// URLs, as browsers read them.
fn urls<'js>(ctx: &Ctx<'js>, host: &Object<'js>) -> rquickjs::Result<()> {
    use url::form_urlencoded as form;
    use url::{Url, quirks};
    fn parts(url: &Url) -> String {
        serde_json::json!({
            "href": quirks::href(url), "origin": quirks::origin(url),
            "protocol": quirks::protocol(url), "username": quirks::username(url),
            "password": quirks::password(url), "host": quirks::host(url),
            "hostname": quirks::hostname(url), "port": quirks::port(url),
            "pathname": quirks::pathname(url), "search": quirks::search(url),
            "hash": quirks::hash(url),
        })
        .to_string()
    }
    let read = |text: String, base: Opt<Option<String>>| match base.0.flatten() {
        Some(base) => Some(parts(&Url::parse(&base).ok()?.join(&text).ok()?)),
        None => Some(parts(&Url::parse(&text).ok()?)),
    };
    host.set("url", Function::new(ctx.clone(), read)?)?;
    let set = |href: String, part: String, value: String| {
        let mut url = Url::parse(&href).ok()?;
        // What can't be set stays as it is, but for the whole.
        match part.as_str() {
            "href" => url = Url::parse(&value).ok()?,
            "protocol" => drop(quirks::set_protocol(&mut url, &value)),
            "username" => drop(quirks::set_username(&mut url, &value)),
            "password" => drop(quirks::set_password(&mut url, &value)),
            "host" => drop(quirks::set_host(&mut url, &value)),
            "hostname" => drop(quirks::set_hostname(&mut url, &value)),
            "port" => drop(quirks::set_port(&mut url, &value)),
            "pathname" => quirks::set_pathname(&mut url, &value),
            "search" => quirks::set_search(&mut url, &value),
            "hash" => quirks::set_hash(&mut url, &value),
            _ => {}
        }
        Some(parts(&url))
    };
    host.set("setUrl", Function::new(ctx.clone(), set)?)?;
    let query = |text: String| {
        let pairs: Vec<_> = form::parse(text.as_bytes()).collect();
        serde_json::to_string(&pairs).unwrap_or_default()
    };
    host.set("query", Function::new(ctx.clone(), query)?)?;
    let encode = |pairs: String| {
        let pairs: Vec<(String, String)> = serde_json::from_str(&pairs).unwrap_or_default();
        form::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish()
    };
    host.set("encodeQuery", Function::new(ctx.clone(), encode)?)
}
