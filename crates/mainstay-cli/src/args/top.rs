use std::time::Duration;

use clap::Args;

use super::{ServerArgs, value};

#[derive(Args, Debug)]
#[command(
    after_help = "Keys: Tab or 1 2 3 views, arrows or j k rows, Enter one row in full, s other \
order, / filter, a see to
an alert, m silence it for an hour, c check a link now, p pause, ? help, q quit.

Example:
  MAINSTAY_SERVER_URL=https://mainstay.example.org mainstay top --interval 2s

Exit codes: 0 ok, 2 usage, 3 the terminal cannot be drawn on, or the server does not answer at first."
)]
pub(crate) struct TopArgs {
    /// How often the server is asked
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = value::duration)]
    pub(crate) interval: Duration,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}
