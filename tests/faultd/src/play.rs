//! One connection: reads requests and plays the scripts of their answers.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::request::Request;
use crate::script::{Source, Step, script};
use crate::server::Shared;
use crate::text::Asked;
use crate::{Fault, mix};

/// The longest that a connection waits for the rest of a request, hangs, or is written to.
const PATIENCE: Duration = Duration::from_secs(120);

/// How connections end from outside.
#[derive(Clone, Default)]
pub(crate) struct Ends {
    /// When it waits for a request.
    pub(crate) idle: CancellationToken,
    /// Whatever it does.
    pub(crate) all: CancellationToken,
}

/// Serves a connection to its end.
pub(crate) async fn serve(mut stream: TcpStream, shared: Arc<Shared>, ends: Ends) {
    let mut played = Played::Gone;
    tokio::select! {
        biased;
        () = ends.all.cancelled() => played = Played::Reset,
        result = requests(&mut stream, &shared, &ends.idle) => played = result.unwrap_or(played),
    }
    if played == Played::Reset {
        // With nothing left to send, this makes the end of the connection a reset.
        stream.set_zero_linger().ok();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Played {
    /// The connection can be used again.
    Whole,
    /// The connection is to be reset.
    Reset,
    /// The connection is to be closed, or is closed already.
    Gone,
}

async fn requests(
    stream: &mut TcpStream,
    shared: &Shared,
    idle: &CancellationToken,
) -> io::Result<Played> {
    let mut buffer = BytesMut::new();
    loop {
        if buffer.is_empty() {
            tokio::select! {
                biased;
                () = idle.cancelled() => return Ok(Played::Gone),
                read = stream.read_buf(&mut buffer) => if read? == 0 { return Ok(Played::Gone) },
            }
        }
        let number = shared.books.begin();
        let fault = shared.fault(number);
        if let Some(fault) = fault {
            shared.books.fault(fault);
        }
        if let Some(Fault::RateLimited(hint)) = fault
            && let Some(pause) = hint.pause()
        {
            shared.books.pause(pause);
        }
        if fault == Some(Fault::Reset) {
            return Ok(Played::Reset);
        }
        let request = timeout(PATIENCE, Request::read(stream, &mut buffer)).await??;
        let asked = Asked::find(&request.body);
        let nonce = asked.as_ref().map(|asked| asked.nonce.as_str());
        let serving = shared.books.serve(&request, nonce);
        let source = Source {
            name: shared.name.clone(),
            number,
            dice: mix::hash(!shared.seed, number),
        };
        let tokens = source.tokens();
        let steps = script(&request, &asked.unwrap_or_default(), &source, fault);
        let played = timeout(PATIENCE, play(stream, steps)).await??;
        if played != Played::Whole {
            return Ok(played);
        }
        if fault.is_none_or(Fault::is_harmless) {
            serving.answered(tokens);
        }
    }
}

async fn play(stream: &mut TcpStream, steps: Vec<Step>) -> io::Result<Played> {
    for step in steps {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes).await?,
            Step::Dribble(bytes) => {
                for byte in &bytes {
                    stream.write_all(std::slice::from_ref(byte)).await?;
                    tokio::task::yield_now().await;
                }
            }
            Step::Wait(time) => tokio::select! {
                () = sleep(time) => {}
                () = left(stream) => return Ok(Played::Gone),
            },
            Step::Hang => {
                left(stream).await;
                return Ok(Played::Gone);
            }
            Step::Reset => return Ok(Played::Reset),
            Step::Close => {
                stream.shutdown().await?;
                return Ok(Played::Gone);
            }
        }
    }
    Ok(Played::Whole)
}

/// Waits until the other side has left.
async fn left(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => pending().await, // it sent more than its request and is still there
    }
}
