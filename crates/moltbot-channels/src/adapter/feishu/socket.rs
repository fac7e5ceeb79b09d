//! The long connection: events over a WebSocket that we open, each answered in its own frame. Nothing is signed or
//! encrypted in it; who holds the app's secret was given the address.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::tungstenite::Message as Packet;
use tokio_util::sync::CancellationToken;

use super::super::answer::text;
use super::super::socket::{Socket, connect};
use super::Feishu;
use super::event;
use super::frame::{DATA, Frame};
use crate::channel::{ChannelError, Host};

/// How often we tell that we live, where Feishu does not say.
const PING: u64 = 120;
/// A connection that lived for less is no success: the pause before the next one grows.
const SHORT: Duration = Duration::from_secs(5);
/// Most events of which parts are waited for, and for how long.
const PARTS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// Brings events until `stop`; a connection that has worked is opened anew at once.
pub(super) async fn listen(
    feishu: &Feishu,
    host: &dyn Host,
    stop: &CancellationToken,
) -> Result<(), ChannelError> {
    loop {
        let opened = Instant::now();
        let served = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            served = serve(feishu, host) => served,
        };
        match served {
            Err(error) if opened.elapsed() > SHORT => {
                tracing::debug!(%error, "the long connection is opened anew");
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
}

/// One connection, until it breaks.
async fn serve(feishu: &Feishu, host: &dyn Host) -> Result<(), ChannelError> {
    let endpoint = feishu.api.endpoint().await;
    let endpoint =
        endpoint.map_err(|error| ChannelError(format!("no long connection: {error}")))?;
    let address = text(&endpoint, "URL");
    let mut socket = connect(address).await?;
    host.up();
    let seconds = endpoint["ClientConfig"]["PingInterval"].as_u64();
    let pause = Duration::from_secs(seconds.unwrap_or(PING).clamp(1, 600));
    let mut pings = interval_at(Instant::now(), pause);
    let ping = Frame::ping(service(address)).write();
    let mut heard = Instant::now();
    let mut parts = Parts::default();
    loop {
        let packet = tokio::select! {
            _ = pings.tick() => {
                if heard.elapsed() > pause * 2 + PATIENCE {
                    return Err(ChannelError("the long connection is silent".to_owned()));
                }
                say(&mut socket, ping.clone()).await?;
                continue;
            }
            packet = socket.next() => packet,
        };
        heard = Instant::now();
        let frame = match packet {
            Some(Ok(Packet::Binary(bytes))) => Frame::read(&bytes),
            Some(Ok(Packet::Close(_))) | None => {
                return Err(ChannelError("the long connection was closed".to_owned()));
            }
            Some(Ok(_)) => None,
            Some(Err(error)) => {
                return Err(ChannelError(format!("the long connection broke: {error}")));
            }
        };
        let event = frame.filter(|frame| frame.method == DATA && frame.header("type") == "event");
        let Some((frame, event)) = event.and_then(|frame| parts.join(frame)) else {
            continue;
        };
        let answer = answer(feishu, host, frame, &event).await;
        say(&mut socket, answer.write()).await?;
    }
}

/// Keeps the message in an event, and writes the frame that answers it.
async fn answer(feishu: &Feishu, host: &dyn Host, mut frame: Frame, event: &[u8]) -> Frame {
    let begun = Instant::now();
    let event: Value = serde_json::from_slice(event).unwrap_or_default();
    let own = feishu.bot.get().map(String::as_str);
    let code = match event::read(&event, own, &feishu.sent) {
        Ok(None) => 200,
        Ok(Some(message)) => match host.accept(vec![message]).await {
            Ok(()) => 200,
            Err(error) => {
                // Unanswered in this sense, it comes again.
                tracing::warn!(%error, "an event is not acknowledged");
                500
            }
        },
        // It would be the same when it comes again.
        Err(reason) => {
            tracing::warn!(reason, "an event that makes no sense");
            200
        }
    };
    let took = begun.elapsed().as_millis().to_string();
    frame.headers.push(("biz_rt".to_owned(), took));
    frame.payload = json!({ "code": code }).to_string().into_bytes();
    frame
}

/// Events that come in several frames.
#[derive(Default)]
struct Parts(HashMap<String, (Instant, Missing)>);

/// The parts of an event; those that have not come are missing.
type Missing = Vec<Option<Vec<u8>>>;

impl Parts {
    /// The whole event, with the frame that completed it.
    fn join(&mut self, mut frame: Frame) -> Option<(Frame, Vec<u8>)> {
        let sum = frame.header("sum").parse().unwrap_or(1);
        if sum <= 1 {
            let event = std::mem::take(&mut frame.payload);
            return Some((frame, event));
        }
        let at: usize = frame.header("seq").parse().ok()?;
        let id = frame.header("message_id").to_owned();
        self.0.retain(|_, (since, _)| since.elapsed() < PATIENCE);
        if at >= sum || sum > PARTS || self.0.len() >= PARTS {
            return None;
        }
        let (_, parts) = self
            .0
            .entry(id.clone())
            .or_insert_with(|| (Instant::now(), vec![None; sum]));
        *parts.get_mut(at)? = Some(std::mem::take(&mut frame.payload));
        let event: Option<Vec<Vec<u8>>> = parts.iter().cloned().collect();
        let event = event?.concat();
        self.0.remove(&id);
        Some((frame, event))
    }
}

async fn say(socket: &mut Socket, frame: Vec<u8>) -> Result<(), ChannelError> {
    match timeout(PATIENCE, socket.send(Packet::Binary(frame.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ChannelError(format!("the long connection broke: {error}"))),
        Err(_) => Err(ChannelError("the long connection takes nothing".to_owned())),
    }
}

/// The number of the service, which stands in the address.
fn service(address: &str) -> u64 {
    let query = address.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(name, _)| *name == "service_id");
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}
