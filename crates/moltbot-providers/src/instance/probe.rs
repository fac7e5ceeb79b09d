//! The question whether a server is ready.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use http::uri::{PathAndQuery, Scheme};
use http::{Request, StatusCode, Uri};
use moltbot_types::Pieces;
use tokio::time::timeout;

use crate::connect::Client;
use crate::http::Sent;

/// Asks a server, each time on a new connection: an old one would tell nothing of a server that no
/// longer accepts.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    client: Client,
    path: PathAndQuery,
    limit: Duration,
}

impl Probe {
    pub(super) fn new(client: Client, path: PathAndQuery, limit: Duration) -> Self {
        Self {
            client,
            path,
            limit,
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// What was wrong, in words that follow "the server".
    pub(super) async fn ask(&self, address: SocketAddr) -> Result<(), String> {
        let request = self.request(address).map_err(|error| error.to_string())?;
        let sent = self.client.send_fresh(request, self.limit);
        match timeout(self.limit, sent).await {
            Err(_) => Err(format!("gave no answer within {:?}", self.limit)),
            Ok(Err(error)) => Err(format!("can't be reached: {}", root(&error))),
            Ok(Ok(answer)) => match answer.status() {
                status if status.is_success() => Ok(()),
                // It asks for a key, which the probe has not: it is up.
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok(()),
                status => Err(format!("answers {} to GET {}", status.as_u16(), self.path)),
            },
        }
    }

    fn request(&self, address: SocketAddr) -> Result<Request<Sent>, http::Error> {
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(address.to_string())
            .path_and_query(self.path.clone())
            .build()?;
        Request::get(uri).body(Pieces::default().into())
    }
}

/// The deepest cause, which says most.
fn root(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
