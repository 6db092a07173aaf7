use std::time::Duration;

use clap::Args;

use super::value;

/// The most clients at once.
const CONNECTIONS_MAX: u64 = 1_000_000;

#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Each client opens a session, sends tracked messages, acknowledges what comes \
back, and ends its
session when the time is over. In the end every message must have been acknowledged once and, where
the server sends messages back (`[sessions] messages = \"echo\"`), have come back once and in order.
A client that loses its connection waits as the server says and resumes its session.

A round trip counts from the time a message was due, so that a server that stalls looks as slow as
it is. Only servers on this machine are loaded, unless you say that another one is yours.

Examples:
  mainstay load
  mainstay load --connections 5000 --rate 1000 --messages 0.2 --for 1m
  mainstay load --connections 2000 --flaky 0.2 --flaky-every 5s
  mainstay load ws://127.0.0.1:9001/v1/connect --messages 50 --size 1000 --json | jq .round_trip
  mainstay load --connections 8000 --messages 0.05 --soak 1h

Exit codes: 0 all is well, 1 a client could not stay, a message was lost, doubled or out of order,
or the server grows, 2 usage, 3 environment: nobody there, or no descriptors left."
)]
pub(crate) struct LoadArgs {
    /// Where sessions are held: ws://…
    #[arg(value_name = "URL", default_value = "ws://127.0.0.1:7180/v1/connect")]
    pub(crate) url: String,
    /// Clients, each with a connection
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(1..=CONNECTIONS_MAX)
    )]
    pub(crate) connections: u64,
    /// Clients that begin in a second
    #[arg(long, value_name = "COUNT", default_value_t = 500.0, value_parser = value::positive)]
    pub(crate) rate: f64,
    /// Messages a second of each client, such as 10 or 0.1; 0 for none
    #[arg(long, value_name = "COUNT", default_value_t = 1.0, value_parser = value::not_negative)]
    pub(crate) messages: f64,
    /// Bytes of a message
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(48..=1 << 20)
    )]
    pub(crate) size: u32,
    /// Share of the clients that drop their connections at random times, such as 0.1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = value::share)]
    pub(crate) flaky: f64,
    /// How long such a client keeps a connection, on average
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "5s",
        value_parser = value::duration
    )]
    pub(crate) flaky_every: Duration,
    /// How long to go on once all clients have begun
    #[arg(
        long = "for",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = value::duration
    )]
    pub(crate) during: Duration,
    /// The same, with a look at drift: does the server's memory grow, do answers get slower?
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) soak: Option<Duration>,
    /// Process of the server, to see its memory and CPU [default: who listens on that port]
    #[arg(long, value_name = "PID")]
    pub(crate) server_pid: Option<u32>,
    /// Processes to split into [default: as many as descriptors need]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=256))]
    pub(crate) processes: Option<u64>,
    /// Variable of the environment with a key or token, shown in each hello
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) token_env: Option<String>,
    /// Load a server on another machine: only one that is yours
    #[arg(long)]
    pub(crate) yes_i_own_this: bool,
    /// One JSON object a second, and one with the whole report
    #[arg(long)]
    pub(crate) json: bool,
    /// A part of the clients, from this one on; told by JSON lines, until standard input ends
    #[arg(long, hide = true, value_name = "FIRST")]
    pub(crate) worker: Option<u64>,
}
