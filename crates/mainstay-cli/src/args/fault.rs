use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use super::value;

#[derive(Args, Debug)]
#[command(
    after_help = "While it runs, orders come from standard input, a line each: refuse, cut, \
delay 200ms, pass, stats;
help lists them. Open connections obey them too. Without input it goes on until it is stopped.

What does your client do when the server …
  mainstay fault 9001 8080                            … is well? Then type refuse, pass, cut …
  mainstay fault 9001 8080 --refuse                   … is not there?
  mainstay fault 9001 8080 --hang                     … takes connections and says nothing?
  mainstay fault 9001 8080 --drop-after 5s            … drops them after 5 s?
  mainstay fault 9001 8080 --black-hole --up          … no longer gets what is sent?
  mainstay fault 9001 db:5432 --delay 100ms           … is far away?
  mainstay fault 9001 db:5432 --cut-at 1000 --down    … breaks off within an answer?

Exit codes: 0 it was stopped or the time is over, 2 usage, 3 it cannot listen or find the target."
)]
pub(crate) struct FaultArgs {
    /// Where clients connect: a port of this machine, or an address; port 0 takes a free one
    #[arg(value_name = "LISTEN", value_parser = listen)]
    pub(crate) listen: SocketAddr,
    /// Where they are carried on to: host:port, or a port of this machine
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
    /// Stop after this long [default: never]
    #[arg(long = "for", value_name = "DURATION", value_parser = value::duration)]
    pub(crate) during: Option<Duration>,
    /// One JSON object per event and answer
    #[arg(long)]
    pub(crate) json: bool,
    /// New connections are refused: nobody listens
    #[arg(long, group = "admission", help_heading = "New connections")]
    pub(crate) refuse: bool,
    /// New connections are taken, and nothing more happens
    #[arg(long, group = "admission", help_heading = "New connections")]
    pub(crate) hang: bool,
    /// New connections are taken and reset
    #[arg(long, group = "admission", help_heading = "New connections")]
    pub(crate) reset: bool,
    /// New connections are dropped after this time
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = value::duration,
        group = "admission",
        help_heading = "New connections"
    )]
    pub(crate) drop_after: Option<Duration>,
    #[command(flatten)]
    pub(crate) bytes: BytesArgs,
}

/// What happens to bytes.
#[derive(Args, Debug)]
#[command(next_help_heading = "Bytes, in both directions unless one is named")]
pub(crate) struct BytesArgs {
    /// Nothing moves, nothing is lost
    #[arg(long)]
    pub(crate) freeze: bool,
    /// Bytes are taken and lost
    #[arg(long, conflicts_with = "freeze")]
    pub(crate) black_hole: bool,
    /// How long every piece waits
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) delay: Option<Duration>,
    /// Up to so much more
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) jitter: Option<Duration>,
    /// Bytes a second, such as 500, 64k or 2M
    #[arg(long, value_name = "BYTES", value_parser = value::bytes)]
    pub(crate) rate: Option<NonZeroU32>,
    /// Largest piece passed on at once, in bytes
    #[arg(long, value_name = "BYTES", value_parser = value::bytes)]
    pub(crate) fragment: Option<NonZeroU32>,
    /// After how many bytes a connection is cut
    #[arg(long, value_name = "BYTES")]
    pub(crate) cut_at: Option<u64>,
    /// The cut resets the connection instead of closing it
    #[arg(long, requires = "cut_at")]
    pub(crate) cut_reset: bool,
    /// Only from the client to the server
    #[arg(long, conflicts_with = "down")]
    pub(crate) up: bool,
    /// Only from the server to the client
    #[arg(long)]
    pub(crate) down: bool,
}

/// A port of this machine or an address.
fn listen(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    match port {
        Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Err(_) => {
            text.parse().map_err(|_| "allowed: a port, or an address such as [::1]:9001".into())
        }
    }
}
