//! Feishu's long connection: events in frames of protobuf, each until it is answered.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Packet;

use crate::faults::Fate;

/// How long an answer may take before the event is sent again.
const PATIENCE: Duration = Duration::from_secs(3);

type Socket = WebSocketStream<TcpStream>;

/// Events that wait, and those who fetch them.
#[derive(Default)]
pub(crate) struct Connection {
    queue: Mutex<VecDeque<Value>>,
    waiting: Notify,
    connections: AtomicUsize,
}

impl Connection {
    pub(crate) fn open(&self) -> usize {
        self.queue.lock().expect("whole").len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn deliver(&self, event: &Value, fate: &Fate) {
        let mut queue = self.queue.lock().expect("whole");
        if fate.hits(|faults| faults.repeated) {
            queue.push_back(event.clone());
        }
        queue.push_back(event.clone());
        drop(queue);
        self.waiting.notify_one();
    }

    /// Serves one connection until it ends or fate cuts it.
    pub(crate) async fn serve(&self, stream: TcpStream, fate: &Fate) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
            return;
        };
        self.connections.fetch_add(1, Ordering::SeqCst);
        let mut number = 0;
        loop {
            let next = self.queue.lock().expect("whole").front().cloned();
            let Some(event) = next else {
                tokio::select! {
                    () = self.waiting.notified() => {}
                    () = sleep(Duration::from_millis(100)) => {}
                    packet = socket.next() => match packet {
                        Some(Ok(packet)) => pong(&mut socket, &packet).await,
                        _ => break,
                    }
                }
                continue;
            };
            number += 1;
            let id = format!("m{number}");
            let answered = timeout(PATIENCE, exchange(&mut socket, &id, &event)).await;
            match answered {
                Ok(Some(200)) => {
                    self.queue.lock().expect("whole").pop_front();
                }
                // Refused, it comes again.
                Ok(Some(_)) => sleep(Duration::from_millis(100)).await,
                _ => break,
            }
            if fate.hits(|faults| faults.cut) {
                break;
            }
        }
        self.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sends an event in two frames, the second part first, and gives the code of its answer.
async fn exchange(socket: &mut Socket, id: &str, event: &Value) -> Option<i64> {
    let event = event.to_string().into_bytes();
    let (first, second) = event.split_at(event.len() / 2);
    for (number, part) in [("1", second), ("0", first)] {
        let headers = [
            ("type", "event"),
            ("message_id", id),
            ("trace_id", "t"),
            ("sum", "2"),
            ("seq", number),
        ];
        let frame = frame(1, &headers, part);
        socket.send(Packet::Binary(frame.into())).await.ok()?;
    }
    loop {
        let packet = socket.next().await?.ok()?;
        let Packet::Binary(bytes) = &packet else {
            continue;
        };
        let fields = fields(bytes);
        let headers: Vec<_> = fields.iter().filter(|(tag, _)| *tag == 5).collect();
        let ours = headers
            .iter()
            .any(|(_, header)| header.ends_with(id.as_bytes()));
        let Some((_, payload)) = fields.iter().find(|(tag, _)| *tag == 8).filter(|_| ours) else {
            pong(socket, &packet).await;
            continue;
        };
        let answer: Value = serde_json::from_slice(payload).ok()?;
        return answer["code"].as_i64();
    }
}

/// Answers a ping.
async fn pong(socket: &mut Socket, packet: &Packet) {
    if let Packet::Binary(bytes) = packet
        && fields(bytes)
            .iter()
            .any(|(tag, header)| *tag == 5 && header.ends_with(b"ping"))
    {
        let frame = frame(0, &[("type", "pong")], b"");
        // Who has gone needs none.
        let _ = socket.send(Packet::Binary(frame.into())).await;
    }
}

fn frame(method: u8, headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    // SeqID, LogID, service and method; then the headers; then the payload.
    let mut bytes = vec![8, 1, 16, 1, 24, 7, 32, method];
    for (key, value) in headers {
        let mut header = Vec::new();
        put(&mut header, 1, key.as_bytes());
        put(&mut header, 2, value.as_bytes());
        put(&mut bytes, 5, &header);
    }
    put(&mut bytes, 8, payload);
    bytes
}

fn put(bytes: &mut Vec<u8>, tag: u8, field: &[u8]) {
    bytes.push(tag << 3 | 2);
    let mut length = field.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(field);
}

/// The fields of a message that hold bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut fields = Vec::new();
    while let Some((key, rest)) = bytes.split_first() {
        bytes = rest;
        let number = number(&mut bytes);
        if key & 7 == 2 {
            let (field, rest) = bytes.split_at(number.min(bytes.len()));
            bytes = rest;
            fields.push((key >> 3, field.to_vec()));
        }
    }
    fields
}

fn number(bytes: &mut &[u8]) -> usize {
    let (mut number, mut shift) = (0, 0);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 || shift > 56 {
            break;
        }
    }
    number
}
