//! `mainstay ws`

mod input;
mod printer;
mod say;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use mainstay::core::config::ConfigError;
use mainstay::core::link::Seq;
use mainstay::event::{Event, Events, Kind};
use mainstay::link::websocket::{
    Incoming, IncomingConfig, Offer, OutboxConfig, Overflow, Provider, WebSocket, WebSocketConfig,
};
use mainstay::link::{LinkConfig, LinkOptions, StateName, TlsConfig};
use mainstay_server::config::{Secret, safe_url};
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use super::{hold, reach};
use crate::args::WsArgs;
use crate::exit::{Failure, ok_if};
use crate::signals::Stop;
use input::{Account, Note};
use printer::{Form, Printer, now_ms};
use say::Say;

/// What became of lines, on its way to whoever tells it.
const NOTES: usize = 256;
/// Messages that may wait for a connection.
const QUEUE: u32 = 1_000;
/// Least bytes of them.
const QUEUE_BYTES: u64 = 16 << 20;
/// Messages that may wait for whoever reads them.
const WAITING: IncomingConfig = IncomingConfig {
    messages: 65_536,
    bytes: 64 << 20,
    slow: mainstay::link::websocket::Slow::DropOldest,
};
/// How long what waits may take when somebody stops it.
const LAST: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: &WsArgs) -> Result<ExitCode, Failure> {
    let events = Events::new();
    let receiver = events.subscribe();
    let stop = Stop::listen()?;
    let (socket, incoming) = open(args, events)?;
    for (key, message) in args.subscribe.iter().enumerate() {
        if !socket.subscribe(&key.to_string(), message.as_str()) {
            return Err(Failure::usage("--subscribe is there too often"));
        }
    }
    let printer = Printer::start(incoming, Form::new(args.json))?;
    socket.link().begin();
    let (sender, notes) = mpsc::channel(NOTES);
    if !args.no_input {
        let line_max = usize::try_from(args.max_message).unwrap_or(usize::MAX);
        tokio::spawn(input::read(socket.clone(), sender.clone(), line_max));
    }
    let talk = Talk {
        socket,
        receiver,
        notes,
        _open: sender,
        printer,
        say: Say::new(args.json),
        account: Account::default(),
        refused: 0,
        linger: args.linger,
        deadline: args.deadline,
    };
    Ok(talk.run(stop, args.json).await)
}

fn open(args: &WsArgs, events: Events) -> Result<(WebSocket, Incoming), Failure> {
    let shown = safe_url(&args.url);
    let refuse = |why: String| Failure::usage(format!("{shown}: {why}"));
    let no_address = || refuse("is no address such as wss://example.org/feed".into());
    let url = Url::parse(&args.url).map_err(|_| no_address())?;
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(refuse("allowed: ws, wss".into()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("must not contain a user or a password: see --token-env".into()));
    }
    let mut config = WebSocketConfig::new(url.as_str());
    let mut headers = HeaderMap::new();
    for (name, value) in &args.headers {
        headers.append(name, value.clone());
    }
    config.headers = headers;
    config.subprotocols.clone_from(&args.subprotocols);
    config.provider = args.token_env.as_deref().map(token).transpose()?;
    config.allow_plain = args.allow_plain;
    reach::reach(&args.reach, &mut config)?;
    reach::identity(&args.identity, &mut config)?;
    if url.scheme() == "ws" && config.tls != TlsConfig::default() {
        return Err(refuse("--ca-file, --cert-file and --key-file are for wss:// only".into()));
    }
    config.upgrade_timeout = args.dial_timeout;
    config.message_max = usize::try_from(args.max_message).unwrap_or(usize::MAX);
    config.incoming = WAITING;
    config.outbox = OutboxConfig {
        messages: QUEUE,
        bytes: u32::try_from(args.max_message.max(QUEUE_BYTES)).unwrap_or(u32::MAX),
        // Whoever typed it still wants it sent.
        age: None,
        overflow: Overflow::Wait,
    };
    config.validate().map_err(|error| match error.field.as_str() {
        "url" => refuse(hold::unfit(&url, &error)),
        _ => reach::unfit(&error, &config.tls).map_or_else(|| unfit(&error), Failure::usage),
    })?;
    let options = LinkOptions::new(shown.as_str()).config(link(args)?).events(events);
    WebSocket::open(options, config).map_err(|error| unfit(&error))
}

fn unfit(error: &ConfigError) -> Failure {
    Failure::usage(format!("{} is {}, allowed: {}", error.field, error.value, error.allowed))
}

/// The numbers of the link.
fn link(args: &WsArgs) -> Result<LinkConfig, Failure> {
    let mut config = LinkConfig::websocket();
    hold::redial(&args.redial, &mut config);
    config.dial_timeout = args.dial_timeout;
    config.close_timeout = LAST;
    config.health.interval = args.ping;
    config.health.timeout = args.timeout.unwrap_or_else(|| config.health.timeout.min(args.ping));
    // `--ping` is called otherwise inside.
    hold::checked(config).map_err(|failure| Failure {
        message: failure.message.replace("--interval", "--ping"),
        ..failure
    })
}

