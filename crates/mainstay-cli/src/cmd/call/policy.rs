//! The policy that flags describe.

use std::time::Duration;

use mainstay::core::config::Ratio;
use mainstay::core::policy::backoff::Strategy;
use mainstay::core::policy::budget::{BudgetConfig, TokenBudgetConfig};
use mainstay::core::policy::gate::GateConfig;
use mainstay::core::policy::preset::PolicyConfig;
use mainstay::gate::Gate;
use mainstay::operations::Operations;
use mainstay::retry::Retry;
use mainstay_server::config::{Config, Flags};

use crate::args::PolicyArgs;
use crate::cmd::serve::environment;
use crate::exit::Failure;

/// How long things may take unless flags or the policy say otherwise.
pub(super) struct Limits {
    pub(super) attempt_timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
}

/// The policy named by flags with the flags put over it.
pub(super) fn build(args: &PolicyArgs, limits: &Limits) -> Result<PolicyConfig, Failure> {
    let mut policy = match &args.policy {
        Some(name) => named(name, args)?,
        // One call has nothing to learn from others: no breaker, and a budget only when asked for.
        None => PolicyConfig { gate: GateConfig::OPEN, ..PolicyConfig::default() },
    };
    let call = &mut policy.call;
    let backoff = &mut call.backoff;
    backoff.strategy = args.backoff.map_or(backoff.strategy, Strategy::from);
    backoff.base = args.base.unwrap_or(backoff.base);
    backoff.cap = args.cap.unwrap_or_else(|| backoff.cap.max(backoff.base));
    backoff.factor = args.factor.unwrap_or(backoff.factor);
    backoff.jitter = args.jitter.unwrap_or(backoff.jitter);
    call.attempts = args.attempts.unwrap_or(call.attempts);
    call.attempt_timeout = args.attempt_timeout.or(call.attempt_timeout).or(limits.attempt_timeout);
    call.deadline = args.deadline.or(call.deadline).or(limits.deadline);
    if let Some(per_second) = args.budget {
        policy.gate.budget = Some(BudgetConfig::Tokens(TokenBudgetConfig {
            ttl: Duration::from_secs(1),
            ratio: Ratio::ZERO,
            reserve_per_sec: per_second,
        }));
    }
    policy.checked().map_err(|error| {
        let flag = error.field.rsplit('.').next().unwrap_or_default().replace('_', "-");
        Failure::usage(format!("--{flag} is {}, allowed: {}", error.value, error.allowed))
    })
}

fn named(name: &str, args: &PolicyArgs) -> Result<PolicyConfig, Failure> {
    let preset = PolicyConfig::preset(name);
    if let (Some(preset), None) = (preset, &args.config) {
        return Ok(preset);
    }
    let flags = Flags { config: args.config.clone(), ..Flags::default() };
    let config = Config::load(&flags, &environment());
    let config = config.map_err(|problems| Failure::usage(problems.to_string()))?;
    config.policy(name).ok_or_else(|| {
        let own: Vec<_> = config.policies.keys().map(|name| format!(", {name}")).collect();
        Failure::usage(format!(
            "--policy is {name:?}, allowed: default, chittyid_request, chittyid_v2_2, streamotter, \
             axon{}",
            own.concat()
        ))
    })
}

/// The retry under that policy.
pub(super) fn retry(
    name: &str,
    policy: &PolicyConfig,
    operations: &Operations,
) -> Result<Retry, Failure> {
    let gate = Gate::with_events(name, &policy.gate, operations.events().clone());
    let retry = gate.and_then(|gate| Retry::through(policy, gate));
    retry.map_err(|error| Failure::usage(error.to_string()))
}
