//! `mainstay hold`

mod row;
mod show;
mod table;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mainstay::core::config::ConfigError;
use mainstay::event::{Event, Events, Kind};
use mainstay::link::websocket::{WebSocket, WebSocketConfig};
use mainstay::link::{
    HttpConfig, HttpTransport, Link, LinkConfig, LinkOptions, StateName, TcpTransport,
};
use mainstay_server::config::safe_url;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};
use url::Url;

use super::reach;
use crate::args::{HoldArgs, RedialArgs};
use crate::exit::{Failure, ok_if};
use crate::signals::Stop;
use show::Show;

/// The most URLs held at the same time.
const URLS_MAX: usize = 256;
/// How often the table is drawn anew when nothing happens.
const FRAME: Duration = Duration::from_millis(250);
/// How long `--once` waits unless told otherwise.
const ONCE: Duration = Duration::from_secs(30);

pub(crate) async fn run(args: &HoldArgs) -> Result<ExitCode, Failure> {
    let configs = Configs::new(args)?;
    if args.urls.len() > URLS_MAX {
        return Err(Failure::usage(format!("at most {URLS_MAX} URLs")));
    }
    let stop = Stop::listen()?;
    let events = Events::new();
    let receiver = events.subscribe();
    let opened: Result<Vec<Link>, String> =
        args.urls.iter().map(|url| open(url, &configs, &events)).collect();
    let links = opened.map_err(Failure::usage)?;
    let show = Show::new(args.json, &links).map_err(|error| {
        Failure::environment(format!("the terminal cannot be drawn on: {error}"))
    })?;
    links.iter().for_each(Link::begin);
    let mut holding = Holding { links, receiver, show, once: args.once, is_read: true };
    let limit = args.during.or_else(|| args.once.then_some(ONCE));
    holding.hold(limit, stop).await;
    let views: Vec<_> = holding.links.iter().map(Link::view).collect();
    let all_connected = views.iter().all(|view| view.healthy);
    holding.show.summary(&holding.links);
    close(&holding.links).await;
    Ok(ok_if(all_connected))
}

/// Closes all links at the same time.
async fn close(links: &[Link]) {
    let mut closing = tokio::task::JoinSet::new();
    for link in links {
        let link = link.clone();
        closing.spawn(async move { link.shutdown().await });
    }
    closing.join_all().await;
}

struct Holding {
    links: Vec<Link>,
    receiver: Receiver<Arc<Event>>,
    show: Show,
    once: bool,
    /// Whether there may still be somebody who reads what is told.
    is_read: bool,
}

impl Holding {
    /// Shows what happens until the time is over, the user stops it, or nothing more will happen.
    async fn hold(&mut self, limit: Option<Duration>, mut stop: Stop) {
        let end = limit.map(|limit| Instant::now() + limit);
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let over = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stop.next() => break,
                event = self.receiver.recv() => self.heard(event),
                () = over => break,
                _ = frames.tick() => self.show.draw(&self.links),
            }
            if self.is_decided() {
                break;
            }
        }
        while let Ok(event) = self.receiver.try_recv() {
            self.heard(Ok(event));
        }
        stop.exit_at_next();
    }

    fn heard(&mut self, event: Result<Arc<Event>, RecvError>) {
        match event {
            Ok(event) => {
                if let Kind::Link(link) = &event.kind {
                    self.is_read &= self.show.event(&event, link, &self.links);
                }
            }
            Err(RecvError::Lagged(lost)) => self.show.lost(lost),
            Err(RecvError::Closed) => {}
        }
    }

    /// Whether all are connected and that was the question, all have given up, or nobody reads on.
    fn is_decided(&self) -> bool {
        let all = |wanted: StateName| self.links.iter().all(|link| link.view().state == wanted);
        !self.is_read || (self.once && all(StateName::Connected)) || all(StateName::Failed)
    }
}

/// The numbers of links, by how they are asked whether they are well.
struct Configs {
    /// By a request or another connection.
    asked: LinkConfig,
    /// By a ping.
    pinged: LinkConfig,
    /// Every WebSocket, but for its address.
    socket: WebSocketConfig,
}

