use clap::{Args, Subcommand};

use super::ServerArgs;

#[derive(Args, Debug)]
#[command(after_help = "They ask a server that runs: `mainstay serve` starts one.

Example:
  mainstay alerts test ops

Exit codes: 0 ok, 1 it did not work, or there is no such thing, 2 usage, or the key may not do that,
3 the server does not answer.")]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    pub(crate) action: AlertsAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsAction {
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
