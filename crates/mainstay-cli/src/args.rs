//! What the user typed.

mod alerts;
mod check;
mod fault;
mod id;
mod key;
mod load;
mod reach;
mod sessions;
mod top;
pub(crate) mod value;
mod ws;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use mainstay::core::config::Ratio;
use mainstay::core::policy::backoff::{Jitter, Strategy};
use mainstay_server::config::Flags;

pub(crate) use alerts::{AlertsAction, AlertsArgs};
pub(crate) use check::CheckArgs;
pub(crate) use fault::{BytesArgs, FaultArgs};
pub(crate) use id::{
    AuthorityArgs, BenchArgs, IdAction, IdArgs, InspectArgs, MintArgs, ValidateArgs,
};
pub(crate) use key::{KeyAction, KeyArgs};
pub(crate) use load::LoadArgs;
pub(crate) use reach::{IdentityArgs, ReachArgs};
pub(crate) use sessions::{FilterArgs, KickArgs, ServerArgs, SessionsAction, SessionsArgs};
pub(crate) use top::TopArgs;
pub(crate) use ws::WsArgs;

/// Connections that hold: serve links, hold URLs, talk over WebSockets, retry calls and commands.
#[derive(Debug, Parser)]
#[command(
    name = "mainstay",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Examples:
  mainstay hold https://example.org tcp://127.0.0.1:5432
  mainstay ws wss://example.org/feed
  mainstay call https://example.org/api --attempts 5 --deadline 1m
  mainstay call --attempts 4 --exec rsync -a here/ there:/
  mainstay config init && mainstay serve
  mainstay sessions list --status connected
  mainstay top
  mainstay check && mainstay alerts list
  mainstay load --connections 1000 --flaky 0.1

Exit codes: 0 ok, 1 the thing asked about is not ok, 2 usage, 3 environment."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Hold the links of a configuration file, with an API and metrics
    Serve(ServeArgs),
    /// Hold URLs in the terminal and show how they are
    Hold(HoldArgs),
    /// Talk over a WebSocket that heals: lines out, messages in
    Ws(Box<WsArgs>),
    /// Make one HTTP request, or run a command, and try again when that can help
    Call(Box<CallArgs>),
    /// See and steer the sessions of a server that runs
    Sessions(Box<SessionsArgs>),
    /// Try who is told of alerts by a server that runs
    Alerts(AlertsArgs),
    /// Say how a server is, as a plugin of Nagios does
    Check(CheckArgs),
    /// Watch a server in the terminal: links, sessions, alerts
    Top(TopArgs),
    /// Make keys for the configuration of `serve`
    Key(KeyArgs),
    /// Check and explain ChittyIDs, and serve an authority that gives them
    Id(IdArgs),
    /// Put a bad network between a client and a server
    Fault(FaultArgs),
    /// Put load on a session server, and check that no message is lost or doubled
    Load(Box<LoadArgs>),
    /// Write, check and show the configuration of `serve`
    Config(ConfigArgs),
    /// Write completions for a shell to standard output
    #[command(after_help = "Example:
  mainstay completions bash > /etc/bash_completion.d/mainstay")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args, Debug)]
#[command(
    after_help = "A flag wins over the environment (such as MAINSTAY_SERVER__LISTEN), which \
wins over the file,
which wins over the default. SIGHUP reads the file again, SIGTERM and Ctrl-C stop the server.

Examples:
  mainstay serve
  mainstay serve --config mainstay.toml --listen 127.0.0.1:0 --log-format json
  MAINSTAY_SERVER__TOKEN=$(cat token) mainstay serve --listen 0.0.0.0:7180

Exit codes: 0 stopped in good order, 1 stopped after the deadline, 2 bad configuration,
3 the address cannot be listened on."
)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

/// What decides a configuration.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SettingArgs {
    /// Configuration file [default: the first of mainstay.toml, /etc/mainstay/mainstay.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Address of the API; port 0 takes a free one [default: 127.0.0.1:7180]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Folder for data [default: ./mainstay-data]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// How long a shutdown may take [default: 10s]
    #[arg(long, value_name = "DURATION")]
    shutdown_deadline: Option<String>,
    /// Level, or levels by target such as info,mainstay=debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Form of log lines: text, json [default: text]
    #[arg(long, value_name = "FORM")]
    log_format: Option<String>,
    /// Serve others than this machine without asking for a token
    #[arg(long)]
    allow_public_without_auth: bool,
}

impl SettingArgs {
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            config: self.config.clone(),
            listen: self.listen.clone(),
            data_dir: self.data_dir.clone(),
            shutdown_deadline: self.shutdown_deadline.clone(),
            log_level: self.log_level.clone(),
            log_format: self.log_format.clone(),
            allow_public_without_auth: self.allow_public_without_auth,
        }
    }
}

