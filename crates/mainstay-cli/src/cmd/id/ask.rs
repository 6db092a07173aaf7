//! The client of the commands that ask an authority.

use std::sync::Arc;

use chittyid::Profiles;
use chittyid_client::{ApiKey, Client, ClientConfig, Error};
use mainstay::core::config::ConfigError;

use crate::args::AuthorityArgs;
use crate::cmd::serve::environment;
use crate::exit::{ENVIRONMENT, Failure, NOT_OK, USAGE, chain};

const HERE: &str = "http://127.0.0.1:7180";

/// A client of the authority that is asked, which takes ids of these profiles.
pub(super) fn client(args: &AuthorityArgs, accepted: Profiles) -> Result<Client, Failure> {
    let environment = environment();
    let named = args.url.clone().or_else(|| environment.get("CHITTYID_SERVICE_URL").cloned());
    let key = environment.get(&args.key_env).filter(|key| !key.is_empty());
    let key = key.map(|key| ApiKey::new(key)).transpose().map_err(|error| refused(&error))?;
    let mut config = ClientConfig::new(named.unwrap_or_else(|| HERE.to_owned()));
    config.accepted = accepted;
    config.api_key = key;
    // One command, one question: nobody looks at how the connection is meanwhile.
    config.watch.enabled = false;
    Client::new(config).map_err(|error| refused(&error))
}

fn refused(error: &ConfigError) -> Failure {
    let ConfigError { field, value, allowed, .. } = error;
    let named = match field.as_str() {
        "base_url" => "--url",
        "api_key" => "the key",
        field => field,
    };
    Failure::usage(format!("{named} is {value}, allowed: {allowed}"))
}

/// How the command ends when the authority did not do what was asked.
pub(super) fn failed(error: &Error) -> Failure {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the client's list grows; the rest is one case"
    )]
    let code = match error {
        Error::Unauthorized(_) | Error::Forbidden(_) | Error::Unsendable { .. } => USAGE,
        Error::Unreachable { .. } | Error::Timeout { .. } | Error::Page(_) => ENVIRONMENT,
        _ => NOT_OK,
    };
    Failure { code, message: chain(error) }
}

/// Asks for something in so many calls at the same time; answers each result in its order.
pub(super) async fn many<T, E, F>(
    count: u32,
    at_once: u16,
    call: impl Fn(u32) -> F,
) -> Vec<Result<T, E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let places = Arc::new(tokio::sync::Semaphore::new(at_once.into()));
    let mut calls = Vec::new();
    for number in 0..count {
        // The semaphore is never closed.
        let place = places.clone().acquire_owned().await.ok();
        let call = call(number);
        calls.push(tokio::spawn(async move {
            let result = call.await;
            drop(place);
            result
        }));
    }
    let mut results = Vec::with_capacity(calls.len());
    for call in calls {
        match call.await {
            Ok(result) => results.push(result),
            // Nobody ends one of them from outside.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    results
}
