//! The model server of the tests: `model-server PORT [MODE]`. It answers `GET /v1/models`, tells its
//! processes at `/pids`, and ends with status 3 at `/crash`.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, exit, id};
use std::thread::park;
use std::time::{Duration, SystemTime};

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let port = args.next().unwrap_or_default();
    let mode = args.next().unwrap_or_default();
    let mut worker = None;
    match mode.as_str() {
        // Listens on nothing, and does nothing.
        "never" => loop {
            park();
        },
        // Works for two seconds before it listens.
        "slow" => {
            let begun = SystemTime::now();
            while begun
                .elapsed()
                .is_ok_and(|worked| worked < Duration::from_secs(2))
            {}
        }
        // Has a worker that left the process group and would outlive it.
        "worker" => {
            let child = Command::new("sleep").arg("1000").process_group(0).spawn()?;
            worker = Some(child.id());
        }
        "chatter" => {
            println!("a line to stdout");
            eprintln!("a line to stderr");
        }
        _ => {}
    }
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    for stream in listener.incoming() {
        // A connection that breaks concerns only itself.
        let _ = answer(stream?, worker);
    }
    Ok(())
}

fn answer(mut stream: TcpStream, worker: Option<u32>) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let body = match request.split(' ').nth(1) {
        Some("/crash") => exit(3),
        Some("/pids") => format!("{} {}", id(), worker.unwrap_or_default()),
        _ => r#"{"object":"list","data":[]}"#.to_owned(),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    Ok(())
}