#[derive(Args, Debug)]
#[command(after_help = "On a terminal it draws a live table, otherwise it writes one line per \
event.

Examples:
  mainstay hold https://example.org tcp://127.0.0.1:5432
  mainstay hold ws://127.0.0.1:9001 wss://example.org/feed
  mainstay hold http://127.0.0.1:8080/health --once --for 30s && ./deploy
  mainstay hold https://example.org --json --interval 500ms | jq .event

Exit codes: 0 all were connected at the end, 1 one was not, 2 usage.")]
pub(crate) struct HoldArgs {
    /// What to hold: http://…, https://… (a GET of that path tells health), ws://…, wss://… (a
    /// ping does) or tcp://host:port
    #[arg(required = true, value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// From the end of one health check to the next; a WebSocket is pinged after that much silence
    #[arg(long, default_value = "2s", value_parser = value::duration)]
    pub(crate) interval: Duration,
    /// Longest time of a health check or a dial [default: 2s, or the interval if that is shorter]
    #[arg(long, value_parser = value::duration)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) redial: RedialArgs,
    /// Failed checks that take a link down [default: 3; of a WebSocket 1]
    #[arg(long)]
    pub(crate) down: Option<u32>,
    /// Good checks that forgive failed ones [default: 2; of a WebSocket 1]
    #[arg(long)]
    pub(crate) up: Option<u32>,
    /// Stop after this long [default: never; with --once 30s]
    #[arg(long = "for", value_name = "DURATION", value_parser = value::duration)]
    pub(crate) during: Option<Duration>,
    /// Stop as soon as all are connected
    #[arg(long)]
    pub(crate) once: bool,
    /// One JSON object per event and line
    #[arg(long)]
    pub(crate) json: bool,
    /// Allow ws:// to another machine: what is sent can then be read and changed on the way
    #[arg(long)]
    pub(crate) allow_plain: bool,
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// How a link is dialled again.
#[derive(Args, Debug)]
pub(crate) struct RedialArgs {
    /// Ceiling of the first wait before a redial
    #[arg(long, default_value = "500ms", value_parser = value::duration)]
    pub(crate) base: Duration,
    /// Ceiling of every wait
    #[arg(long, default_value = "10s", value_parser = value::duration)]
    pub(crate) cap: Duration,
    /// How a wait is drawn: none, full, equal, or a share such as 0.2
    #[arg(long, default_value = "full", value_parser = value::jitter)]
    pub(crate) jitter: Jitter,
    /// Redials before a link gives up [default: no limit]
    #[arg(long)]
    pub(crate) attempts: Option<u32>,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "mainstay call [OPTIONS] <URL>\n       mainstay call [OPTIONS] --exec \
                      <COMMAND>...\n       mainstay call [OPTIONS] -- <COMMAND>...",
    after_help = "A request that is not idempotent (POST, PATCH) is tried again only when it \
certainly was not
sent, unless it has an idempotency key.

Examples:
  mainstay call https://example.org/api
  mainstay call -X POST -d @order.json --idempotency-key 7f3a https://example.org/orders
  mainstay call --policy axon --json https://example.org/api
  mainstay call --attempts 5 --base 1s --retry-exit 75 --exec ./sync.sh --all

Exit codes of a request: 0 status below 400, 1 it failed, 2 usage, 3 environment, 130 interrupted.
Exit code of --exec: the command's last one; 124 when it ran out of time, 126 or 127 when it cannot
be run, 128 + n when signal n ended it."
)]
pub(crate) struct CallArgs {
    /// What to ask
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) request: RequestArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) command: CommandArgs,
    /// Tell nothing on standard error
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Write a report as JSON to standard output in place of the body (with --exec, to standard
    /// error)
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Request")]
pub(crate) struct RequestArgs {
    /// Method [default: GET, or POST with --data]
    #[arg(short = 'X', long, value_parser = value::method)]
    pub(crate) method: Option<http::Method>,
    /// A header, such as "Accept: text/plain"; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = value::header)]
    pub(crate) headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// The body, @FILE for that of a file, @- for standard input
    #[arg(short = 'd', long, value_name = "TEXT")]
    pub(crate) data: Option<String>,
    /// Sent as Idempotency-Key: the request may be sent twice then
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Statuses to try again, in place of the usual ones
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    pub(crate) retry_status: Vec<u16>,
    /// Most bytes of a body that are read
    #[arg(long, value_name = "BYTES", default_value_t = 16 * 1024 * 1024)]
    pub(crate) max_body: usize,
    /// Write status and headers before the body
    #[arg(short, long)]
    pub(crate) include: bool,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// A preset (default, chittyid_request, chittyid_v2_2, streamotter, axon), or a policy of the
    /// configuration file
    #[arg(long, value_name = "NAME")]
    pub(crate) policy: Option<String>,
    /// Where that policy is
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) config: Option<PathBuf>,
    /// Attempts in all, the first one included [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempts: Option<u32>,
    /// How waits grow [default: exponential]
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) backoff: Option<StrategyArg>,
    /// Ceiling of the first wait [default: 50ms]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) base: Option<Duration>,
    /// Ceiling of every wait [default: 20s]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) cap: Option<Duration>,
    /// Growth of exponential waits [default: 2]
    #[arg(long, value_parser = value::ratio)]
    pub(crate) factor: Option<Ratio>,
    /// How a wait is drawn: none, full, equal, or a share such as 0.2 [default: full]
    #[arg(long, value_parser = value::jitter)]
    pub(crate) jitter: Option<Jitter>,
    /// Longest time of one attempt [default: 10s; none with --exec]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) attempt_timeout: Option<Duration>,
    /// Longest time of everything, waits included [default: 30s; none with --exec]
    #[arg(long, value_name = "DURATION", value_parser = value::duration)]
    pub(crate) deadline: Option<Duration>,
    /// Most retries a second (a budget of tokens, as calls of a program share it) [default: none]
    #[arg(long, value_name = "PER SECOND")]
    pub(crate) budget: Option<u32>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Command")]
