//! A cable that is pulled: a server in a network namespace, whose end of the line goes down.
//!
//! Namespaces can be made by root on Linux. Elsewhere the black hole of the fault proxy, which every
//! machine has, is the proof (`dead.rs`), and this says that it proved nothing.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay::link::websocket::WebSocketConfig;
use tokio::time::timeout;

use super::{next, open_with, quick, real};

const PATIENCE: Duration = Duration::from_secs(60);

const ECHO: &str = "
import asyncio, sys
from websockets.asyncio.server import serve
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main():
    async with serve(echo, sys.argv[1], 9001):
        print('listening', flush=True)
        await asyncio.get_running_loop().create_future()
asyncio.run(main())
";

/// A namespace with one line to it. Dropped, both are gone.
struct Namespace {
    name: String,
    near: String,
    far: String,
    subnet: String,
}

impl Namespace {
    /// None where nobody may make one.
    fn make() -> Option<Self> {
        let id = std::process::id();
        let name = format!("mainstay-{id}");
        let (near, far) = (format!("ms{}a", id % 100_000), format!("ms{}b", id % 100_000));
        let subnet = format!("10.213.{}", id % 250);
        if !ip(&["netns", "add", &name]) {
            return None;
        }
        let made = Self { name, near, far, subnet };
        made.connect().then_some(made)
    }

    fn connect(&self) -> bool {
        let Self { name, near, far, subnet } = self;
        let (ours, theirs) = (format!("{subnet}.1/30"), format!("{subnet}.2/30"));
        ip(&["link", "add", near, "type", "veth", "peer", "name", far, "netns", name])
            && ip(&["addr", "add", &ours, "dev", near])
            && ip(&["link", "set", near, "up"])
            && ip(&["-n", name, "addr", "add", &theirs, "dev", far])
            && self.line("up")
    }

    fn line(&self, state: &str) -> bool {
        ip(&["-n", &self.name, "link", "set", &self.far, state])
    }

    fn address(&self) -> String {
        format!("{}.2", self.subnet)
    }

    fn serve(&self) -> Server {
        let python = real::servers().join("python/bin/python");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(python).args(["-c", ECHO]);
        command.arg(self.address()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("`cargo xtask test` installs it");
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        output.read_line(&mut line).expect("it says that it listens");
        assert_eq!(line, "listening\n", "`cargo xtask test` installs what it needs");
        Server(child)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["link", "del", &self.near]);
        ip(&["netns", "del", &self.name]);
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn ip(arguments: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[tokio::test]
async fn w20_a_pulled_cable_is_noticed_and_a_plugged_one_heals_where_namespaces_can_be_made() {
    let Some(namespace) = Namespace::make() else {
        eprintln!("no network namespace can be made here: this proves nothing; dead.rs does");
        return;
    };
    let _server = namespace.serve();
    let mut link = quick();
    link.health.interval = Duration::from_millis(300);
    link.health.timeout = Duration::from_millis(200);
    let mut config = WebSocketConfig::new(format!("ws://{}:9001/", namespace.address()));
    config.allow_plain = true;
    config.stream.proxy = mainstay::link::Proxy::none();
    let (socket, mut incoming) = open_with(link, config);
    socket.connect().await.unwrap();
    drop(socket.try_send("before"));
    assert_eq!(next(&mut incoming).await, "before");

    assert!(namespace.line("down"), "the cable is pulled");
    let mut watch = socket.link().watch();
    // 0.3 s of silence and 0.2 s for the pong; the rest is for a machine under load.
    timeout(Duration::from_secs(20), watch.wait_for(|view| !view.healthy)).await.unwrap().unwrap();
    let status = socket.try_send("meanwhile");
    assert!(status.seq().is_some(), "{status:?}");

    assert!(namespace.line("up"), "the cable is plugged in");
    timeout(PATIENCE, watch.wait_for(|view| view.healthy)).await.unwrap().unwrap();
    assert_eq!(next(&mut incoming).await, "meanwhile");
    socket.shutdown().await;
}
