mod dialling;
mod encryption;
mod proxies;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};

use super::*;

/// Longer than anything here takes, on the slowest machine.
const LONG: Duration = Duration::from_secs(30);

fn authority(address: SocketAddr) -> Authority {
    Authority::new(&address.ip().to_string(), address.port()).unwrap()
}

/// Without a proxy, and more patient than the default.
fn direct() -> StreamConfig {
    StreamConfig {
        name_timeout: LONG,
        tcp_timeout: LONG,
        proxy_timeout: LONG,
        tls_timeout: LONG,
        proxy: Proxy::none(),
        ..StreamConfig::default()
    }
}

fn dialer(config: &StreamConfig) -> Dialer {
    Dialer::new(config).unwrap()
}

/// A dialler for which every name leads to `addresses`.
fn leading_to(config: &StreamConfig, addresses: Vec<SocketAddr>) -> Dialer {
    let script = move |_: &str| {
        let found = Ok(addresses.clone());
        Box::pin(std::future::ready(found)) as Pin<Box<dyn Future<Output = _> + Send>>
    };
    Dialer { resolver: Resolver::Scripted(Arc::new(script)), ..dialer(config) }
}

async fn listener(host: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address that nobody listens at: no other test uses this host.
async fn deserted() -> SocketAddr {
    listener("127.0.0.9").await.1
}

/// A listener that answers no further SYN, because its line is full.
struct BlackHole {
    address: SocketAddr,
    _held: (TcpListener, Vec<TcpStream>),
}

impl BlackHole {
    async fn new(host: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(host.parse().unwrap(), 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket.listen(1).unwrap();
        let mut line = Vec::new();
        let wait = Duration::from_millis(300);
        while let Ok(stream) = tokio::time::timeout(wait, TcpStream::connect(address)).await {
            line.push(stream.unwrap());
            assert!(line.len() < 100, "the line is never full");
        }
        Self { address, _held: (listener, line) }
    }
}

/// Takes connections and says nothing, for as long as it lives; tells when one is closed.
async fn silent() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let (listener, address) = listener("127.0.0.1").await;
    let (closed, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let closed = closed.clone();
            tokio::spawn(async move {
                let mut bytes = [0_u8; 1024];
                while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
                closed.send(()).unwrap_or_default();
            });
        }
    });
    (address, told)
}

/// Sends what it is sent back, over whatever stream.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut bytes = [0_u8; 64];
    while let Ok(n @ 1..) = stream.read(&mut bytes).await {
        if stream.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}

/// A server that echoes without TLS.
async fn echoing() -> SocketAddr {
    let (listener, address) = listener("127.0.0.1").await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(echo(stream));
        }
    });
    address
}

async fn says_back<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(b"well?").await?;
    stream.flush().await?;
    let mut bytes = [0_u8; 5];
    stream.read_exact(&mut bytes).await?;
    assert_eq!(&bytes, b"well?");
    Ok(())
}
