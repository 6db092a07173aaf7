use clap::{Args, Subcommand, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) action: KeyAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAction {
    /// Make a key: it is shown once, with what to write into the configuration
    #[command(after_help = "Nobody can read the key from the configuration: that has its hash \
alone.

Examples:
  mainstay key new --name till --role client --user till-7 --organisation acme
  mainstay key new --name ops --role operator --json | jq -r .toml >> mainstay.toml")]
    New {
        /// What it is called in the audit log: letters, digits, - and _
        #[arg(long)]
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value = "client")]
        role: RoleArg,
        /// The user it stands for
        #[arg(long)]
        user: Option<String>,
        /// The organisation it belongs to
        #[arg(long)]
        organisation: Option<String>,
        /// One JSON object: key, hash, toml
        #[arg(long)]
        json: bool,
    },
    /// Write the hash of a key that there is already, from standard input
    #[command(after_help = "Example:\n  mainstay key hash < key")]
    Hash,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleArg {
    /// Holds sessions of its own
    Client,
    /// Holds sessions for users that it names
    Gateway,
    /// Sees everything, and acts on single sessions, links and gates
    Operator,
    /// May do everything
    Admin,
}

impl RoleArg {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}
