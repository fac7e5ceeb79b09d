//! Socket Mode: events over a WebSocket that we open, each acknowledged by its envelope's id.

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::sync::CancellationToken;

use super::super::answer::text;
use super::super::socket::{Socket, connect};
use super::api::Api;
use super::event::{self, Bot};
use crate::channel::{ChannelError, Host};

/// How often we look whether the other side lives.
const PING: Duration = Duration::from_secs(20);
/// A socket that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(60);
/// A socket that lived for less is no success: the pause before the next one grows.
const SHORT: Duration = Duration::from_secs(5);

/// How a socket ended.
enum End {
    /// We were told to stop.
    Stopped,
    /// Slack wants us on another socket.
    Refresh,
}

/// Brings events until `stop`; opens the next socket by itself where Slack asks for it.
pub(super) async fn listen(
    api: &Api,
    token: &SecretString,
    bot: &OnceLock<Bot>,
    host: &dyn Host,
    stop: CancellationToken,
) -> Result<(), ChannelError> {
    loop {
        let opened = Instant::now();
        let ended = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            socket = open(api, token) => serve(socket?, bot, host, &stop).await,
        };
        match ended {
            Ok(End::Stopped) => return Ok(()),
            Ok(End::Refresh) if opened.elapsed() > SHORT => {}
            Ok(End::Refresh) => tokio::time::sleep(Duration::from_secs(1)).await,
            // It worked: connect anew at once. Should that fail, it is told.
            Err(error) if opened.elapsed() > SHORT => {
                tracing::debug!(%error, "the socket is opened anew");
            }
            Err(error) => return Err(error),
        }
    }
}

async fn open(api: &Api, token: &SecretString) -> Result<Socket, ChannelError> {
    let answer = api
        .post_as(token, "apps.connections.open", &json!({}))
        .await;
    let answer = answer.map_err(|error| ChannelError(format!("apps.connections.open: {error}")))?;
    connect(text(&answer, "url")).await
}

async fn serve(
    mut socket: Socket,
    bot: &OnceLock<Bot>,
    host: &dyn Host,
    stop: &CancellationToken,
) -> Result<End, ChannelError> {
    let mut pings = interval(PING);
    let mut heard = Instant::now();
    loop {
        let frame = tokio::select! {
            () = stop.cancelled() => {
                // A farewell is a courtesy.
                let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                return Ok(End::Stopped);
            }
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE {
                    return Err(ChannelError("the socket is silent".to_owned()));
                }
                say(&mut socket, Frame::Ping(Vec::new().into())).await?;
                continue;
            }
            frame = socket.next() => frame,
        };
        heard = Instant::now();
        let frame = match frame {
            Some(Ok(Frame::Text(frame))) => frame,
            Some(Ok(Frame::Close(_))) | None => {
                return Err(ChannelError("the socket was closed".to_owned()));
            }
            // Pings are answered by the library.
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(ChannelError(format!("the socket broke: {error}"))),
        };
        let Ok(envelope) = serde_json::from_str::<Value>(&frame) else {
            continue;
        };
        match text(&envelope, "type") {
            "hello" => host.up(),
            "disconnect" if text(&envelope, "reason") == "link_disabled" => {
                return Err(ChannelError(
                    "Socket Mode is switched off for this app".to_owned(),
                ));
            }
            "disconnect" => return Ok(End::Refresh),
            _ => take(&mut socket, &envelope, bot, host).await?,
        }
    }
}

/// Acknowledges an envelope, once the message in it is kept. Other kinds than events have nothing to keep.
async fn take(
    socket: &mut Socket,
    envelope: &Value,
    bot: &OnceLock<Bot>,
    host: &dyn Host,
) -> Result<(), ChannelError> {
    let Some(id) = envelope["envelope_id"].as_str() else {
        return Ok(());
    };
    if text(envelope, "type") == "events_api" {
        match event::read(&envelope["payload"], bot.get()) {
            Ok(Some(message)) => {
                if let Err(error) = host.accept(vec![message]).await {
                    // Unacknowledged, it comes again.
                    tracing::warn!(%error, "an event is not acknowledged");
                    return Ok(());
                }
            }
            Ok(None) => {}
            // It would be the same when it comes again.
            Err(reason) => tracing::warn!(reason, "an event that makes no sense"),
        }
    }
    let ack = json!({ "envelope_id": id }).to_string();
    say(socket, Frame::Text(ack.into())).await
}

async fn say(socket: &mut Socket, frame: Frame) -> Result<(), ChannelError> {
    match timeout(Duration::from_secs(10), socket.send(frame)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ChannelError(format!("the socket broke: {error}"))),
        Err(_) => Err(ChannelError("the socket takes nothing".to_owned())),
    }
}