impl Configs {
    fn new(args: &HoldArgs) -> Result<Self, Failure> {
        let (asked, pinged) = (LinkConfig::default(), LinkConfig::websocket());
        let mut socket =
            WebSocketConfig { allow_plain: args.allow_plain, ..WebSocketConfig::default() };
        reach::reach(&args.reach, &mut socket)?;
        let leads_to = |schemes: &[&str]| {
            args.urls.iter().any(|url| schemes.iter().any(|scheme| has_scheme(url, scheme)))
        };
        if args.reach.ca_file.is_some() && !leads_to(&["wss"]) {
            return Err(Failure::usage("--ca-file is for wss:// only"));
        }
        if args.reach.proxy.is_some() && !leads_to(&["ws", "wss"]) {
            return Err(Failure::usage("--proxy is for ws:// and wss:// only"));
        }
        Ok(Self { asked: config(args, asked)?, pinged: config(args, pinged)?, socket })
    }
}

fn has_scheme(url: &str, scheme: &str) -> bool {
    url.split_once(':').is_some_and(|(own, _)| own.eq_ignore_ascii_case(scheme))
}

/// What the arguments say, over `base`.
fn config(args: &HoldArgs, base: LinkConfig) -> Result<LinkConfig, Failure> {
    let timeout = args.timeout.unwrap_or_else(|| args.interval.min(Duration::from_secs(2)));
    let mut config = LinkConfig {
        dial_timeout: timeout,
        close_timeout: Duration::from_secs(1),
        stable_after: Duration::from_secs(5),
        ..base
    };
    redial(&args.redial, &mut config);
    config.health.interval = args.interval;
    config.health.timeout = timeout;
    config.health.down = args.down.unwrap_or(base.health.down);
    config.health.up = args.up.unwrap_or(base.health.up);
    checked(config)
}

/// Puts what the arguments say about redials into `config`.
pub(super) const fn redial(args: &RedialArgs, config: &mut LinkConfig) {
    config.reconnect.attempts = args.attempts;
    config.reconnect.backoff.base = args.base;
    config.reconnect.backoff.cap = args.cap;
    config.reconnect.backoff.jitter = args.jitter;
}

/// `config`, if it makes sense.
pub(super) fn checked(config: LinkConfig) -> Result<LinkConfig, Failure> {
    let checked = mainstay::core::link::Link::new(&config);
    checked.map_err(|error| {
        // Flags are called after the last part of the field.
        let flag = error.field.rsplit('.').next().unwrap_or_default().to_owned();
        Failure::usage(format!("--{flag} is {}, allowed: {}", error.value, error.allowed))
    })?;
    Ok(config)
}

fn open(text: &str, configs: &Configs, events: &Events) -> Result<Link, String> {
    let shown = safe_url(text);
    let refuse = |why: &str| format!("{shown}: {why}");
    let url = Url::parse(text)
        .map_err(|_| refuse("is no address such as https://example.org or tcp://127.0.0.1:5432"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("must not contain a user or a password"));
    }
    let options = LinkOptions::new(shown.as_str()).events(events.clone());
    let asked = options.clone().config(configs.asked);
    let opened = match url.scheme() {
        "http" | "https" => {
            if url.query().is_some() {
                return Err(refuse("must not have a query: only the path is asked for"));
            }
            let mut http = HttpConfig::new(url.as_str());
            http.health_path = url.path().into();
            let transport = HttpTransport::new(http).map_err(|_| refuse("cannot be held"))?;
            Link::open(asked, transport)
        }
        "ws" | "wss" => {
            let config = WebSocketConfig { url: url.to_string(), ..configs.socket.clone() };
            config.validate().map_err(|error| {
                let tls = reach::unfit(&error, &config.tls);
                tls.unwrap_or_else(|| refuse(&unfit(&url, &error)))
            })?;
            // What comes is thrown away, and nothing is sent but pings.
            WebSocket::open(options.config(configs.pinged), config)
                .map(|(socket, _)| socket.link().clone())
        }
        "tcp" => {
            let (Some(host), Some(port)) = (url.host_str(), url.port()) else {
                return Err(refuse("needs a host and a port"));
            };
            Link::open(asked, TcpTransport::new(format!("{host}:{port}")))
        }
        _ => return Err(refuse("allowed: http, https, ws, wss, tcp")),
    };
    opened.map_err(|error| format!("{shown}: {error}"))
}

/// Why a WebSocket cannot be opened, in words of the command line.
pub(super) fn unfit(url: &Url, error: &ConfigError) -> String {
    if error.field == "url" && url.scheme() == "ws" && url.fragment().is_none() {
        return "goes unprotected to another machine: use wss://, or say --allow-plain".into();
    }
    format!("{}: allowed: {}", error.field, error.allowed)
}
