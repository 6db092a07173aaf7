mod asking;

use chittyid::{Profile, Profiles};
use clap::{Args, Subcommand};

pub(crate) use asking::{AuthorityArgs, BenchArgs, MintArgs};

use super::ServeArgs;

#[derive(Args, Debug)]
pub(crate) struct IdArgs {
    #[command(subcommand)]
    pub(crate) action: IdAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdAction {
    /// Have an authority mint ids
    Mint(MintArgs),
    /// Check the form and the check digits of ids, or ask an authority whether it gave them
    Validate(ValidateArgs),
    /// Show what an id's parts mean, or why it is none
    Inspect(InspectArgs),
    /// Serve with an authority that gives ids
    #[command(after_help = "The same as `serve`, with [chittyid.authority] as it is by default \
where the configuration does
not name one. It gives ids at /v1/mint to whoever shows a key, and says at /v1/validate which ones
it gave.

Examples:
  mainstay id serve
  mainstay id serve --config mainstay.toml --data-dir /var/lib/mainstay

Exit codes: 0 stopped in good order, 1 stopped after the deadline, 2 bad configuration,
3 the address cannot be listened on.")]
    Serve(ServeArgs),
    /// Measure an authority: minting, and validating with and without a cache
    Bench(BenchArgs),
}

#[derive(Args, Debug)]
#[command(
    after_help = "That an id is well-formed does not say that anybody gave it: the authority \
knows.
Of standard input, each line is an id, taken as it is: spaces around it are not trimmed.

Examples:
  mainstay id validate CT-A-CHI-0001-P-26-A-0
  mainstay id validate --quiet \"$ID\" || echo \"no id: $ID\"
  mainstay id validate --profile interop --invalid-only - < ids.txt
  mainstay id validate --profile client-v1,canonical-03 --json - < ids.txt | jq -r .error

Exit codes: 0 all are valid, 1 one is not, 2 usage, 3 standard input cannot be read."
)]
pub(crate) struct ValidateArgs {
    /// The ids; - for those of standard input, one a line
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Accepted profiles: names with commas between, interop (client-v1, service-v1, canonical-03)
    /// or all
    #[arg(long, value_name = "PROFILES", default_value = "client-v1", value_parser = profiles)]
    pub(crate) profile: Profiles,
    /// Write nothing: the exit code says it
    #[arg(short, long, conflicts_with_all = ["json", "invalid_only"])]
    pub(crate) quiet: bool,
    /// One JSON object per id and line, and one with the counts at the end
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave out what is valid
    #[arg(long)]
    pub(crate) invalid_only: bool,
    /// Ask the authority whether it gave them
    #[arg(long)]
    pub(crate) remote: bool,
    #[command(flatten)]
    pub(crate) authority: AuthorityArgs,
}

#[derive(Args, Debug)]
#[command(after_help = "Every profile that is known is tried; docs/chittyid.md tells them apart.

Examples:
  mainstay id inspect 03-1-USA-5537-P-2602-0-38
  mainstay id inspect CT-A-CHI-0001-P-26-A-0 --json | jq .fields

Exit codes: 0 it is an id, 1 it is none, or its check digits are wrong, 2 usage.")]
pub(crate) struct InspectArgs {
    /// The id
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Sets of profiles by name.
fn profiles(value: &str) -> Result<Profiles, String> {
    let mut all = Profiles::NONE;
    for name in value.split(',') {
        let some = match name {
            "interop" => Profiles::INTEROP,
            "all" => Profiles::ALL,
            name => Profiles::from(name.parse::<Profile>().map_err(|_| {
                let names: Vec<&str> = Profiles::ALL.iter().map(Profile::name).collect();
                format!("allowed: interop, all, {}", names.join(", "))
            })?),
        };
        all = some.iter().fold(all, Profiles::with);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_profiles_have_names() {
        assert_eq!(profiles("client-v1"), Ok(Profiles::CLIENT_V1));
        assert_eq!(profiles("interop"), Ok(Profiles::INTEROP));
        assert_eq!(profiles("client-v1,service-v1,canonical-03"), Ok(Profiles::INTEROP));
        assert_eq!(profiles("vrf,all"), Ok(Profiles::ALL));
        for wrong in ["", "client-v1,", "client_v1", "All"] {
            assert!(profiles(wrong).unwrap_err().contains("canonical-03-short"), "{wrong}");
        }
    }
}
