//! The control port: sets faults, closes and opens servers, and tells what they received.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::{Fault, Mix, Request, Server};

/// A running control port over some servers; it ends when this is dropped.
#[derive(Debug)]
pub struct Control {
    address: SocketAddr,
    _end: DropGuard,
}

impl Control {
    /// Serves `servers` on a port of 127.0.0.1; 0 takes a free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(port: u16, servers: Arc<[Server]>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let (end, tasks) = (CancellationToken::new(), TaskTracker::new());
        let accept = {
            let (end, tasks) = (end.clone(), tasks.clone());
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (end, connection) = (end.clone(), serve(stream, Arc::clone(&servers)));
                    tasks.spawn(end.run_until_cancelled_owned(connection));
                }
            }
        };
        tasks.spawn(end.clone().run_until_cancelled_owned(accept));
        Ok(Self {
            address,
            _end: end.drop_guard(),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(mut stream: TcpStream, servers: Arc<[Server]>) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        let request = Request::read(&mut stream, &mut buffer).await?;
        let (status, body) = match answer(&request, &servers).await {
            Ok(body) => ("200 OK", body),
            Err(said) => ("400 Bad Request", json!({ "error": said })),
        };
        let body = body.to_string();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn answer(request: &Request, servers: &[Server]) -> Result<Value, String> {
    let body: Value = match request.body.as_ref() {
        [] => json!({}),
        body => serde_json::from_slice(body).map_err(|error| error.to_string())?,
    };
    let chosen = chosen(&body, servers)?;
    match (request.method(), request.path()) {
        ("GET", "/servers") => {}
        ("PUT", "/mix") => {
            let mix = mix(&body["mix"])?;
            for server in chosen {
                server.set_mix(mix.clone());
            }
        }
        ("POST", "/close") => {
            for server in chosen {
                server.close().await;
            }
        }
        ("POST", "/open") => {
            for server in chosen {
                server.open().await;
            }
        }
        ("GET", path) if path.starts_with("/nonces/") => {
            return Ok(nonce(path.trim_start_matches("/nonces/"), servers));
        }
        (method, path) => {
            return Err(format!(
                "no {method} {path}; there are: GET /servers, GET /nonces/N, PUT /mix, POST /close, POST /open"
            ));
        }
    }
    Ok(servers.iter().map(tell).collect())
}

/// The servers that a command is for: the one that it names, else all.
fn chosen<'a>(body: &Value, servers: &'a [Server]) -> Result<Vec<&'a Server>, String> {
    let all = servers.iter();
    match body.get("server").and_then(Value::as_str) {
        None => Ok(all.collect()),
        Some(name) => match all.clone().find(|server| server.name() == name) {
            Some(server) => Ok(vec![server]),
            None => Err(format!("there is no server `{name}`")),
        },
    }
}

fn mix(shares: &Value) -> Result<Mix, String> {
    let shares = shares
        .as_object()
        .ok_or("`mix` is an object of faults and shares")?;
    let mut mix = Mix::none();
    for (name, share) in shares {
        let fault: Fault = name
            .parse()
            .map_err(|error: crate::UnknownFault| error.to_string())?;
        match share.as_f64() {
            Some(share @ 0.0..=1.0) => mix = mix.with(fault, share),
            _ => return Err(format!("the share of `{name}` is a number from 0 to 1")),
        }
    }
    Ok(mix)
}

fn tell(server: &Server) -> Value {
    let mix = server.mix();
    let mix = mix
        .shares()
        .iter()
        .map(|(fault, share)| (fault.name().to_owned(), json!(share)));
    json!({
        "name": server.name(),
        "url": server.url(),
        "open": server.is_open(),
        "mix": Value::Object(mix.collect()),
        "counts": server.counts().to_json(),
    })
}

fn nonce(nonce: &str, servers: &[Server]) -> Value {
    let told = servers.iter().map(|server| {
        let received = server.received(nonce);
        let told = json!({
            "requests": received.requests,
            "answers": received.answers,
            "serving": received.serving,
        });
        (server.name().to_owned(), told)
    });
    Value::Object(told.collect())
}
