use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use super::value;

const STATUSES: [&str; 5] = ["connected", "suspended", "reconnecting", "disconnected", "failed"];
const QUALITIES: [&str; 5] = ["excellent", "good", "poor", "critical", "unknown"];

#[derive(Args, Debug)]
#[command(after_help = "They ask a server that runs: `mainstay serve` starts one.

Examples:
  mainstay sessions list --organisation acme --status connected
  mainstay sessions watch --user kim
  MAINSTAY_KEY=$(cat key) mainstay sessions kick --organisation acme --code 4101 --spread 1m

Exit codes: 0 ok, 1 no such session, or it is over, 2 usage, or the key may not do that, 3 the
server does not answer.")]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    pub(crate) action: SessionsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionsAction {
    /// List the sessions that fit
    #[command(after_help = "On a terminal it draws a table, otherwise it writes fields with tabs \
in between.

Examples:
  mainstay sessions list --quality poor
  mainstay sessions list --json | jq -r 'select(.missed_heartbeats > 1) | .session'")]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Sessions at most [default: all]
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show everything that is known of a session
    #[command(after_help = "Example:
  mainstay sessions show 01999999-0000-7000-8000-000000000000 --json | jq .quality")]
    Show {
        /// The session
        session: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Tell what happened to a session, or to all
    #[command(after_help = "Examples:
  mainstay sessions history 01999999-0000-7000-8000-000000000000
  mainstay sessions history --from 2026-11-21T10:00:00Z --to 2026-11-21T10:05:00Z --json")]
    History {
        /// The session [default: all of them]
        session: Option<String>,
        /// From then on: RFC 3339, or milliseconds since 1970
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Until then, exclusively
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// Events at most [default: all]
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Send a session away, or many
    #[command(after_help = "The code says what clients do: 4000 to 4099 they come back at once, \
4100 to 4199 after
--retry-after, 4200 to 4299 never. With one below 4200 their sessions stay as they are.

Examples:
  mainstay sessions kick 01999999-0000-7000-8000-000000000000 --reason 'please update'
  mainstay sessions kick --organisation acme --code 4101 --retry-after 30s --retry-jitter 30s
  mainstay sessions kick --all --code 4002 --spread 5m")]
    Kick(KickArgs),
    /// Send a message to a session
    #[command(after_help = "Examples:
  mainstay sessions send 01999999-0000-7000-8000-000000000000 '{\"refresh\":true}'
  mainstay sessions send 01999999-0000-7000-8000-000000000000 --text 'good morning'")]
    Send {
        /// The session
        session: String,
        /// The message: any JSON
        message: String,
        /// Send the message as a text rather than read it as JSON
        #[arg(long)]
        text: bool,
        /// Let it be lost with the connection, or when nobody is there
        #[arg(long)]
        untracked: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Tell what happens to sessions, as it happens
    #[command(after_help = "When the connection breaks it comes back and goes on where it was: \
nothing is missed.

Examples:
  mainstay sessions watch --organisation acme
  mainstay sessions watch --after 0 --json | jq -r .event | sort | uniq -c")]
    Watch {
        /// Of this user
        #[arg(long)]
        user: Option<String>,
        /// Of this organisation
        #[arg(long)]
        organisation: Option<String>,
        /// Of this session
        #[arg(long)]
        session: Option<String>,
        /// Begin behind this place of the history; 0 tells everything that is kept [default: now]
        #[arg(long, value_name = "PLACE")]
        after: Option<u64>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// Which sessions.
#[derive(Args, Debug)]
pub(crate) struct FilterArgs {
    /// Of this user
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Of this organisation
    #[arg(long)]
    pub(crate) organisation: Option<String>,
    /// Of this program
    #[arg(long, value_name = "TYPE")]
    pub(crate) client_type: Option<String>,
    /// In this state
    #[arg(long, ignore_case = true, value_parser = STATUSES)]
    pub(crate) status: Option<String>,
    /// With this grade
    #[arg(long, ignore_case = true, value_parser = QUALITIES)]
    pub(crate) quality: Option<String>,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("whom").required(true).multiple(true)
    .args(["session", "user", "organisation", "client_type", "status", "quality", "all"]))]
pub(crate) struct KickArgs {
    /// The session
    #[arg(conflicts_with_all = ["user", "organisation", "client_type", "status", "quality", "all"])]
    pub(crate) session: Option<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Every session there is
    #[arg(long, conflicts_with_all = ["user", "organisation", "client_type", "status", "quality"])]
    pub(crate) all: bool,
    /// The code of the goodbye
    #[arg(long, default_value_t = 4202, value_parser = clap::value_parser!(u16).range(4000..4300))]
    pub(crate) code: u16,
    /// The same for people
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// When clients may come back
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) retry_after: Option<Duration>,
    /// What each draws on top of that
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) retry_jitter: Option<Duration>,
    /// Over how long the goodbyes of many are spread [default: as the server is configured]
    #[arg(long, value_name = "DURATION", value_parser = value::duration, conflicts_with = "session")]
    pub(crate) spread: Option<Duration>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Which server is asked, by whom.
#[derive(Args, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Where it is [default: MAINSTAY_SERVER_URL, or http://127.0.0.1:7180]
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Variable with the key to show
    #[arg(long, value_name = "NAME", default_value = "MAINSTAY_KEY")]
    pub(crate) key_env: String,
    /// Certificates to trust with https://, as PEM, in place of the platform's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}