pub(crate) struct CommandArgs {
    /// Run everything that follows as a command, in place of a request
    #[arg(long)]
    pub(crate) exec: bool,
    /// Exit codes to try again [default: all but 0]
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) retry_exit: Vec<i32>,
    /// Exit codes never to try again
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    pub(crate) stop_exit: Vec<i32>,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND", hide = true)]
    pub(crate) command: Vec<OsString>,
}

/// How waits grow.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum StrategyArg {
    Fixed,
    Linear,
    Exponential,
    Decorrelated,
    Adaptive,
}

impl From<StrategyArg> for Strategy {
    fn from(strategy: StrategyArg) -> Self {
        match strategy {
            StrategyArg::Fixed => Self::Fixed,
            StrategyArg::Linear => Self::Linear,
            StrategyArg::Exponential => Self::Exponential,
            StrategyArg::Decorrelated => Self::Decorrelated,
            StrategyArg::Adaptive => Self::Adaptive,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Write a commented example
    #[command(after_help = "Example:\n  mainstay config init mainstay.toml")]
    Init {
        /// Where to
        #[arg(default_value = "mainstay.toml")]
        path: PathBuf,
        /// Overwrite what is there
        #[arg(long)]
        force: bool,
    },
    /// Check a file: file:line: field: message for each problem
    #[command(after_help = "Examples:\n  mainstay config check\n  mainstay config check \
                            mainstay.toml && systemctl reload mainstay\n\nExit codes: 0 it makes \
                            sense, 1 it does not, 2 usage.")]
    Check {
        /// Which file [default: the one that `serve` would read]
        path: Option<PathBuf>,
        /// One JSON object with all problems
        #[arg(long)]
        json: bool,
    },
    /// Show the settings in force and where each was taken from
    #[command(after_help = "Example:\n  MAINSTAY_LOG__LEVEL=debug mainstay config show")]
    Show {
        #[command(flatten)]
        settings: SettingArgs,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

/// The arguments with `--` after `--exec` of `call`, so that nothing that follows is taken for a
/// flag of ours.
pub(crate) fn with_separator(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    if args.get(1).is_some_and(|command| command == "call") {
        let stop = args.iter().position(|arg| arg == "--" || arg == "--exec");
        if let Some(at) = stop.filter(|at| args[*at] == "--exec")
            && args.get(at + 1).is_some_and(|next| next != "--")
        {
            args.insert(at + 1, "--".into());
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_after_exec_is_a_flag_of_ours() {
        let parse = |line: &str| {
            let args = line.split(' ').map(OsString::from);
            let Command::Call(call) = Cli::parse_from(with_separator(args)).command else {
                panic!("not a call")
            };
            (call.policy.attempts, call.command.command)
        };
        let (attempts, command) = parse("mainstay call --attempts 2 --exec ls --attempts 9 -- x");
        assert_eq!(attempts, Some(2));
        assert_eq!(command, ["ls", "--attempts", "9", "--", "x"]);
        assert_eq!(parse("mainstay call -- ls --exec").1, ["ls", "--exec"]);
        assert_eq!(parse("mainstay call --exec -- ls").1, ["ls"]);
    }
}
