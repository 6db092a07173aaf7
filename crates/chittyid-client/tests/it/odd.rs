//! Servers that answer what no authority answers, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chittyid_client::{Client, ClientConfig, EntityType, Error};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

use crate::world::config;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Writes these bytes and closes.
    Bytes(Vec<u8>),
    /// Never answers.
    Hang,
    /// Answers well, with a body that never ends.
    Endless,
    /// The head, and then the body byte by byte, each after this time.
    Drip(Duration),
    /// Resets the connection.
    Reset,
    /// The same as that, after this time.
    Late(Duration, Box<Self>),
}

/// A reply with a length that is right.
pub(crate) fn reply(status: &str, headers: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n");
    Reply::Bytes(format!("{head}connection: close\r\n\r\n{body}").into_bytes())
}

/// JSON with 200.
pub(crate) fn json(body: &str) -> Reply {
    reply("200 OK", "content-type: application/json\r\n", body)
}

pub(crate) struct Odd {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Odd {
    /// Answers the `n`th request with the `n`th reply, and all further ones with the last.
    pub(crate) async fn new(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, seen.clone(), replies.clone()));
            }
        });
        Self { address, requests }
    }

    /// The same behind a certificate that it signed itself.
    pub(crate) async fn with_tls(replies: Vec<Reply>) -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, replies) = (acceptor.clone(), seen.clone(), replies.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        talk(stream, seen, replies).await;
                    }
                });
            }
        });
        Self { address, requests }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        config(&format!("http://{}", self.address))
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    /// The heads of all requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// A connection of one of them.
trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Ends it with a reset where that is possible.
    fn reset(&self) -> std::io::Result<()>;
}

impl Stream for TcpStream {
    fn reset(&self) -> std::io::Result<()> {
        self.set_zero_linger()
    }
}

impl Stream for TlsStream<TcpStream> {
    fn reset(&self) -> std::io::Result<()> {
        self.get_ref().0.set_zero_linger()
    }
}

/// What a mint comes to with such a server, and how many requests that took.
pub(crate) async fn mint(replies: Vec<Reply>) -> (Result<String, Error>, usize) {
    let server = Odd::new(replies).await;
    let result = server.client().mint(EntityType::Information, Value::Null).await;
    (result.map(|minted| minted.id.to_string()), server.requests())
}

async fn talk<S: Stream>(mut stream: S, seen: Arc<Mutex<Vec<String>>>, replies: Vec<Reply>) {
    let mut buffer = [0_u8; 4096];
    let mut head = Vec::new();
    let end = loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&buffer[..n]),
        }
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut left = length.map_or(0, |length| length.trim().parse::<usize>().unwrap());
    left = left.saturating_sub(head.len() - end);
    while left > 0 {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => left = left.saturating_sub(n),
        }
    }
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(String::from_utf8_lossy(&head[..end]).into_owned());
        seen.len() - 1
    };
    let reply = replies.get(number).or_else(|| replies.last()).cloned().unwrap();
    drop(carry_out(reply, &mut stream).await);
}

async fn carry_out<S: Stream>(reply: Reply, stream: &mut S) -> std::io::Result<()> {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    match reply {
        Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Hang => {
            drop(stream.read(&mut [0; 1]).await);
            Ok(())
        }
        Reply::Endless => {
            stream.write_all(head).await?;
            stream.write_all(b"content-length: 99999999999\r\n\r\n").await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
        Reply::Drip(wait) => {
            stream.write_all(head).await?;
            stream.write_all(b"content-length: 1000\r\n\r\n").await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(wait).await;
            }
        }
        Reply::Reset => stream.reset(),
        Reply::Late(wait, reply) => {
            tokio::time::sleep(wait).await;
            Box::pin(carry_out(*reply, stream)).await
        }
    }
}
