//! Names to addresses, and addresses to a TCP connection.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mainstay_core::link::{Race, RaceInput, RaceStep};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout_at;

use super::authority::Authority;
use super::{DialError, StreamConfig};
use crate::clock;
use crate::link::tcp::is_its_own_peer;

/// Who turns names into addresses.
#[derive(Clone)]
pub(super) enum Resolver {
    /// The system, with its files, caches and rules.
    System,
    #[cfg(test)]
    Scripted(std::sync::Arc<Script>),
}

#[cfg(test)]
pub(super) type Script =
    dyn Fn(&str) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync;

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// The addresses of `target`, asked for anew. There is at least one.
    ///
    /// The system cannot be interrupted: a lookup that is given up ends in its own thread, after as
    /// long as the system's own settings say.
    pub(super) async fn lookup(&self, target: &Authority) -> Result<Vec<SocketAddr>, DialError> {
        if let Some(address) = target.address() {
            return Ok(vec![SocketAddr::new(address, target.port())]);
        }
        let name = target.host();
        let found: io::Result<Vec<SocketAddr>> = match self {
            Self::System => {
                tokio::net::lookup_host((name.as_str(), target.port())).await.map(Iterator::collect)
            }
            #[cfg(test)]
            Self::Scripted(script) => script(&name).await,
        };
        match found {
            Ok(addresses) if addresses.is_empty() => {
                Err(DialError::new(Outcome::TRANSIENT, format!("the name {name} has no address")))
            }
            Ok(addresses) => Ok(addresses),
            // A server of names that is away says the same as a name that does not exist.
            Err(error) => {
                let what = format!("the name {name} does not resolve");
                Err(DialError::new(Outcome::TRANSIENT, what).because(error))
            }
        }
    }
}

/// `target` and the addresses that its name led to.
pub(super) fn shown(target: &Authority, addresses: &[SocketAddr]) -> String {
    match addresses {
        _ if target.address().is_some() => target.to_string(),
        [one] => format!("{target} at {one}"),
        [first, ..] => format!("{target} at {first} and {} more", addresses.len() - 1),
        [] => target.to_string(),
    }
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// Connects to one of `addresses`, which errors call `shown`. Attempts live in this future, so that dropping it closes them.
pub(super) async fn race(
    shown: &str,
    addresses: &[SocketAddr],
    config: &StreamConfig,
) -> Result<TcpStream, DialError> {
    let mut race = Race::new(addresses.iter().copied(), config.attempt_delay);
    let mut running: Vec<Attempt> = Vec::new();
    let options = (config.user_timeout, config.keepalive);
    let mut input = RaceInput::Timer;
    let mut last: Option<io::Result<TcpStream>> = None;
    loop {
        match race.handle(clock::now(), input) {
            RaceStep::Start(address) => running.push(Box::pin(open(address, options))),
            RaceStep::Wait => {}
            RaceStep::Won | RaceStep::Lost => break,
        }
        let until = clock::to_tokio(race.deadline().unwrap_or(Instant::MAX));
        let ended = poll_fn(|context| poll_any(&mut running, context));
        input = match timeout_at(until, ended).await {
            Err(_) => RaceInput::Timer,
            Ok(result) => {
                let won = result.is_ok();
                last = Some(result);
                if won { RaceInput::Won } else { RaceInput::Failed }
            }
        };
    }
    let what = || format!("{shown} cannot be reached");
    match last {
        Some(Ok(stream)) => Ok(stream),
        Some(Err(error)) => Err(DialError::new(Outcome::TRANSIENT, what()).because(error)),
        None => Err(DialError::new(Outcome::TRANSIENT, what())),
    }
}

/// Ready when one of them has ended; that one is taken out.
fn poll_any(running: &mut Vec<Attempt>, context: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
    for index in 0..running.len() {
        if let Poll::Ready(result) = running[index].as_mut().poll(context) {
            drop(running.swap_remove(index));
            return Poll::Ready(result);
        }
    }
    Poll::Pending
}

/// One attempt, with the two options that [`StreamConfig`] has for a socket.
async fn open(
    address: SocketAddr,
    (user_timeout, keepalive): (Option<Duration>, Option<Duration>),
) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    let raw = SockRef::from(&socket);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    raw.set_tcp_user_timeout(user_timeout)?;
    if let Some(idle) = keepalive {
        raw.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle).with_interval(idle))?;
    }
    let stream = socket.connect(address).await?;
    if is_its_own_peer(&stream) {
        return Err(io::Error::other("nobody listens: it met itself"));
    }
    Ok(stream)
}
