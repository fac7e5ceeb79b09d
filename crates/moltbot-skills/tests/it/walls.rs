//! A program that closes itself in as a worker does, then tries to get out. It tells what it reached, a line each.

use std::fs::{self, File, OpenOptions};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use moltbot_skills::worker::close_in;
use rustix::process::{Resource, Rlimit, Signal, getppid, kill_process, setrlimit};

fn main() {
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .unwrap_or(9);
    let parent = getppid();
    let of_parent = parent.map_or(1, |parent| parent.as_raw_nonzero().get());
    let sandbox = close_in();
    println!("walls: {sandbox}, holds: {}", sandbox.holds());
    for (name, value) in std::env::vars() {
        println!("escaped: the environment has {name}={value}");
    }
    let wide = Rlimit {
        current: Some(1 << 20),
        maximum: Some(1 << 20),
    };
    let tries: [(&str, &dyn Fn() -> bool); 18] = [
        ("open", &|| File::open("/etc/passwd").is_ok()),
        ("create", &|| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open("/tmp/moltbot-escaped")
                .is_ok()
        }),
        ("the file system", &|| fs::read_dir("/").is_ok()),
        ("/proc", &|| fs::read_dir("/proc").is_ok()),
        ("/proc/self/environ", &|| {
            fs::read("/proc/self/environ").is_ok()
        }),
        ("memory of the parent", &|| {
            File::open(format!("/proc/{of_parent}/mem")).is_ok()
        }),
        ("stat", &|| fs::metadata("/etc/passwd").is_ok()),
        ("link", &|| {
            std::os::unix::fs::symlink("/etc", "/tmp/moltbot-escaped").is_ok()
        }),
        ("connect", &|| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        }),
        ("listen", &|| TcpListener::bind("127.0.0.1:0").is_ok()),
        ("datagram", &|| UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("unix socket", &|| UnixStream::pair().is_ok()),
        ("exec", &|| Command::new("/bin/true").status().is_ok()),
        ("fork bomb", &|| {
            (0..1000).any(|_| Command::new("/proc/self/exe").spawn().is_ok())
        }),
        ("thread", &|| thread::Builder::new().spawn(|| ()).is_ok()),
        ("signal", &|| {
            parent.is_some_and(|parent| kill_process(parent, Signal::CONT).is_ok())
        }),
        ("limits", &|| setrlimit(Resource::Nproc, wide).is_ok()),
        ("privileges", &|| {
            rustix::thread::set_no_new_privs(false).is_ok()
        }),
    ];
    let count = tries.len();
    for (what, try_it) in tries {
        if try_it() {
            println!("escaped: {what}");
        }
    }
    println!("tried: {count}");
}
