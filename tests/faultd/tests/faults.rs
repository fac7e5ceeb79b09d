//! Each fault, as a client sees it on the wire.

use std::io;
use std::time::Duration;

use moltbot_faultd::{Asked, Fault, Hint, Mix, Rhythm, Server, Settings, Verdict, check};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn server(fault: Fault) -> Server {
    let settings = Settings {
        mix: Mix::always(fault),
        ..Settings::named("a")
    };
    Server::start(settings).await.expect("a port")
}

fn request(stream: bool, nonce: &str) -> String {
    let body = format!(
        r#"{{"model":"m","stream":{stream},"messages":[{{"role":"user","content":"nonce:{nonce}"}}]}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// All bytes until the end, the failure or 200 ms of silence.
async fn ask(server: &Server, stream: bool) -> (String, Result<(), io::ErrorKind>) {
    let mut connection = TcpStream::connect(server.address())
        .await
        .expect("it listens");
    let mut got = Vec::new();
    let result = async {
        connection
            .write_all(request(stream, "n1").as_bytes())
            .await?;
        loop {
            match timeout(Duration::from_millis(200), connection.read_buf(&mut got)).await {
                Ok(read) => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    };
    let result: io::Result<()> = result.await;
    let text = String::from_utf8_lossy(&got).into_owned();
    (text, result.map_err(|error| error.kind()))
}

fn content(answer: &str) -> String {
    let pieces = answer.split("\"content\":\"").skip(1);
    pieces.filter_map(|piece| piece.split('"').next()).collect()
}

#[tokio::test]
async fn without_a_fault_the_answer_is_whole_and_counted() {
    let server = Server::start(Settings::named("a")).await.expect("a port");
    for stream in [false, true] {
        let (answer, _) = ask(&server, stream).await;
        assert_eq!(check(&content(&answer), "n1"), Verdict::Whole, "{answer}");
        assert_eq!(answer.contains("data: [DONE]"), stream);
    }
    let received = server.received("n1");
    assert_eq!(
        (received.requests, received.answers, received.serving),
        (2, 2, 0)
    );
    assert_eq!(server.take_requests().len(), 2);
}

#[tokio::test]
async fn harmless_faults_leave_the_answer_whole() {
    for fault in [Fault::BadEvent, Fault::Dribble, Fault::WrongUsage] {
        for stream in [false, true] {
            let (answer, _) = ask(&server(fault).await, stream).await;
            assert_eq!(
                check(&content(&answer), "n1"),
                Verdict::Whole,
                "{fault}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_is_whole_under_no_other_fault() {
    for (name, fault) in Fault::ALL {
        if fault.is_harmless() || fault == Fault::Huge {
            continue;
        }
        for stream in [false, true] {
            let server = server(fault).await;
            let (answer, result) = ask(&server, stream).await;
            let whole = answer.starts_with("HTTP/1.1 200")
                && check(&content(&answer), "n1") == Verdict::Whole
                && !answer.contains("choices\";");
            assert!(!whole, "{name}: {answer}");
            let expected = match fault {
                Fault::Reset => Err(io::ErrorKind::ConnectionReset),
                Fault::ResetMidway => Err(io::ErrorKind::ConnectionReset),
                Fault::EndEarly | Fault::Truncated => Ok(()),
                _ => Err(io::ErrorKind::TimedOut),
            };
            assert_eq!(result, expected, "{name}, streamed {stream}");
            assert_eq!(server.counts().faults[name], 1);
            assert_eq!(server.received("n1").answers, 0, "{name}");
        }
    }
}

#[tokio::test]
async fn late_faults_come_after_some_content_of_a_stream() {
    for fault in [Fault::HangMidway, Fault::ResetMidway, Fault::EndEarly] {
        let (answer, _) = ask(&server(fault).await, true).await;
        let text = content(&answer);
        assert!(!text.is_empty(), "{fault}");
        assert_eq!(check(&text, "n1"), Verdict::Cut, "{fault}");
        assert!(
            !answer.contains("[DONE]") && !answer.contains("\"stop\""),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn a_closed_server_refuses_resets_its_connections_and_comes_back() {
    let server = server(Fault::HangBeforeHeaders).await;
    let address = server.address();
    let mut held = TcpStream::connect(address).await.expect("it listens");
    held.write_all(request(false, "n1").as_bytes())
        .await
        .expect("sent");
    while server.counts().serving == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    server.close().await;
    let refused = TcpStream::connect(address).await.expect_err("it is closed");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let cut = held.read_u8().await.expect_err("it was reset");
    assert_eq!(cut.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(server.received("n1").serving, 0);

    server.open().await;
    TcpStream::connect(address).await.expect("it is open again");
}

#[tokio::test]
async fn a_caller_that_leaves_is_seen_at_once() {
    let server = server(Fault::HangAfterHeaders).await;
    let mut caller = TcpStream::connect(server.address())
        .await
        .expect("it listens");
    caller
        .write_all(request(true, "n9").as_bytes())
        .await
        .expect("sent");
    caller.read_u8().await.expect("headers");
    assert_eq!(server.received("n9").serving, 1);
    drop(caller);
    let gone = async {
        while server.received("n9").serving > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(1), gone)
        .await
        .expect("it is seen");
}

#[tokio::test]
async fn a_rhythm_refuses_its_share_of_connections() {
    let settings = Settings {
        rhythm: Some(Rhythm {
            period: Duration::from_millis(40),
            closed: Duration::from_millis(20),
            phase: Duration::ZERO,
        }),
        ..Settings::named("a")
    };
    let server = Server::start(settings).await.expect("a port");
    let mut refused = 0;
    for _ in 0..200 {
        refused += u32::from(TcpStream::connect(server.address()).await.is_err());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!((40..=160).contains(&refused), "{refused} of 200");
}

#[test]
fn an_ask_without_a_nonce_has_one_all_the_same() {
    assert_eq!(Asked::default().nonce, "none");
}

#[tokio::test]
async fn a_request_that_cuts_a_pause_short_is_counted() {
    let server = server(Fault::RateLimited(Hint::Seconds)).await;
    for early in 0..3 {
        // Each takes 200 ms, the silence after the answer.
        let (answer, _) = ask(&server, false).await;
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        assert_eq!(server.counts().early, early);
    }
}
