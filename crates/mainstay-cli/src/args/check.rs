use clap::Args;

use super::ServerArgs;

#[derive(Args, Debug)]
#[command(
    after_help = "It answers as a plugin of Nagios does: one line with figures behind |, then a \
line for each alert
that fires and nobody has muted.

Examples:
  mainstay check
  mainstay check --link payments
  mainstay check --json | jq .status

Exit codes: 0 OK, 1 WARNING (MEDIUM or HIGH fires), 2 CRITICAL, 3 UNKNOWN: the server does not answer,
or the command line makes no sense."
)]
pub(crate) struct CheckArgs {
    /// How this link is, and no other
    #[arg(long, value_name = "NAME")]
    pub(crate) link: Option<String>,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}
