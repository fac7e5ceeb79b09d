//! One request and its whole answer, over a connection of its own.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Position, Url};

use super::place::{Name, Place};
use super::{EdgeError, EdgeRequest, EdgeResponse};

/// Most bytes of an answer's head.
const HEAD: usize = 64 << 10;
/// What belongs to a connection, or to the client: nobody else sets it.
const HOP: [HeaderName; 13] = [
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    EXPECT,
    ACCEPT_ENCODING,
    PROXY_AUTHORIZATION,
    PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
];

/// Whom TLS trusts: the system's authorities and `roots`; nobody where the system has none.
pub(super) fn tls(roots: Vec<CertificateDer<'static>>) -> Result<TlsConnector, EdgeError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| EdgeError::Tls)?;
    let mut store = RootCertStore::empty();
    for root in &roots {
        store.add(root.clone()).map_err(|_| EdgeError::Tls)?;
    }
    let mut config = match Verifier::new_with_extra_roots(roots, provider) {
        Ok(verifier) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth(),
        Err(_) => builder.with_root_certificates(store).with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A request as it is sent, and sent on where it is redirected.
pub(super) struct Sent {
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Sent {
    pub(super) fn new(request: EdgeRequest) -> Self {
        let mut headers = request.headers;
        for name in &HOP {
            headers.remove(name);
        }
        let agent = concat!("moltbot/", env!("CARGO_PKG_VERSION"));
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(agent));
        Self {
            method: request.method,
            headers,
            body: request.body,
        }
    }

    /// Makes ready for another place. Elsewhere gets nothing that may be a secret.
    pub(super) fn redirect(&mut self, status: StatusCode, same: bool) {
        let again = matches!(status.as_u16(), 307 | 308);
        if !again && self.method != Method::HEAD {
            self.method = Method::GET;
            self.body = Bytes::new();
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
                self.headers.remove(name);
            }
        }
        if !same {
            let plain = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];
            let kept = plain
                .into_iter()
                .filter_map(|name| self.headers.remove(&name).map(|value| (name, value)));
            self.headers = kept.collect();
        }
    }

    fn request(&self, url: &Url) -> Result<Request<Full<Bytes>>, EdgeError> {
        let path = &url[Position::BeforePath..Position::AfterQuery];
        // Without the port where it is the scheme's own, as browsers write it.
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = path.parse().map_err(|_| EdgeError::Request)?;
        *request.headers_mut() = self.headers.clone();
        let host = HeaderValue::from_str(host).map_err(|_| EdgeError::Request)?;
        request.headers_mut().insert(HOST, host);
        let identity = HeaderValue::from_static("identity");
        request.headers_mut().insert(ACCEPT_ENCODING, identity);
        Ok(request)
    }
}

/// Sends the request over `stream` and reads an answer of at most `most` bytes.
pub(super) async fn send(
    tls: &TlsConnector,
    stream: TcpStream,
    place: &Place,
    url: &Url,
    sent: &Sent,
    most: usize,
) -> Result<EdgeResponse, EdgeError> {
    let request = sent.request(url)?;
    if url.scheme() == "http" {
        return exchange(stream, request, most).await;
    }
    let name = match &place.host {
        Name::Ip(ip) => ServerName::from(*ip),
        Name::Dns(name) => {
            ServerName::try_from(name.to_string()).map_err(|_| EdgeError::Unreachable)?
        }
    };
    let stream = tls.connect(name, stream).await;
    exchange(stream.map_err(|_| EdgeError::Unreachable)?, request, most).await
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    most: usize,
) -> Result<EdgeResponse, EdgeError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| EdgeError::Unreachable)?;
    let answer = pin!(async move {
        let response = sender.send_request(request).await;
        let (head, body) = response.map_err(|_| EdgeError::Unreachable)?.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => EdgeError::TooLarge,
            false => EdgeError::Unreachable,
        })?;
        let mut headers = head.headers;
        for name in HOP.iter().chain([&SET_COOKIE]) {
            headers.remove(name);
        }
        Ok(EdgeResponse {
            status: head.status,
            headers,
            body: body.to_bytes(),
        })
    });
    // The connection moves only while somebody waits for the answer.
    match select(answer, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, answer)) => answer.await,
    }
}
