//! A small HTTP server that answers as a test says, can be closed, and opened again on its port.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::program::PATIENCE;

/// What is answered to a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// A status, extra headers (each ended by `\r\n`) and a body.
    Status(u16, &'static str, &'static str),
    /// The connection is dropped without an answer.
    Reset,
    /// Nothing until the other side gives up.
    Hang,
}

type Script = dyn Fn(usize) -> Answer + Send + Sync;

/// It listens until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    closed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers the n-th request, from 1, with what `script` says.
    pub(crate) fn new(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0".parse().expect("it is an address"), script)
    }

    pub(crate) fn at(
        address: SocketAddr,
        script: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = bind(address);
        let address = listener.local_addr().expect("it has an address");
        let (requests, closed) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (heard, over, script) = (
            requests.clone(),
            closed.clone(),
            Arc::<Script>::from(Box::new(script) as Box<Script>),
        );
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (heard, script) = (heard.clone(), script.clone());
                thread::spawn(move || serve(stream, &heard, &*script));
            }
        });
        Self { address, requests, closed, thread: Some(thread) }
    }

    pub(crate) fn ok() -> Self {
        Self::new(|_| Answer::Status(200, "", "hello"))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("nobody panicked").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the one that waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// A connection that somebody made from that port meanwhile goes away soon.
pub(crate) fn bind(address: SocketAddr) -> TcpListener {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < end, "the port stays taken: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<String>>, script: &Script) {
    let Some(request) = read(&stream) else { return };
    let number = {
        let mut heard = heard.lock().expect("nobody panicked");
        heard.push(request);
        heard.len()
    };
    match script(number) {
        Answer::Status(status, headers, body) => {
            let length = body.len();
            drop(write!(
                stream,
                "HTTP/1.1 {status} Said\r\n{headers}Content-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            ));
        }
        Answer::Reset => {}
        Answer::Hang => drop(stream.read(&mut [0])),
    }
}

fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}
