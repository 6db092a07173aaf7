//! A WebSocket server that can be killed and started again on its port.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Message, accept_hdr};

use crate::program::PATIENCE;
use crate::server::bind;

/// It listens until it is dropped, which cuts every connection.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    heard: Mutex<Vec<String>>,
    headers: Mutex<Vec<(String, String)>>,
    open: Mutex<Vec<TcpStream>>,
    closed: AtomicBool,
}

impl Peer {
    /// Sends everything back; closes with a code when asked to by `close CODE`.
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0".parse().expect("it is an address"))
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        Self::with(address, None)
    }

    /// The same behind TLS. [`Peer::tell`] cannot be used.
    pub(crate) fn secure(config: Arc<ServerConfig>) -> Self {
        Self::with("127.0.0.1:0".parse().expect("it is an address"), Some(config))
    }

    fn with(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = bind(address);
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let thread = thread::spawn(move || serve(&listener, tls.as_ref(), &own));
        Self { address, scheme, shared, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}/", self.scheme, self.address)
    }

    /// The messages so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.shared.heard.lock().expect("nobody panicked").clone()
    }

    /// The value of a header of the last upgrade.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let headers = self.shared.headers.lock().expect("nobody panicked");
        headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    /// Says `text` on every open connection: an unmasked frame, beside what the library writes.
    pub(crate) fn tell(&self, text: &str) {
        let length = u8::try_from(text.len()).expect("it is short");
        assert!(length < 126, "it is short");
        let frame = [&[0x81, length], text.as_bytes()].concat();
        for mut stream in self.shared.open.lock().expect("nobody panicked").iter() {
            stream.write_all(&frame).expect("it listens");
        }
    }

    /// Waits until it has heard these messages.
    pub(crate) fn hears(&self, wanted: &[&str]) {
        let end = Instant::now() + PATIENCE;
        while self.heard() != wanted {
            assert!(Instant::now() < end, "it heard {:?}", self.heard());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wakes the one that waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        for stream in self.shared.open.lock().expect("nobody panicked").drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn serve(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>, shared: &Arc<Shared>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if shared.closed.load(Ordering::SeqCst) {
            return;
        }
        let copy = stream.try_clone().expect("it can be cloned");
        shared.open.lock().expect("nobody panicked").push(copy);
        let (shared, tls) = (shared.clone(), tls.cloned());
        thread::spawn(move || match tls {
            None => talk(stream, &shared),
            Some(config) => {
                let tls = ServerConnection::new(config).expect("the configuration is whole");
                talk(StreamOwned::new(tls, stream), &shared);
            }
        });
    }
}

#[expect(clippy::result_large_err, reason = "the library's own type of callback")]
fn talk(stream: impl Read + Write, shared: &Shared) {
    let note = |request: &Request, mut response: Response| {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        let headers = request.headers();
        if let Some(name) = headers.get("sec-websocket-protocol") {
            response.headers_mut().insert("sec-websocket-protocol", name.clone());
        }
        let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        *shared.headers.lock().expect("nobody panicked") = headers.collect();
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr(stream, note) else { return };
    while let Ok(message) = socket.read() {
        if let Message::Text(text) = &message {
            shared.heard.lock().expect("nobody panicked").push(text.to_string());
            if let Some(code) = text.strip_prefix("close ") {
                let code: u16 = code.parse().expect("it is a code");
                drop(
                    socket.close(Some(CloseFrame { code: code.into(), reason: "told to".into() })),
                );
                continue;
            }
            if text.as_str() == "bytes" {
                drop(socket.send(Message::binary(vec![1, 2, 0xff])));
                continue;
            }
        }
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}
