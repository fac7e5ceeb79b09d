//! HTTP/2 clients that ask for much and read nothing.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{PATIENCE, Running, get, settings};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET / HTTP/2` in HPACK's static table, with an empty authority.
const HEAD: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0];
/// The same for a path whose answer never ends: `/stream`.
const ENDLESS: &[u8] = b"\x82\x86\x41\x00\x44\x07/stream";
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Ids of the streams that a client opens.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// Sends the preface and these frames; gives the code with which the server says goodbye.
async fn goodbye(server: &Running, frames: Vec<u8>) -> Option<u32> {
    let (mut reader, mut writer) = TcpStream::connect(server.address())
        .await
        .unwrap()
        .into_split();
    let writing = async {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        bytes.extend(frames);
        // the server may hang up before all of it is written
        let _ = writer.write_all(&bytes).await;
    };
    let reading = async {
        let mut head = [0; 9];
        while reader.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            reader.read_exact(&mut payload).await.ok()?;
            if head[3] == GOAWAY {
                return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        None
    };
    let both = async { tokio::join!(writing, reading).1 };
    timeout(PATIENCE, both).await.expect("no goodbye")
}

/// The server has no request left and still answers others.
async fn is_well(server: &Running) {
    server.until_in_flight(0).await;
    let mut client = server.connect().await;
    client.send(&get("/a")).await;
    client.until("you asked for /a").await;
}

#[tokio::test]
async fn fm_52_streams_that_are_reset_as_fast_as_they_are_opened_end_the_connection() {
    let server = Running::start(settings()).await;
    let cancel = 8_u32.to_be_bytes();
    let flood = streams(5_000).flat_map(|id| {
        let open = frame(HEADERS, END_STREAM | END_HEADERS, id, ENDLESS);
        [open, frame(RST_STREAM, 0, id, &cancel)].concat()
    });
    let code = goodbye(&server, flood.collect()).await;
    assert_eq!(code, Some(ENHANCE_YOUR_CALM));
    is_well(&server).await;
}

#[tokio::test]
async fn fm_52_streams_that_the_server_is_made_to_reset_end_the_connection() {
    let server = Running::start(settings()).await;
    // an increment of nothing is an error of the stream
    let flood = streams(5_000).flat_map(|id| {
        let open = frame(HEADERS, END_STREAM | END_HEADERS, id, ENDLESS);
        [open, frame(WINDOW_UPDATE, 0, id, &[0; 4])].concat()
    });
    assert!(goodbye(&server, flood.collect()).await.is_some());
    is_well(&server).await;
}

#[tokio::test]
async fn fm_52_a_head_without_end_ends_the_connection() {
    let server = Running::start(settings()).await;
    let mut flood = frame(HEADERS, END_STREAM, 1, HEAD);
    let field = [b"\x00\x03x-a\x64".to_vec(), vec![b'a'; 100]].concat();
    let more = frame(CONTINUATION, 0, 1, &field.repeat(100));
    flood.extend(more.repeat(100));
    assert!(goodbye(&server, flood).await.is_some());
    is_well(&server).await;
}

#[tokio::test]
async fn fm_52_only_so_many_streams_are_served_at_once() {
    let server = Running::start(settings()).await;
    let mut sender = server.http2().await;
    sender.ready().await.unwrap();
    let answers = (0..200).map(|_| {
        let request = http::Request::get("http://x/never");
        sender.send_request(request.body(http_body_util::Empty::new()).unwrap())
    });
    let mut answers = futures_util::future::join_all(answers);
    let asking = std::future::poll_fn(|cx| std::pin::Pin::new(&mut answers).poll(cx));
    tokio::select! {
        _ = asking => panic!("/never was answered"),
        () = server.until_in_flight(100) => {}
    }
    // the others wait with the client
    let more = timeout(
        std::time::Duration::from_millis(100),
        server.until_in_flight(101),
    )
    .await;
    assert!(more.is_err());
}
