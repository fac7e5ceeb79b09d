//! What the guard lets through: one table of spellings, and a network of our own.

mod table;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{LazyLock, Mutex};

use async_trait::async_trait;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::address::{Reach, reach};
use super::*;

const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// With the settings that nobody changed; made once, for it reads the system's authorities.
static EDGE: LazyLock<Edge> = LazyLock::new(|| Edge::new(EdgeSettings::default()).unwrap());

/// A network where every address is one server on this machine, which notes what it was asked.
struct Fake {
    server: SocketAddr,
    /// What a name leads to, one answer a look-up; the last one stays.
    names: Mutex<VecDeque<Vec<IpAddr>>>,
    dialled: Mutex<Vec<SocketAddr>>,
}

#[async_trait]
impl Net for Fake {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut names = self.names.lock().unwrap();
        Ok(match names.len() {
            0 | 1 => names.front().cloned().unwrap_or_default(),
            _ => names.pop_front().unwrap_or_default(),
        })
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        self.dialled.lock().unwrap().push(address);
        // From another address than the server's: not a connection to itself.
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind("127.0.0.9:0".parse().unwrap())?;
        socket.connect(self.server).await
    }
}

/// A server that gives each connection the next answer, and keeps what it was sent.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

async fn server(answers: &[&'static str]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let (noted, answers) = (Arc::clone(&asked), answers.to_vec());
    let serve = async move {
        for n in 0.. {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            noted.lock().unwrap().push(text);
            let answer = answers[n % answers.len()];
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    };
    let task = TaskTracker::new().spawn(serve);
    Server {
        address,
        asked,
        _task: AbortOnDropHandle::new(task),
    }
}

const HELLO: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nset-cookie: a=b\r\nx-mark: 1\r\n\r\nhello";

fn edge(server: &Server, names: &[&[IpAddr]], settings: EdgeSettings) -> (Edge, Arc<Fake>) {
    let net = Arc::new(Fake {
        server: server.address,
        names: Mutex::new(names.iter().map(|found| found.to_vec()).collect()),
        dialled: Mutex::default(),
    });
    let edge = Edge {
        net: Arc::clone(&net) as Arc<dyn Net>,
        ..EDGE.with(settings)
    };
    (edge, net)
}

async fn get(edge: &Edge, url: &str) -> Result<EdgeResponse, EdgeError> {
    edge.fetch(EdgeRequest::get(url)).await
}

#[tokio::test]
async fn a_public_place_is_fetched_without_cookies_and_without_headers_of_the_connection() {
    let server = server(&[HELLO]).await;
    let (edge, net) = edge(&server, &[&[PUBLIC]], EdgeSettings::default());
    let mut request = EdgeRequest::get("http://Example.COM/a?b=c#d");
    for (name, value) in [
        ("host", "evil"),
        ("connection", "upgrade"),
        ("x-own", "kept"),
        ("transfer-encoding", "chunked"),
    ] {
        request.headers.insert(name, value.parse().unwrap());
    }
    let answer = edge.fetch(request).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &*answer.body),
        (200, &b"hello"[..])
    );
    assert!(answer.headers.contains_key("x-mark"));
    assert!(!answer.headers.contains_key("set-cookie"));
    let asked = server.asked.lock().unwrap()[0].to_lowercase();
    assert!(asked.starts_with("get /a?b=c http/1.1\r\n"), "{asked}");
    assert!(asked.contains("host: example.com\r\n"), "{asked}");
    assert!(asked.contains("x-own: kept") && !asked.contains("evil"));
    assert!(!asked.contains("upgrade") && !asked.contains("chunked"));
    assert_eq!(*net.dialled.lock().unwrap(), [SocketAddr::new(PUBLIC, 80)]);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let server = server(&[HELLO]).await;
    let names: &[&[IpAddr]] = &[&[PUBLIC], &[LOOPBACK], &[LOOPBACK, PUBLIC]];
    let (edge, net) = edge(&server, names, EdgeSettings::default());
    let first = get(&edge, "http://rebind.example/").await;
    let second = get(&edge, "http://rebind.example/").await;
    let third = get(&edge, "http://rebind.example/").await;
    assert!(first.is_ok() && third.is_ok());
    assert_eq!(second.unwrap_err(), EdgeError::Unreachable);
    let dialled = net.dialled.lock().unwrap();
    assert!(
        dialled.iter().all(|address| address.ip() == PUBLIC),
        "{dialled:?}"
    );
    assert_eq!(dialled.len(), 2);
}

