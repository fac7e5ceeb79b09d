//! HTTP that two readers could read in two ways, or that is none.

use super::{Expect, Maker};
use Expect::{Either, Refused, Served};

/// Framings of a body that contradict themselves or are not to be trusted: headers, and what follows them.
///
/// `{n}` is the length of the good body, `{body}` the good body, `{chunked}` the same in one chunk.
#[rustfmt::skip] // a row a case
const FRAMINGS: &[(&str, Expect, &str, &str)] = &[
    ("length and chunked", Refused, "content-length: {n}\r\ntransfer-encoding: chunked", "{chunked}"),
    ("chunked and length", Refused, "transfer-encoding: chunked\r\ncontent-length: {n}", "{chunked}"),
    ("length 0 and chunked", Refused, "content-length: 0\r\ntransfer-encoding: chunked", "{chunked}"),
    ("length and identity", Refused, "content-length: {n}\r\ntransfer-encoding: identity", "{body}"),
    ("two lengths", Refused, "content-length: {n}\r\ncontent-length: 1", "{body}"),
    ("two lengths, the small one first", Refused, "content-length: 1\r\ncontent-length: {n}", "{body}"),
    ("the same length twice", Either, "content-length: {n}\r\ncontent-length: {n}", "{body}"),
    ("a list of the same length", Either, "content-length: {n}, {n}", "{body}"),
    ("a list of lengths", Refused, "content-length: {n}, 1", "{body}"),
    ("length with plus", Refused, "content-length: +{n}", "{body}"),
    ("length with minus", Refused, "content-length: -{n}", "{body}"),
    ("length in hex", Refused, "content-length: 0x{n}", "{body}"),
    ("length with a point", Refused, "content-length: {n}.0", "{body}"),
    ("length with a letter", Refused, "content-length: {n}a", "{body}"),
    ("length with a blank inside", Refused, "content-length: 1 {n}", "{body}"),
    ("empty length", Refused, "content-length:", "{body}"),
    ("length of 30 digits", Refused, "content-length: 999999999999999999999999999999", "{body}"),
    ("length over 64 bits", Refused, "content-length: 18446744073709551617", "{body}"),
    ("xchunked", Refused, "transfer-encoding: xchunked", "{chunked}"),
    ("chunked, then gzip", Refused, "transfer-encoding: chunked, gzip", "{chunked}"),
    ("gzip, then chunked", Refused, "transfer-encoding: gzip, chunked", "{chunked}"),
    ("identity", Refused, "transfer-encoding: identity", "{body}"),
    ("chunked twice", Refused, "transfer-encoding: chunked, chunked", "{chunked}"),
    ("chunked in two headers", Refused, "transfer-encoding: chunked\r\ntransfer-encoding: chunked", "{chunked}"),
    ("chunked and identity in two headers", Refused, "transfer-encoding: chunked\r\ntransfer-encoding: identity", "{chunked}"),
    ("identity and chunked in two headers", Refused, "transfer-encoding: identity\r\ntransfer-encoding: chunked", "{chunked}"),
    ("chunked in quotes", Refused, "transfer-encoding: \"chunked\"", "{chunked}"),
    ("chunked with a vertical tab", Refused, "transfer-encoding: \x0bchunked", "{chunked}"),
    ("chunked with NUL", Refused, "transfer-encoding: chunked\0", "{chunked}"),
    ("chunked with a parameter", Refused, "transfer-encoding: chunked;q=1", "{chunked}"),
    ("chunked with a comma", Either, "transfer-encoding: chunked,", "{chunked}"),
    ("empty transfer encoding", Refused, "transfer-encoding:", "{chunked}"),
    ("a blank before the colon of chunked", Refused, "transfer-encoding : chunked", "{chunked}"),
    ("a blank before the colon of length", Refused, "content-length : {n}", "{body}"),
    ("a folded chunked", Refused, "transfer-encoding:\r\n chunked", "{chunked}"),
    ("a folded length", Refused, "content-length:\r\n {n}", "{body}"),
    ("a folded header", Refused, "content-length: {n}\r\nx-a: b\r\n c", "{body}"),
    ("a folded first header", Refused, " x-a: b\r\ncontent-length: {n}", "{body}"),
    ("chunked in capitals", Either, "transfer-encoding: CHUNKED", "{chunked}"),
    ("good chunks", Served, "transfer-encoding: chunked", "{chunked}"),
    ("a chunk size with 0x", Refused, "transfer-encoding: chunked", "0x{x}\r\n{body}\r\n0\r\n\r\n"),
    ("a chunk size with plus", Refused, "transfer-encoding: chunked", "+{x}\r\n{body}\r\n0\r\n\r\n"),
    ("a chunk size with minus", Refused, "transfer-encoding: chunked", "-{x}\r\n{body}\r\n0\r\n\r\n"),
    ("a chunk size with an underscore", Refused, "transfer-encoding: chunked", "{x}_\r\n{body}\r\n0\r\n\r\n"),
    ("an empty chunk size", Refused, "transfer-encoding: chunked", "\r\n{body}\r\n0\r\n\r\n"),
    ("a chunk size over 64 bits", Refused, "transfer-encoding: chunked", "ffffffffffffffff1\r\n{body}\r\n0\r\n\r\n"),
    ("a chunk size of 64 bits", Refused, "transfer-encoding: chunked", "ffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
    ("a chunk without its line end", Refused, "transfer-encoding: chunked", "{x}\r\n{body}0\r\n\r\n"),
    ("a chunk that is too long", Refused, "transfer-encoding: chunked", "{x}\r\n{body}more\r\n0\r\n\r\n"),
    ("a chunk size that ends in LF", Refused, "transfer-encoding: chunked", "{x}\n{body}\r\n0\r\n\r\n"),
    ("a chunk that ends in LF", Refused, "transfer-encoding: chunked", "{x}\r\n{body}\n0\r\n\r\n"),
    ("a chunk extension", Either, "transfer-encoding: chunked", "{x};a=b\r\n{body}\r\n0\r\n\r\n"),
    ("a chunk extension with LF", Refused, "transfer-encoding: chunked", "{x};a\nb\r\n{body}\r\n0\r\n\r\n"),
    ("a trailer", Either, "transfer-encoding: chunked", "{x}\r\n{body}\r\n0\r\nx-a: b\r\n\r\n"),
    ("a trailer with a length", Either, "transfer-encoding: chunked", "{x}\r\n{body}\r\n0\r\ncontent-length: 5\r\n\r\n"),
    ("chunks that never end", Refused, "transfer-encoding: chunked", "{x}\r\n{body}\r\n"),
    ("a body that never ends", Refused, "content-length: 99999", "{body}"),
    ("a body over the limit", Refused, "content-length: 2000000", "{body}"),
    ("no framing at all", Refused, "x-a: b", "{body}"),
];

/// Framings that promise more than comes.
const ENDLESS: [&str; 3] = [
    "a chunk size of 64 bits",
    "chunks that never end",
    "a body that never ends",
];

/// Headers that are no headers, or that must not travel; the body is good.
#[rustfmt::skip] // a row a case
const HEADERS: &[(&str, Expect, &str)] = &[
    ("no colon", Refused, "x-a"),
    ("an empty name", Refused, ": b"),
    ("a blank in a name", Refused, "x a: b"),
    ("a tab before the colon", Refused, "x-a\t: b"),
    ("a parenthesis in a name", Refused, "x(a): b"),
    ("NUL in a name", Refused, "x\0a: b"),
    ("NUL in a value", Refused, "x-a: b\0c"),
    ("CR in a value", Refused, "x-a: b\rc"),
    ("CR in a value before a header", Refused, "x-a: b\rcontent-length: 1"),
    ("an escape in a value", Refused, "x-a: b\x1bc"),
    ("DEL in a value", Refused, "x-a: b\x7fc"),
    ("LF between headers", Refused, "x-a: b\nx-b: c"),
    ("LF before a length", Refused, "x-a: b\ncontent-length: 1"),
    ("UTF-8 in a value", Either, "x-a: ä"),
    ("UTF-8 in a name", Refused, "x-ä: b"),
    ("a second host", Refused, "host: other.example"),
    ("a pseudo header", Refused, ":path: /"),
    ("another coding", Refused, "content-encoding: br"),
    ("an unknown coding", Refused, "content-encoding: lab"),
    ("two codings", Refused, "content-encoding: gzip, gzip"),
    ("gzip that is none", Refused, "content-encoding: gzip"),
    ("zstd that is none", Refused, "content-encoding: zstd"),
    ("an unknown expectation", Either, "expect: 200-maybe"),
    ("a foreign origin", Refused, "origin: https://other.example"),
    ("an upgrade with a body", Refused, "connection: upgrade\r\nupgrade: websocket"),
    ("an upgrade to h2c", Refused, "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__"),
    ("connection names the length", Either, "connection: content-length"),
    ("connection names the host", Either, "connection: host, close"),
    ("a proxy's connection", Either, "proxy-connection: keep-alive"),
    ("a forwarded host", Either, "x-forwarded-host: other.example"),
    ("a method override", Either, "x-http-method-override: DELETE"),
    ("an original URL", Either, "x-original-url: /admin/v1/status"),
    ("an underscore in a name", Either, "content_length: 1"),
    ("te: trailers", Either, "te: trailers"),
    ("a second content type", Either, "content-type: text/plain"),
];

/// Request lines; `{a}` is the daemon's address.
#[rustfmt::skip] // a row a case
const LINES: &[(&str, Expect, &str)] = &[
    ("HTTP/1.2", Either, "POST /v1/chat/completions HTTP/1.2"),
    ("HTTP/2.0", Refused, "POST /v1/chat/completions HTTP/2.0"),
    ("HTTP/3", Refused, "POST /v1/chat/completions HTTP/3"),
    ("HTTP/11", Refused, "POST /v1/chat/completions HTTP/11"),
    ("http in small letters", Refused, "POST /v1/chat/completions http/1.1"),
    ("no version", Refused, "POST /v1/chat/completions"),
    ("no path", Refused, "POST HTTP/1.1"),
    ("two blanks before the path", Refused, "POST  /v1/chat/completions HTTP/1.1"),
    ("two blanks before the version", Refused, "POST /v1/chat/completions  HTTP/1.1"),
    ("tabs", Refused, "POST\t/v1/chat/completions\tHTTP/1.1"),
    ("a blank in the path", Refused, "POST /v1/chat /completions HTTP/1.1"),
    ("a blank at the start", Refused, " POST /v1/chat/completions HTTP/1.1"),
    ("NUL in the path", Refused, "POST /v1/chat\0/completions HTTP/1.1"),
    ("a fragment", Either, "POST /v1/chat/completions#a HTTP/1.1"),
    ("UTF-8 in the path", Refused, "POST /v1/chat/completionsä HTTP/1.1"),
    ("a path without slash", Refused, "POST v1/chat/completions HTTP/1.1"),
    ("a star", Refused, "POST * HTTP/1.1"),
    ("dots", Refused, "POST /v1/../v1/chat/completions HTTP/1.1"),
    ("dots to admin", Refused, "GET /v1/../admin/v1/status HTTP/1.1"),
    ("admin on the data plane", Refused, "GET /admin/v1/status HTTP/1.1"),
    ("double slashes", Refused, "POST //v1//chat//completions HTTP/1.1"),
    ("percent without digits", Refused, "POST /v1/chat/completions%zz HTTP/1.1"),
    ("an encoded slash", Refused, "POST /v1%2fchat%2fcompletions HTTP/1.1"),
    ("an encoded NUL", Refused, "POST /v1/chat/completions%00 HTTP/1.1"),
    ("an encoded line end in the query", Either, "POST /v1/chat/completions?a=%0d%0ax:%20y HTTP/1.1"),
    ("another host in the URI", Refused, "POST http://other.example/v1/chat/completions HTTP/1.1"),
    ("our host in the URI", Either, "POST http://{a}/v1/chat/completions HTTP/1.1"),
    ("https in the URI", Either, "POST https://{a}/v1/chat/completions HTTP/1.1"),
    ("a user in the URI", Refused, "POST http://user@other.example/v1/chat/completions HTTP/1.1"),
    ("a small method", Refused, "post /v1/chat/completions HTTP/1.1"),
    ("an unknown method", Refused, "LAB /v1/chat/completions HTTP/1.1"),
    ("CONNECT", Refused, "CONNECT {a} HTTP/1.1"),
    ("TRACE", Refused, "TRACE /v1/chat/completions HTTP/1.1"),
    ("DELETE", Refused, "DELETE /v1/chat/completions HTTP/1.1"),
    ("PUT", Refused, "PUT /v1/chat/completions HTTP/1.1"),
    ("GET with a body", Refused, "GET /v1/chat/completions HTTP/1.1"),
    ("a method of 1,000 letters", Refused, "{M} /v1/chat/completions HTTP/1.1"),
    ("a path of 70,000 bytes", Refused, "POST /v1/chat/completions?{L} HTTP/1.1"),
];

/// Hosts; the rest is good.
#[rustfmt::skip] // a row a case
const HOSTS: &[(&str, Expect, &str)] = &[
    ("no host", Refused, ""),
    ("an empty host", Refused, "host:\r\n"),
    ("a foreign host", Refused, "host: other.example\r\n"),
    ("a host with a path", Refused, "host: {a}/x\r\n"),
    ("a host with a user", Refused, "host: user@{a}\r\n"),
    ("a host with blanks", Refused, "host: {a} other.example\r\n"),
    ("two hosts in one", Refused, "host: {a}, other.example\r\n"),
    ("a host with another port", Either, "host: 127.0.0.1:1\r\n"),
    ("a host with a port that is none", Refused, "host: 127.0.0.1:port\r\n"),
    ("localhost", Either, "host: localhost\r\n"),
    ("a foreign host that ends in ours", Refused, "host: 127.0.0.1.other.example\r\n"),
];

pub(super) fn add(maker: &mut Maker) {
    let address = maker.address.to_string();
    for (name, expect, headers, content) in FRAMINGS {
        // A second request hides behind the body; where the header stands must not matter.
        for (variant, hidden) in [("", false), (" + hidden request", true)] {
            for first in [true, false] {
                let body = maker.body();
                let fill = |text: &str| {
                    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
                    text.replace("{chunked}", &chunked)
                        .replace("{body}", &body)
                        .replace("{n}", &body.len().to_string())
                        .replace("{x}", &format!("{:x}", body.len()))
                };
                let (headers, host) = (fill(headers), format!("host: {address}"));
                let (one, two) = if first {
                    (&headers, &host)
                } else {
                    (&host, &headers)
                };
                if first && headers.starts_with(' ') && hidden {
                    continue;
                }
                let mut text = format!(
                    "POST /v1/chat/completions HTTP/1.1\r\n{one}\r\ncontent-type: application/json\r\n{two}\r\n\r\n{}",
                    fill(content)
                );
                if hidden {
                    // It is good HTTP after a good request: then both are served, each for itself.
                    if *expect != Refused {
                        continue;
                    }
                    text.push_str(&format!(
                        "GET /v1/models/hidden HTTP/1.1\r\nhost: {address}\r\n\r\n"
                    ));
                }
                let place = if first { "before host" } else { "after host" };
                maker.add(format!("{name}, {place}{variant}"), *expect, text);
                if ENDLESS.contains(name) {
                    maker.endless();
                }
            }
        }
    }
    for (name, expect, header) in HEADERS {
        for stream in [false, true] {
            let mut body = maker.body();
            if stream {
                body.insert_str(1, "\"stream\":true,");
            }
            let text = format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\n{header}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            maker.add(format!("{name}, streamed {stream}"), *expect, text);
        }
    }
    for (name, expect, line) in LINES {
        let line = line
            .replace("{a}", &address)
            .replace("{M}", &"M".repeat(1000))
            .replace("{L}", &"l".repeat(70_000));
        let text = request(&line, &format!("host: {address}\r\n"), &maker.body());
        maker.add(*name, *expect, text);
    }
    for (name, expect, host) in HOSTS {
        let host = host.replace("{a}", &address);
        let text = request("POST /v1/chat/completions HTTP/1.1", &host, &maker.body());
        maker.add(*name, *expect, text);
    }
    whole(maker, &address);
}

fn request(line: &str, host: &str, body: &str) -> String {
    format!(
        "{line}\r\n{host}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Cases that are bad as a whole.
fn whole(maker: &mut Maker, address: &str) {
    let good = request(
        "POST /v1/chat/completions HTTP/1.1",
        &format!("host: {address}\r\n"),
        &maker.body(),
    );
    maker.add("a good request", Served, good);
    let body = maker.body();
    let old = format!(
        "POST /v1/chat/completions HTTP/1.0\r\nhost: {address}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    maker.add("chunks in HTTP/1.0", Refused, old);
    let lines = request(
        "POST /v1/chat/completions HTTP/1.1",
        &format!("host: {address}\r\n"),
        &maker.body(),
    );
    maker.add("LF for all line ends", Refused, lines.replace("\r\n", "\n"));
    let lines = request(
        "POST /v1/chat/completions HTTP/1.1",
        &format!("host: {address}\r\n"),
        &maker.body(),
    );
    maker.add("CR for all line ends", Refused, lines.replace("\r\n", "\r"));
    maker.or_closed();
    for count in [101, 1000] {
        let many: String = (0..count).map(|at| format!("x-{at}: y\r\n")).collect();
        let text = request(
            "POST /v1/chat/completions HTTP/1.1",
            &format!("host: {address}\r\n{many}"),
            &maker.body(),
        );
        maker.add(format!("{count} headers"), Refused, text);
    }
    for size in [40_000, 400_000] {
        let long = format!("host: {address}\r\nx-a: {}\r\n", "a".repeat(size));
        let text = request("POST /v1/chat/completions HTTP/1.1", &long, &maker.body());
        maker.add(format!("a header of {size} bytes"), Refused, text);
    }
    for (name, bytes) in [
        ("HTTP/0.9", b"GET /\r\n".to_vec()),
        (
            "the preface of HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
        ),
        (
            "a greeting of TLS",
            b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".repeat(20),
        ),
        ("SSH", b"SSH-2.0-lab\r\n".to_vec()),
        ("SMTP", b"EHLO lab\r\n\r\n".to_vec()),
        ("Redis", b"*1\r\n$4\r\nPING\r\n".to_vec()),
        (
            "a PROXY line",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
        ),
        ("zero bytes", vec![0; 4096]),
        ("all bytes", (0..=255).collect()),
        ("line ends alone", b"\r\n".repeat(100)),
        (
            "a head that never ends",
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: ".to_vec(),
        ),
        ("half a request line", b"POST /v1/ch".to_vec()),
    ] {
        maker.add(name, Refused, bytes);
        maker.or_closed();
        // Where HTTP/2 is spoken, its preface opens a connection that may wait.
        if name == "the preface of HTTP/2" {
            maker.endless();
        }
    }
}
