//! HTTPS: the certificate is checked, and HTTP/2 is spoken where both sides can.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use moltbot_providers::{Client, ClientSettings, Http};
use moltbot_types::{Kind, Next, Retry};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::support::{HELLO, call, spec, target, text};

/// What the HTTP/2 upstream does with each request.
#[derive(Clone, Copy)]
enum Does {
    Answer,
    RefuseTheStream,
    GoAway,
}

/// An HTTPS upstream that speaks HTTP/2 alone; gives its base URL and certificate.
async fn upstream(does: Does) -> (String, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", listener.local_addr().unwrap());
    TaskTracker::new().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // a client that does not trust us hangs up
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            if let Does::GoAway = does {
                go_away(&mut stream).await;
                continue;
            }
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, respond))) = connection.accept().await {
                assert!(request.headers().get("host").is_none());
                answer(does, respond);
            }
        }
    });
    (url, cert.der().clone())
}

fn answer(does: Does, mut respond: h2::server::SendResponse<Bytes>) {
    match does {
        Does::GoAway => {}
        Does::RefuseTheStream => respond.send_reset(h2::Reason::REFUSED_STREAM),
        Does::Answer => {
            let mut head = Response::new(());
            *head.headers_mut() = HeaderMap::new();
            let mut body = respond.send_response(head, false).unwrap();
            body.send_data(Bytes::from_static(HELLO.as_bytes()), true)
                .unwrap();
        }
    }
}

/// Hears a request, and says that it began with none.
async fn go_away(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let go_away = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    stream.write_all(&settings).await.unwrap();
    // the body is the last that is sent
    let mut heard = Vec::new();
    while !heard.ends_with(b"]}") {
        heard.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(&go_away).await.unwrap();
    stream.shutdown().await.unwrap();
}

fn trusting(root: CertificateDer<'static>, url: String) -> Http {
    let settings = ClientSettings {
        roots: vec![root],
        ..ClientSettings::default()
    };
    Http::new(spec(url), Client::new(settings).unwrap()).unwrap()
}

#[tokio::test]
async fn a_trusted_upstream_is_spoken_to_in_http2() {
    let (url, root) = upstream(Does::Answer).await;
    let reply = trusting(root, url).call(call()).await.unwrap();
    assert_eq!(text(reply), HELLO);
}

#[tokio::test]
async fn fm_05_a_certificate_that_nobody_vouches_for_is_no_connection() {
    let (url, _) = upstream(Does::Answer).await;
    let error = target(spec(url)).call(call()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.decision()),
        (Kind::Unavailable, Retry::Anywhere)
    );
    assert_eq!(error.word(), "upstream_tls");
    assert!(error.chain().contains("certificate"), "{}", error.chain());
}

#[tokio::test]
async fn fm_08_what_an_upstream_did_not_begin_may_be_sent_again_here() {
    for does in [Does::RefuseTheStream, Does::GoAway] {
        let (url, root) = upstream(does).await;
        let error = trusting(root, url).call(call()).await.unwrap_err();
        assert_eq!(error.decision(), Retry::Again, "{}", error.chain());
    }
}

#[test]
fn a_root_that_is_no_certificate_is_an_error_of_the_set_up() {
    let settings = ClientSettings {
        roots: vec![CertificateDer::from(vec![1, 2, 3])],
        ..ClientSettings::default()
    };
    assert!(Client::new(settings).is_err());
}