#[tokio::test]
async fn an_error_does_not_tell_what_stands_behind_a_name() {
    let server = server(&["nonsense"]).await;
    let mut seen = Vec::new();
    for found in [
        &[][..],
        &[LOOPBACK],
        &[IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254))],
        &[PUBLIC],
    ] {
        let (edge, _) = edge(&server, &[found], EdgeSettings::default());
        seen.push(get(&edge, "http://name.example/secret").await.unwrap_err());
        seen.push(get(&edge, "https://name.example/secret").await.unwrap_err());
    }
    assert!(seen.iter().all(|error| *error == EdgeError::Unreachable));
    let words = EdgeError::Unreachable.to_string();
    assert!(!words.contains("secret") && !words.contains("name.example"));
}

#[tokio::test]
async fn each_redirect_is_checked_and_elsewhere_gets_no_secret() {
    let elsewhere =
        "HTTP/1.1 302 Found\r\nlocation: http://other.example/b\r\ncontent-length: 0\r\n\r\n";
    let follow = EdgeSettings {
        redirects: 5,
        ..EdgeSettings::default()
    };
    let good = server(&[elsewhere, HELLO]).await;
    let (edge, _) = edge(&good, &[&[PUBLIC]], follow.clone());
    let mut request = EdgeRequest::get("http://one.example/a");
    request.method = Method::POST;
    request.body = Bytes::from_static(b"body-of-mine");
    for name in ["authorization", "cookie", "x-api-key"] {
        request.headers.insert(name, "canary".parse().unwrap());
    }
    assert_eq!(&*edge.fetch(request).await.unwrap().body, b"hello");
    let asked = good.asked.lock().unwrap().clone();
    assert!(asked[0].contains("canary") && asked[0].contains("body-of-mine"));
    assert!(asked[1].starts_with("GET /b ") && !asked[1].contains("canary"));

    for location in [
        "http://127.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://other.example:22/",
        "file:///etc/passwd",
        "http://user@other.example/",
        "http://0x7f.1/",
    ] {
        let answer =
            format!("HTTP/1.1 307 Go\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let bad = server(&[Box::leak(answer.into_boxed_str())]).await;
        let (edge, net) = self::edge(&bad, &[&[PUBLIC]], follow.clone());
        assert!(
            get(&edge, "http://one.example/").await.is_err(),
            "{location}"
        );
        assert_eq!(net.dialled.lock().unwrap().len(), 1, "{location}");
    }

    let circle = server(&[elsewhere]).await;
    let (edge, net) = self::edge(&circle, &[&[PUBLIC]], follow);
    assert_eq!(
        get(&edge, "http://one.example/").await.unwrap_err(),
        EdgeError::Unreachable
    );
    assert_eq!(net.dialled.lock().unwrap().len(), 6);

    let (edge, net) = self::edge(&circle, &[&[PUBLIC]], EdgeSettings::default());
    assert_eq!(get(&edge, "http://one.example/").await.unwrap().status, 302);
    assert_eq!(net.dialled.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_is_bounded_with_and_without_a_length() {
    let told = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world";
    let untold = "HTTP/1.1 200 OK\r\n\r\nhello world";
    let settings = EdgeSettings {
        body: 10,
        ..EdgeSettings::default()
    };
    for answer in [told, untold] {
        let server = server(&[answer]).await;
        let (small, _) = edge(&server, &[&[PUBLIC]], settings.clone());
        assert_eq!(
            get(&small, "http://a.example").await.unwrap_err(),
            EdgeError::TooLarge
        );
        let (large, _) = edge(&server, &[&[PUBLIC]], EdgeSettings::default());
        assert_eq!(
            get(&large, "http://a.example").await.unwrap().body.len(),
            11
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_left_after_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = Server {
        address: listener.local_addr().unwrap(),
        asked: Arc::default(),
        _task: AbortOnDropHandle::new(TaskTracker::new().spawn(async {})),
    };
    let (edge, _) = edge(&silent, &[&[PUBLIC]], EdgeSettings::default());
    let begun = tokio::time::Instant::now();
    assert_eq!(
        get(&edge, "http://slow.example").await.unwrap_err(),
        EdgeError::Unreachable
    );
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_private_place_is_asked_where_it_is_named_and_only_on_its_port() {
    let place = |text: &str| text.parse::<Place>().unwrap();
    let server = server(&[HELLO]).await;
    let settings = EdgeSettings {
        private: vec![place("crm.example:8080"), place("10.0.0.5:9000")],
        ..EdgeSettings::default()
    };
    let (edge, _) = edge(&server, &[&[LOOPBACK]], settings);
    assert!(get(&edge, "http://crm.example:8080/").await.is_ok());
    assert!(get(&edge, "http://10.0.0.5:9000/").await.is_ok());
    assert!(get(&edge, "http://crm.example/").await.is_err());
    assert!(get(&edge, "http://10.0.0.5/").await.is_err());
    assert!(get(&edge, "http://other.example/").await.is_err());
}

#[tokio::test]
async fn a_name_never_leads_to_a_metadata_service_even_where_it_is_named() {
    let metadata = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
    let server = server(&[HELLO]).await;
    let settings = EdgeSettings {
        private: vec!["crm.example:80".parse().unwrap()],
        ..EdgeSettings::default()
    };
    let (edge, net) = edge(&server, &[&[metadata]], settings);
    assert!(get(&edge, "http://crm.example/").await.is_err());
    assert!(net.dialled.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_means_only_and_a_name_in_it_may_not_be_private() {
    let place = |text: &str| text.parse::<Place>().unwrap();
    let server = server(&[HELLO]).await;
    let settings = EdgeSettings::only(vec![place("api.example:80"), place("10.0.0.5:80")]);
    let (public, _) = edge(&server, &[&[PUBLIC]], settings.clone());
    assert!(get(&public, "http://api.example").await.is_ok());
    assert!(get(&public, "http://10.0.0.5").await.is_ok());
    assert_eq!(
        get(&public, "http://other.example").await.unwrap_err(),
        EdgeError::Refused
    );
    assert_eq!(
        get(&public, "https://api.example").await.unwrap_err(),
        EdgeError::Refused
    );
    let (private, _) = edge(&server, &[&[LOOPBACK]], settings);
    assert!(get(&private, "http://api.example").await.is_err());
}

#[tokio::test]
async fn our_own_listeners_are_never_asked_even_where_they_are_named() {
    let server = server(&[HELLO]).await;
    let place: Place = server.address.to_string().parse().unwrap();
    let settings = EdgeSettings {
        private: vec![place],
        ..EdgeSettings::default()
    };
    let url = format!("http://{}/", server.address);
    let edge = EDGE.with(settings.clone());
    assert!(get(&edge, &url).await.is_ok());
    let own = EdgeSettings {
        own: vec![SocketAddr::new(
            Ipv4Addr::UNSPECIFIED.into(),
            server.address.port(),
        )],
        ..settings
    };
    assert_eq!(
        get(&edge.with(own), &url).await.unwrap_err(),
        EdgeError::Unreachable
    );
    assert_eq!(server.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn tls_is_spoken_with_whom_an_authority_vouches_for() {
    let made = rcgen::generate_simple_self_signed(["good.example".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(HELLO.as_bytes()).await;
        }
    };
    let server = Server {
        address,
        asked: Arc::default(),
        _task: AbortOnDropHandle::new(TaskTracker::new().spawn(serve)),
    };
    let (untrusting, net) = edge(&server, &[&[PUBLIC]], EdgeSettings::default());
    let roots = vec![made.cert.der().clone()];
    let trusting = Edge {
        net,
        ..Edge::trusting(EdgeSettings::default(), roots).unwrap()
    };
    assert_eq!(
        &*get(&trusting, "https://good.example").await.unwrap().body,
        b"hello"
    );
    assert!(get(&trusting, "https://other.example").await.is_err());
    assert!(get(&untrusting, "https://good.example").await.is_err());
}

#[test]
fn a_place_reads_its_port_and_refuses_more() {
    for (text, whole) in [
        ("Example.com", "example.com:443"),
        ("example.com.:80", "example.com:80"),
        ("münchen.de:443", "xn--mnchen-3ya.de:443"),
        ("[::FFFF:10.0.0.1]:1", "10.0.0.1:1"),
        ("[2606:4700::1]", "[2606:4700::1]:443"),
        ("012.0.0.1", "10.0.0.1:443"),
    ] {
        assert_eq!(text.parse::<Place>().unwrap().to_string(), whole);
    }
    for text in [
        "",
        ".",
        "*.example.com",
        "a/b",
        "u@a",
        "a:99999",
        "a b",
        "http://a",
    ] {
        assert!(text.parse::<Place>().is_err(), "{text}");
    }
}

proptest! {
    /// What leads to a private address of IPv4 does so in each of its spellings.
    #[test]
    fn no_spelling_of_a_private_address_escapes(
        bits in prop_oneof![
            0x0a00_0000_u32..=0x0aff_ffff,
            0x7f00_0000_u32..=0x7fff_ffff,
            0xa9fe_0000_u32..=0xa9fe_ffff,
            0xac10_0000_u32..=0xac1f_ffff,
            0xc0a8_0000_u32..=0xc0a8_ffff,
            0x6440_0000_u32..=0x647f_ffff,
        ],
        spelling in 0..12_usize,
    ) {
        let ip = Ipv4Addr::from_bits(bits);
        let [a, b, c, d] = ip.octets();
        let text = match spelling {
            0 => ip.to_string(),
            1 => bits.to_string(),
            2 => format!("{bits:#x}"),
            3 => format!("0{bits:o}"),
            4 => format!("{a:#x}.{b:#o}.{c}.{d}").replace("0o", "0"),
            5 => format!("{a}.{}", bits & 0x00ff_ffff),
            6 => format!("{a}.{b}.{}", bits & 0xffff),
            7 => format!("[::ffff:{ip}]"),
            8 => format!("[::{ip}]"),
            9 => format!("[64:ff9b::{ip}]"),
            10 => format!("[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1]"),
            _ => format!("{ip}."),
        };
        let verdict = place::url(&format!("http://{text}/")).and_then(|url| EDGE.check(&url));
        prop_assert!(verdict.is_err(), "{text}");
    }

    /// Nothing that anybody writes makes the guard panic, and what passes is public or a name.
    #[test]
    fn whatever_is_written_only_public_addresses_pass(text in "\\PC{0,40}") {
        for text in [text.clone(), format!("http://{text}"), format!("http://[{text}]:80/")] {
            if let Ok(place) = place::url(&text).and_then(|url| EDGE.check(&url))
                && let place::Name::Ip(ip) = place.host
            {
                prop_assert_eq!(reach(ip), Reach::Public);
            }
        }
    }

    /// The standard library's own idea of private addresses is never wider than ours.
    #[test]
    fn what_the_standard_library_calls_special_is_not_public(bits in any::<u32>(), wide in any::<u128>()) {
        let ip = Ipv4Addr::from_bits(bits);
        let special = ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast()
            || ip.is_broadcast() || ip.is_documentation() || ip.is_unspecified();
        prop_assert!(!special || reach(ip.into()) > Reach::Public);
        let ip = Ipv6Addr::from_bits(wide);
        let special = ip.is_loopback() || ip.is_multicast() || ip.is_unspecified()
            || ip.is_unique_local() || ip.is_unicast_link_local();
        prop_assert!(!special || reach(ip.into()) > Reach::Public);
    }
}
