//! WebSockets to platforms, within bounds.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::channel::ChannelError;

/// A socket, with TLS or without.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Most bytes of a message.
const LIMIT: usize = 4 * 1024 * 1024;

/// Opens a socket within 10 s. Its address holds a ticket, which no error tells.
pub(super) async fn connect(url: &str) -> Result<Socket, ChannelError> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT));
    let connected = connect_async_with_config(url, Some(config), true);
    match timeout(Duration::from_secs(10), connected).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(ChannelError(format!("no socket: {error}"))),
        Err(_) => Err(ChannelError("no socket within 10 s".to_owned())),
    }
}
