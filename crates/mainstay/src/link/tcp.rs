use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::transport::{DialError, Transport};

/// How often a connection with unread data is looked at again.
const UNREAD: Duration = Duration::from_millis(100);

/// How a TCP link asks whether its peer is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcpProbe {
    /// Makes another connection and drops it: proves that the port still takes connections.
    #[default]
    Connect,
    /// Looks at the connection that is held, which costs the peer nothing; makes one only when
    /// there is none.
    Held,
}

/// A TCP connection that is held. A clone reaches the same one.
///
/// The peer's close is noticed at once, not at the next probe.
///
/// ```no_run
/// use mainstay::link::{Link, LinkOptions, TcpTransport};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tcp = TcpTransport::new("127.0.0.1:9000");
/// let link = Link::open(LinkOptions::new("feed"), tcp.clone())?;
/// link.connect().await?;
/// if let Some(stream) = tcp.stream() {
///     stream.writable().await?;
///     stream.try_write(b"hello")?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TcpTransport {
    address: Arc<str>,
    probe: TcpProbe,
    held: Arc<Mutex<Option<Arc<TcpStream>>>>,
}

impl TcpTransport {
    /// To `address`, such as `example.org:443`. The name is resolved anew at each dial.
    #[must_use]
    pub fn new(address: impl Into<Arc<str>>) -> Self {
        Self { address: address.into(), probe: TcpProbe::Connect, held: Arc::default() }
    }

    /// With another way to probe. Default [`TcpProbe::Connect`].
    #[must_use]
    pub const fn probed_by(mut self, probe: TcpProbe) -> Self {
        self.probe = probe;
        self
    }

    /// The connection, while there is one.
    #[must_use]
    pub fn stream(&self) -> Option<Arc<TcpStream>> {
        self.held().clone()
    }

    fn held(&self) -> MutexGuard<'_, Option<Arc<TcpStream>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<TcpStream, DialError> {
        let stream = TcpStream::connect(&*self.address).await.map_err(transient)?;
        if is_its_own_peer(&stream) {
            return Err(DialError::new(Outcome::TRANSIENT, "nobody listens: it met itself"));
        }
        stream.set_nodelay(true).map_err(transient)?;
        Ok(stream)
    }
}

impl Transport for TcpTransport {
    fn target(&self) -> String {
        format!("tcp://{}", self.address)
    }

    async fn dial(&self, _deadline: Instant) -> Result<(), DialError> {
        let stream = self.connect().await?;
        *self.held() = Some(Arc::new(stream));
        Ok(())
    }

    async fn probe(&self, _deadline: Instant) -> Result<(), DialError> {
        match (self.probe, self.stream()) {
            (TcpProbe::Held, Some(stream)) => look(&stream).map(|_| ()),
            (TcpProbe::Held | TcpProbe::Connect, _) => self.connect().await.map(drop),
        }
    }

    async fn lost(&self) -> DialError {
        let Some(stream) = self.stream() else { return closed() };
        loop {
            let ready = match stream.ready(Interest::READABLE).await {
                Ok(ready) => ready,
                Err(error) => return transient(error),
            };
            match look(&stream) {
                Err(error) => return error,
                // What it sent before is still there for the application to read.
                Ok(_) if ready.is_read_closed() => return closed(),
                // The application has not read it yet: leave it there, and look again later.
                Ok(Look::Unread) => tokio::time::sleep(UNREAD).await,
                Ok(Look::Idle) => {}
            }
        }
    }

    async fn close(&self) {
        let stream = self.held().take();
        if let Some(Ok(mut stream)) = stream.map(Arc::try_unwrap) {
            // The peer may have closed first.
            drop(stream.shutdown().await);
        }
    }

    fn abandon(&self) {
        drop(self.held().take());
    }
}

enum Look {
    Idle,
    Unread,
}

/// Looks at a connection without taking anything from it and without waiting.
fn look(stream: &TcpStream) -> Result<Look, DialError> {
    let mut byte = [0_u8; 1];
    let mut buffer = tokio::io::ReadBuf::new(&mut byte);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match stream.poll_peek(&mut context, &mut buffer) {
        std::task::Poll::Pending => Ok(Look::Idle),
        std::task::Poll::Ready(Ok(0)) => Err(closed()),
        std::task::Poll::Ready(Ok(_)) => Ok(Look::Unread),
        std::task::Poll::Ready(Err(error)) => Err(transient(error)),
    }
}

fn closed() -> DialError {
    DialError::new(Outcome::TRANSIENT, "the peer closed the connection")
}

/// Whether both ends are the same socket.
///
/// Where nobody listens on a port of this machine, the system may give a dial that very port as its
/// own: the dial then meets itself, and as long as it holds, nobody can listen there.
pub(super) fn is_its_own_peer(stream: &TcpStream) -> bool {
    stream.local_addr().is_ok_and(|own| stream.peer_addr().is_ok_and(|peer| own == peer))
}

fn transient(error: io::Error) -> DialError {
    DialError::new(Outcome::TRANSIENT, "tcp failed").because(error)
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn a_dial_that_meets_itself_is_known() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = socket.connect(own).await.expect("a socket can be its own peer");
        assert!(is_its_own_peer(&stream));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(!is_its_own_peer(&other));
    }
}
