use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::fault::{Admission, Fault};
use crate::pump::{End, Pump};

/// Connections waiting to be taken.
const BACKLOG: u32 = 1024;

/// A proxy on loopback (or wherever it is told) in front of one server. Dropping it cuts everything.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    faults: watch::Sender<Fault>,
    cuts: watch::Sender<u64>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    open: AtomicU64,
    unreachable: AtomicU64,
    up: Arc<AtomicU64>,
    down: Arc<AtomicU64>,
}

/// What a proxy has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProxyStats {
    /// Connections taken from clients.
    pub accepted: u64,
    /// Those that are open now.
    pub open: u64,
    /// Those that could not be carried on, because the server was not there.
    pub unreachable: u64,
    /// Bytes passed on from clients to the server.
    pub bytes_up: u64,
    /// Bytes passed on from the server to clients.
    pub bytes_down: u64,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and carries connections on to `target`.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), target).await
    }

    /// Listens on `address` and carries connections on to `target`.
    ///
    /// # Errors
    ///
    /// When it cannot listen.
    #[expect(clippy::unused_async, reason = "needs a runtime, and may come to need to wait")]
    pub async fn listen(address: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = bind(address)?;
        let address = listener.local_addr()?;
        let (faults, _) = watch::channel(Fault::NONE);
        let (cuts, _) = watch::channel(0);
        let counts = Arc::new(Counts::default());
        let gate = Gate {
            address,
            target,
            faults: faults.subscribe(),
            cuts: cuts.subscribe(),
            counts: Arc::clone(&counts),
        };
        let task = tokio::spawn(gate.run(listener));
        Ok(Self { address, faults, cuts, counts, task })
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the network bad in this way from now on, for open connections too (except for
    /// [`Admission`], which is about new ones).
    pub fn set(&self, fault: Fault) {
        self.faults.send_replace(fault);
    }

    /// What is wrong with the network now.
    #[must_use]
    pub fn fault(&self) -> Fault {
        *self.faults.borrow()
    }

    /// Cuts all open connections, at once.
    pub fn cut_all(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// What it has seen.
    #[must_use]
    pub fn stats(&self) -> ProxyStats {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        ProxyStats {
            accepted: read(&self.counts.accepted),
            open: read(&self.counts.open),
            unreachable: read(&self.counts.unreachable),
            bytes_up: read(&self.counts.up),
            bytes_down: read(&self.counts.down),
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens with the address reusable at once, so that refusing can begin and end on one port.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The task that takes connections.
struct Gate {
    address: SocketAddr,
    target: SocketAddr,
    faults: watch::Receiver<Fault>,
    cuts: watch::Receiver<u64>,
    counts: Arc<Counts>,
}

impl Gate {
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        // Dropped with this task, and every connection with it.
        let mut connections = JoinSet::new();
        loop {
            let admission = self.faults.borrow_and_update().admission;
            if admission == Admission::Refuse {
                listener = None;
            } else if listener.is_none() {
                listener = bind(self.address).ok();
            }
            tokio::select! {
                changed = self.faults.changed() => if changed.is_err() { return },
                taken = accept(listener.as_ref()) => {
                    if let Ok((stream, _)) = taken {
                        self.counts.accepted.fetch_add(1, Ordering::SeqCst);
                        connections.spawn(self.connection(stream, admission));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }

    fn connection(
        &self,
        client: TcpStream,
        admission: Admission,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (target, faults) = (self.target, self.faults.clone());
        let mut cuts = self.cuts.clone();
        let counts = Arc::clone(&self.counts);
        let open = Open::new(Arc::clone(&self.counts));
        async move {
            let _open = open;
            cuts.mark_unchanged();
            match admission {
                Admission::Reset => reset(&client),
                Admission::Hang => {
                    drop(cuts.changed().await);
                    reset(&client);
                }
                Admission::DropAfter(time) => tokio::select! {
                    () = sleep(time) => {}
                    () = carry(client, target, faults, cuts, &counts) => {}
                },
                Admission::Pass | Admission::Refuse => {
                    carry(client, target, faults, cuts, &counts).await
                }
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Counts a connection while it is open.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::SeqCst);
        Self(counts)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Makes closing `stream` a reset.
fn reset(stream: &TcpStream) {
    // A stream that is broken already needs no reset.
    drop(stream.set_zero_linger());
}

async fn carry(
    client: TcpStream,
    target: SocketAddr,
    faults: watch::Receiver<Fault>,
    mut cuts: watch::Receiver<u64>,
    counts: &Counts,
) {
    let Ok(server) = TcpStream::connect(target).await else {
        counts.unreachable.fetch_add(1, Ordering::SeqCst);
        reset(&client);
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let up = Pump::new(client_read, server_write, faults.clone(), |fault| fault.up);
    let down = Pump::new(server_read, client_write, faults, |fault| fault.down);
    let up = up.counted_by(Arc::clone(&counts.up)).run();
    let down = down.counted_by(Arc::clone(&counts.down)).run();
    let (mut up, mut down) = (Box::pin(up), Box::pin(down));
    let (mut up_half, mut down_half) = (None, None);
    let mut must_reset = false;
    loop {
        tokio::select! {
            biased;
            _ = cuts.changed() => {
                // The halves still in their pumps are dropped with them: closed, not reset.
                return;
            }
            (end, read, write) = &mut up, if up_half.is_none() => {
                must_reset |= matches!(end, End::Cut { reset: true });
                up_half = Some((read, write));
                if end != End::Finished { break }
            }
            (end, read, write) = &mut down, if down_half.is_none() => {
                must_reset |= matches!(end, End::Cut { reset: true });
                down_half = Some((read, write));
                if end != End::Finished { break }
            }
        }
        if up_half.is_some() && down_half.is_some() {
            return;
        }
    }
    for (read, write) in [up_half, down_half].into_iter().flatten() {
        if must_reset {
            drop((read.as_ref().set_zero_linger(), write.as_ref().set_zero_linger()));
            // Dropped, it would say goodbye before the reset.
            write.forget();
        }
    }
}