/// The token in that variable, for every connection.
fn token(variable: &str) -> Result<Provider, Failure> {
    let token = std::env::var(variable).ok().filter(|token| !token.is_empty());
    let missing = || format!("--token-env names {variable}, which the environment does not have");
    let token = Secret::new(token.ok_or_else(|| Failure::usage(missing()))?);
    Ok(Provider::new(move |_| {
        let token = Some(token.expose().to_owned());
        std::future::ready(Ok(Offer { token, ..Offer::default() }))
    }))
}

struct Talk {
    socket: WebSocket,
    receiver: Receiver<Arc<Event>>,
    notes: mpsc::Receiver<Note>,
    /// Without it, no input would be the end of input.
    _open: mpsc::Sender<Note>,
    printer: Printer,
    say: Say,
    account: Account,
    /// Lines that were not taken.
    refused: u64,
    linger: Duration,
    deadline: Duration,
}

/// How far it is.
enum Phase {
    /// There is input.
    Open,
    /// There is none any more; what waits is sent, until then.
    Sending { until: Instant, sent: Pin<Box<dyn Future<Output = ()> + Send>> },
    /// All is sent; answers are waited for, until then.
    Lingering { until: Instant },
}

impl Phase {
    async fn next(&mut self, linger: Duration) -> Option<Self> {
        match self {
            Self::Open => std::future::pending().await,
            Self::Sending { until, sent } => match timeout_at(*until, sent).await {
                Ok(()) => Some(Self::Lingering { until: Instant::now() + linger }),
                Err(_) => None,
            },
            Self::Lingering { until } => {
                sleep_until(*until).await;
                None
            }
        }
    }
}

impl Talk {
    async fn run(mut self, mut stop: Stop, json: bool) -> ExitCode {
        self.talk(&mut stop).await;
        stop.exit_at_next();
        let connected = self.socket.link().view().healthy;
        let given_up = self.socket.link().view().state == StateName::Failed;
        self.socket.drain(if connected { LAST } else { Duration::ZERO }).await;
        while let Ok(event) = self.receiver.try_recv() {
            self.heard(Ok(event));
        }
        self.settle();
        self.account.close();
        let Account { unsent, unknown, .. } = self.account;
        let (refused, stats) = (self.refused, self.socket.stats());
        if unsent > 0 && !json {
            self.say.refused(&format!("not sent: {unsent}"), &self.printer);
        }
        let connections = self.socket.link().stats().total_connections;
        if json {
            self.printer.line(json!({
                "event": "ws.summary", "at_ms": now_ms(), "total_connections": connections,
                "sent": stats.sent, "received": stats.received, "missed": stats.missed,
                "not_sent": unsent + refused, "unknown": unknown,
            }));
        }
        self.printer.finish().await;
        ok_if(connections > 0 && !given_up && unsent + unknown + refused == 0)
    }

    /// Talks until input has ended and its answers came, the link gives up, nobody reads, or
    /// somebody stops it.
    async fn talk(&mut self, stop: &mut Stop) {
        let mut phase = Phase::Open;
        loop {
            tokio::select! {
                biased;
                _ = stop.next() => return,
                event = self.receiver.recv() => self.heard(event),
                note = self.notes.recv(), if matches!(phase, Phase::Open) => {
                    if !self.noted(note) {
                        phase = self.sending();
                    }
                }
                () = self.printer.over() => return,
                next = phase.next(self.linger) => match next {
                    Some(next) => phase = next,
                    None => return,
                },
            }
            self.settle();
            if self.socket.link().view().state == StateName::Failed {
                return;
            }
        }
    }

    /// Waits for what waits; without anything, for a connection.
    fn sending(&self) -> Phase {
        let (socket, last) = (self.socket.clone(), self.account.last());
        let nothing_yet = self.socket.link().stats().total_connections == 0;
        let sent = async move {
            match last {
                Some(seq) => drop(socket.flushed(seq).await),
                None if nothing_yet => connected(&socket).await,
                None => {}
            }
        };
        Phase::Sending { until: Instant::now() + self.deadline, sent: Box::pin(sent) }
    }

    fn heard(&mut self, event: Result<Arc<Event>, RecvError>) {
        match event {
            Ok(event) => {
                if let Kind::Link(link) = &event.kind {
                    self.say.event(&event, link, &self.printer);
                }
            }
            Err(RecvError::Lagged(lost)) => {
                self.say.refused(&format!("{lost} events came too fast"), &self.printer);
            }
            Err(RecvError::Closed) => {}
        }
    }

    /// Answers whether there may be more.
    fn noted(&mut self, note: Option<Note>) -> bool {
        let waiting = || self.socket.stats().queued;
        match note {
            Some(Note::Sent(seq)) => self.account.add(seq),
            Some(Note::Queued(seq)) => {
                self.account.add(seq);
                self.say.queued(waiting(), &self.printer);
            }
            Some(Note::Waits) => self.say.full(waiting(), &self.printer),
            Some(Note::Refused(why)) => {
                self.refused += 1;
                self.say.refused(&why, &self.printer);
            }
            Some(Note::Ended) | None => return false,
        }
        true
    }

    fn settle(&mut self) {
        let socket = &self.socket;
        let unknown = self.account.settle(|seq: Seq| socket.receipt(seq));
        if unknown > 0 {
            self.say.unknown(unknown, &self.printer);
        }
    }
}

async fn connected(socket: &WebSocket) {
    // The sender lives as long as the link.
    drop(socket.link().watch().wait_for(|view| view.healthy).await);
}
