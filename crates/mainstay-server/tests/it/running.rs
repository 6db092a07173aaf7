//! A server that runs.

use std::sync::Arc;
use std::time::Duration;

use mainstay_server::config::{Config, Environment, Flags};
use mainstay_server::session::Handler;
use mainstay_server::{Ended, Handle, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// On a free port, with its data in memory unless the text says otherwise.
pub(crate) fn config(text: &str) -> Config {
    config_in(text, &Environment::new())
}

/// The same in an environment.
pub(crate) fn config_in(text: &str, environment: &Environment) -> Config {
    let text = if text.contains("[store]") {
        text.into()
    } else {
        format!("{text}\n[store]\nengine = \"memory\"\n")
    };
    let flags = Flags { listen: Some("127.0.0.1:0".into()), ..Flags::default() };
    Config::parse(&text, None, &flags, environment).expect("it makes sense")
}

pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) handle: Handle,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<Ended>,
}

pub(crate) async fn start(text: &str) -> Running {
    run(Server::bind(&config(text)).await.expect("it starts"))
}

/// The same, with an application.
pub(crate) async fn start_with(text: &str, handler: Arc<dyn Handler>) -> Running {
    run(Server::with_handler(&config(text), handler).await.expect("it starts"))
}

pub(crate) fn run(server: Server) -> Running {
    let (stop, asked) = oneshot::channel::<()>();
    let (address, handle) = (server.address().to_string(), server.handle());
    let task = tokio::spawn(server.run(async move { drop(asked.await) }));
    Running { address, handle, stop, task }
}

impl Running {
    pub(crate) async fn ask(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}")).await
    }

    pub(crate) async fn end(self) -> Ended {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}
