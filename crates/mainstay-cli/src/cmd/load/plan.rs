//! What the arguments come to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mainstay_wire::Secret;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use url::{Host, Url};

use super::client::Habits;
use super::socket::Target;
use crate::args::LoadArgs;
use crate::exit::Failure;

/// Descriptors that a process needs beside its clients'.
const SPARE: u64 = 100;
/// Clients of one process at most, however many descriptors there are.
const PROCESS_MAX: u64 = 250_000;
/// Processes at most.
const PROCESSES_MAX: u64 = 256;

/// A whole load, or a worker's part of it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) target: Arc<Target>,
    /// The number of its first client.
    pub(super) first: u64,
    pub(super) connections: u64,
    /// From one client's begin to the next.
    pub(super) spacing: Duration,
    pub(super) during: Duration,
    interval: Option<Duration>,
    size: usize,
    flaky: f64,
    flaky_every: Duration,
}

impl Plan {
    /// Reads the arguments and looks up where the server is.
    pub(super) async fn new(args: &LoadArgs) -> Result<Self, Failure> {
        let refuse = |why: &str| Failure::usage(format!("{}: {why}", shown(&args.url)));
        let url = Url::parse(&args.url)
            .map_err(|_| refuse("is no address such as ws://127.0.0.1:7180/v1/connect"))?;
        if url.scheme() != "ws" {
            return Err(refuse("allowed: ws"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(refuse("must not contain a user, a password or a query: see --token-env"));
        }
        let address = address(&url).await?;
        if !address.ip().is_loopback() && !args.yes_i_own_this {
            let why = "is not on this machine; if it is yours, say --yes-i-own-this";
            return Err(refuse(why));
        }
        let secret = args.token_env.as_deref().map(token).transpose()?;
        let per_sec = |count: f64| Duration::try_from_secs_f64(1.0 / count).ok();
        let target = Target { url: url.into(), address, secret };
        Ok(Self {
            target: Arc::new(target),
            first: args.worker.unwrap_or(0),
            connections: args.connections,
            spacing: per_sec(args.rate).unwrap_or(Duration::MAX),
            during: args.soak.unwrap_or(args.during),
            interval: (args.messages > 0.0).then(|| per_sec(args.messages)).flatten(),
            size: usize::try_from(args.size).unwrap_or(usize::MAX),
            flaky: args.flaky,
            flaky_every: args.flaky_every,
        })
    }

    /// What client number `client` does.
    pub(super) fn habits(&self, client: u64) -> Habits {
        let drops_every = is_flaky(client, self.flaky).then_some(self.flaky_every);
        Habits { interval: self.interval, size: self.size, drops_every }
    }

    /// How long it takes until all have begun.
    pub(super) fn ramp(&self) -> Duration {
        let steps = u32::try_from(self.connections - 1).unwrap_or(u32::MAX);
        self.spacing.saturating_mul(steps)
    }
}

/// Whether that client drops its connections: that share of them, spread evenly.
fn is_flaky(client: u64, share: f64) -> bool {
    let up_to = |count: u64| (count as f64 * share).round();
    up_to(client + 1) > up_to(client)
}

/// An address without what nobody should read.
fn shown(url: &str) -> String {
    mainstay_server::config::safe_url(url)
}

async fn address(url: &Url) -> Result<SocketAddr, Failure> {
    let port = url.port_or_known_default().unwrap_or(80);
    match url.host() {
        Some(Host::Ipv4(address)) => Ok((address, port).into()),
        Some(Host::Ipv6(address)) => Ok((address, port).into()),
        // As RFC 6761 has it, without asking anybody.
        Some(Host::Domain(name)) if name.eq_ignore_ascii_case("localhost") => {
            Ok((IpAddr::from(Ipv4Addr::LOCALHOST), port).into())
        }
        Some(Host::Domain(name)) => {
            let found = tokio::net::lookup_host((name, port)).await;
            let found = found.map_err(|error| format!("{name}: {error}"));
            found
                .and_then(|mut all| {
                    all.next().ok_or_else(|| format!("{name}: the name has no address"))
                })
                .map_err(Failure::environment)
        }
        None => Err(Failure::usage(format!("{}: names no host", shown(url.as_str())))),
    }
}

/// The secret in that variable.
fn token(variable: &str) -> Result<Secret, Failure> {
    let token = std::env::var(variable).ok().filter(|token| !token.is_empty());
    let missing = || format!("--token-env names {variable}, which the environment does not have");
    token.map(Secret::new).ok_or_else(|| Failure::usage(missing()))
}

/// Raises the limit of descriptors as far as this process may; answers it.
pub(super) fn raise_descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // What it may not raise stays as it is.
        let _raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many processes so many clients are split into.
pub(super) fn processes(
    connections: u64,
    descriptors: u64,
    asked: Option<u64>,
) -> Result<u64, Failure> {
    let each = descriptors.saturating_sub(SPARE).min(PROCESS_MAX);
    if each == 0 {
        let text = format!("{descriptors} descriptors are too few: see `ulimit -n`");
        return Err(Failure::environment(text));
    }
    let needed = connections.div_ceil(each);
    let count = asked.map_or(needed, |asked| asked.min(connections));
    if count < needed {
        let text = format!(
            "{connections} connections need {needed} processes of {descriptors} descriptors each: \
             leave out --processes, or see `ulimit -Hn`"
        );
        return Err(Failure::usage(text));
    }
    if count > PROCESSES_MAX {
        let text = format!("{connections} connections need {count} processes: see `ulimit -Hn`");
        return Err(Failure::environment(text));
    }
    Ok(count)
}

/// The first client and the number of clients of each of so many processes.
pub(super) fn split(connections: u64, processes: u64) -> Vec<(u64, u64)> {
    let up_to = |number: u64| connections * number / processes;
    (0..processes).map(|number| (up_to(number), up_to(number + 1) - up_to(number))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_is_in_one_process() {
        for (connections, count) in [(1, 1), (10, 3), (5_000, 7), (1_000_000, 256)] {
            let parts = split(connections, count);
            let mut next = 0;
            for (first, count) in parts {
                assert_eq!(first, next);
                assert!(count > 0);
                next += count;
            }
            assert_eq!(next, connections);
        }
    }

    #[test]
    fn as_many_processes_as_descriptors_need() {
        let count =
            |connections, descriptors, asked| processes(connections, descriptors, asked).ok();
        assert_eq!(count(900, 1_024, None), Some(1));
        assert_eq!(count(925, 1_024, None), Some(2));
        assert_eq!(count(50, 1_024, Some(4)), Some(4));
        assert_eq!(count(2, 1_024, Some(4)), Some(2), "none without a client");
        assert_eq!(count(5_000, 1_024, Some(2)), None, "too few");
        assert_eq!(count(10, 100, None), None, "no descriptors");
        assert_eq!(count(1_000_000, 1_024, None), None, "too many");
    }

    #[test]
    fn the_share_of_flaky_clients_is_what_was_asked_for() {
        for (share, flaky) in [(0.0, 0), (0.1, 100), (0.25, 250), (1.0, 1_000)] {
            assert_eq!((0..1_000).filter(|client| is_flaky(*client, share)).count(), flaky);
        }
    }
}
