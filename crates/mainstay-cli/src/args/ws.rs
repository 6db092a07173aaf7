use std::time::Duration;

use clap::Args;

use super::{IdentityArgs, ReachArgs, RedialArgs, value};

/// The largest message that can be asked for.
const MESSAGE_MAX: u64 = 512 * 1024 * 1024;

#[derive(Args, Debug)]
#[command(
    after_help = "Each line of standard input is a message. While there is no connection, lines \
wait for one, in
order; when too many wait, reading waits too. Each message that comes is a line of standard output;
what happens to the connection is told on standard error. Nothing is sent twice: of a message that
was on its way when the connection broke it is said that it may be lost.

Examples:
  mainstay ws wss://example.org/feed
  mainstay ws wss://example.org/feed --subscribe '{\"subscribe\":\"ticks\"}' --no-input --json
  echo hello | mainstay ws ws://127.0.0.1:9001 --linger 3s
  mainstay ws wss://example.org --token-env TOKEN --subprotocol graphql-transport-ws --ping 5s
  mainstay ws wss://intern.example.org --ca-file ca.pem --cert-file me.pem --key-file me.key

Exit codes: 0 all was sent, 1 something was not or may be lost, or the link gave up, 2 usage."
)]
pub(crate) struct WsArgs {
    /// Where the peer is: wss://…, or ws://… on this machine
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Sent first on every connection; can be repeated
    #[arg(long, value_name = "MESSAGE")]
    pub(crate) subscribe: Vec<String>,
    /// Read no standard input: only receive, until it is stopped
    #[arg(long)]
    pub(crate) no_input: bool,
    /// How long to go on receiving once input has ended and all is sent
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = value::duration)]
    pub(crate) linger: Duration,
    /// How long sending what waits may take once input has ended
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = value::duration)]
    pub(crate) deadline: Duration,
    /// One JSON object per event and message on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Bytes of the largest message, in either direction
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 16 * 1024 * 1024,
        value_parser = clap::value_parser!(u64).range(125..=MESSAGE_MAX)
    )]
    pub(crate) max_message: u64,
    /// A header of the upgrade, such as "Origin: https://example.org"; can be repeated
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME: VALUE",
        value_parser = value::header,
        help_heading = "Connection"
    )]
    pub(crate) headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// A subprotocol to offer, the preferred one first; can be repeated
    #[arg(long = "subprotocol", value_name = "NAME", help_heading = "Connection")]
    pub(crate) subprotocols: Vec<String>,
    /// Variable of the environment with a token, sent as Authorization: Bearer
    #[arg(long, value_name = "VARIABLE", help_heading = "Connection")]
    pub(crate) token_env: Option<String>,
    /// Allow ws:// to another machine: what is sent can then be read and changed on the way
    #[arg(long, help_heading = "Connection")]
    pub(crate) allow_plain: bool,
    #[command(flatten, next_help_heading = "Connection")]
    pub(crate) reach: ReachArgs,
    #[command(flatten, next_help_heading = "Connection")]
    pub(crate) identity: IdentityArgs,
    /// Silence after which the peer is pinged
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "15s",
        value_parser = value::duration,
        help_heading = "Connection"
    )]
    pub(crate) ping: Duration,
    /// Longest time of a pong [default: 5s, or that of --ping if it is shorter]
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = value::duration,
        help_heading = "Connection"
    )]
    pub(crate) timeout: Option<Duration>,
    /// Longest time to connect, with the upgrade
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = value::duration,
        help_heading = "Connection"
    )]
    pub(crate) dial_timeout: Duration,
    #[command(flatten, next_help_heading = "Connection")]
    pub(crate) redial: RedialArgs,
}
