use std::time::Duration;

use clap::{Args, Subcommand};

use super::{ServerArgs, value};

const STATES: [&str; 4] = ["pending", "firing", "keep", "resolved"];
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];

#[derive(Args, Debug)]
#[command(
    after_help = "They ask a server that runs: `mainstay serve` starts one. An alert is named by \
its id, or by so
much of its beginning that there is only one.

Examples:
  mainstay alerts list
  mainstay alerts ack 9f3c --note 'calling them'
  mainstay alerts silence 9f3c --reason 'known, ticket 12' --for 2h
  mainstay alerts test ops

Exit codes: 0 ok, 1 it did not work, or there is no such thing, 2 usage, or the key may not do that,
3 the server does not answer."
)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    pub(crate) action: AlertsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsAction {
    /// List alerts, the worst first
    #[command(after_help = "On a terminal it draws a table, otherwise it writes fields with tabs \
in between.

Examples:
  mainstay alerts list --state firing
  mainstay alerts list --json | jq -r 'select(.acknowledged == null) | .summary'")]
    List {
        /// In this state
        #[arg(long, ignore_case = true, value_parser = STATES)]
        state: Option<String>,
        /// Of this severity
        #[arg(long, ignore_case = true, value_parser = SEVERITIES)]
        severity: Option<String>,
        /// Of this rule
        #[arg(long)]
        rule: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Tell what happened to alerts
    #[command(after_help = "Example:
  mainstay alerts history --from 2026-11-21T10:00:00Z --rule CONNECTION_FAILED")]
    History {
        /// From then on: RFC 3339, or milliseconds since 1970
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Until then, exclusively
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// Of this rule
        #[arg(long)]
        rule: Option<String>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Say that you see to an alert
    #[command(
        after_help = "It ends when the alert does, when it gets worse, or in time. Its end is \
told all the same.

Examples:
  mainstay alerts ack 9f3c --note 'calling them'
  mainstay alerts ack 9f3c --undo"
    )]
    Ack {
        /// The alert
        alert: String,
        /// What you say
        #[arg(long, default_value = "")]
        note: String,
        /// For how long [default: until it is over]
        #[arg(long = "for", value_name = "DURATION", value_parser = value::duration)]
        within: Option<Duration>,
        /// Take it back
        #[arg(long, conflicts_with_all = ["note", "within"])]
        undo: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Let an alert notify nobody for a while
    #[command(after_help = "Examples:
  mainstay alerts silence 9f3c --reason 'known, ticket 12'
  mainstay alerts silence 9f3c --reason 'they move' --for 2h
  mainstay alerts silence 9f3c --undo")]
    Silence {
        /// The alert
        alert: String,
        /// Why; others will want to know
        #[arg(long, required_unless_present = "undo")]
        reason: Option<String>,
        /// For how long [default: until it is resolved]
        #[arg(long = "for", value_name = "DURATION", value_parser = value::duration)]
        within: Option<Duration>,
        /// Take it back
        #[arg(long, conflicts_with_all = ["reason", "within"])]
        undo: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Send a notice that says it is a test
    #[command(after_help = "It is sent once and at once, whatever became of notices before.

Examples:
  mainstay alerts test ops
  mainstay alerts test pager --json | jq .took_ms")]
    Test {
        /// The receiver, as the configuration calls it
        receiver: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}
