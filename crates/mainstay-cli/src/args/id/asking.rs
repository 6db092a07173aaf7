//! What asks an authority.

use std::path::PathBuf;

use chittyid::{EntityType, Profiles};
use clap::Args;

use super::profiles;

/// Which authority, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct AuthorityArgs {
    /// The authority, or a gateway's upstream [env: CHITTYID_SERVICE_URL] [default:
    /// http://127.0.0.1:7180]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Variable of the environment that holds the key
    #[arg(long, value_name = "NAME", default_value = "CHITTY_ID_TOKEN")]
    pub(crate) key_env: String,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Each id is stored by the authority before it is answered. A mint that fails on \
the way is tried
again under the same idempotency key, so that it burns no second id; with --idempotency-key, also
by another run of this command. With --count, an authority's limit is waited for, up to 120 s at a
time.

Examples:
  mainstay id mint INFO
  mainstay id mint PEO --name 'Ann' --meta source=intake --meta case=42
  CHITTY_ID_TOKEN=$(cat key) mainstay id mint EVNT --count 1000 --url https://ids.example.org
  jq -n '{a: 1}' | mainstay id mint FACT --meta-file - --json

Exit codes: 0 minted, 1 the authority refused or failed, 2 usage, or the key does not hold, 3 the
authority does not answer, or nobody reads the ids."
)]
pub(crate) struct MintArgs {
    /// What the id stands for: PEO, PLACE, PROP, EVNT, AUTH, INFO, FACT, CONTEXT, ACTOR
    #[arg(value_name = "ENTITY")]
    pub(crate) entity: EntityType,
    /// What it is called
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What is kept with it, as text; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) meta: Vec<(String, String)>,
    /// A file with a JSON object to be kept with it; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) meta_file: Option<PathBuf>,
    /// So many ids, all with the same metadata
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// What makes this the same request when it is made again
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Accepted profiles: names with commas between, interop or all
    #[arg(long, value_name = "PROFILES", default_value = "interop", value_parser = profiles)]
    pub(crate) profile: Profiles,
    /// One JSON object per id and line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) authority: AuthorityArgs,
}

#[derive(Args, Debug)]
#[command(
    after_help = "What seed 002 asked to be measured: minting, and validating with and without \
the client's cache.
An authority gives each key 100 ids a minute by default: raise mints_per_minute in its
configuration to measure more than that.

Examples:
  mainstay id bench
  mainstay id bench --mints 5000 --concurrency 64 --json

Exit codes: 0 all calls succeeded, 1 some failed, 2 usage, 3 the authority does not answer."
)]
pub(crate) struct BenchArgs {
    /// Ids to mint
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) mints: u32,
    /// Validations of each kind
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) validations: u32,
    /// Calls at the same time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) concurrency: u16,
    /// Measure an authority that is not on this machine
    #[arg(long)]
    pub(crate) yes_i_own_this: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) authority: AuthorityArgs,
}

fn pair(value: &str) -> Result<(String, String), String> {
    match value.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("allowed: KEY=VALUE".to_owned()),
    }
}
