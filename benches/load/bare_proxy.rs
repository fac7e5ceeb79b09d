//! The floor: the least that a reverse proxy on hyper can do. It forwards every request to one upstream and streams both bodies.

use std::io;
use std::sync::Arc;

use clap::Parser;
use hyper::body::Incoming;
use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use moltbot_benches::{on_one_thread, serve};

/// A reverse proxy that does nothing but forward: the floor that `load` compares with.
#[derive(Parser)]
struct Args {
    /// Host and port of the upstream
    #[arg(long)]
    upstream: Authority,
    /// Port to listen on; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    on_one_thread(async move {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client =
            Arc::new(Client::builder(TokioExecutor::new()).build::<_, Incoming>(connector));
        let upstream = args.upstream;
        serve(args.port, move |mut request: Request<Incoming>| {
            let (client, upstream) = (client.clone(), upstream.clone());
            async move {
                let mut uri = std::mem::take(request.uri_mut()).into_parts();
                uri.scheme = Some(Scheme::HTTP);
                uri.authority = Some(upstream);
                *request.uri_mut() = Uri::from_parts(uri)?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(client.request(request).await?)
            }
        })
        .await
    })
}
