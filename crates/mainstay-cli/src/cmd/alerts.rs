//! `mainstay alerts`

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::sessions::server::{Server, plain};
use super::words::short;
use crate::args::{AlertsAction, AlertsArgs};
use crate::exit::{Failure, NOT_OK};
use crate::out;

pub(crate) async fn run(args: &AlertsArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        AlertsAction::Test { receiver, server } => {
            test(&Server::new(server)?, receiver, server.json).await
        }
    }
}

/// Sends a test, and says whether it was taken.
async fn test(server: &Server, receiver: &str, json: bool) -> Result<ExitCode, Failure> {
    let told = server.post(&["notifications", receiver, "test"], &json!({})).await?;
    let delivered = told["delivered"].as_bool().unwrap_or(false);
    if json {
        out::line(&told.to_string());
        return Ok(if delivered { ExitCode::SUCCESS } else { ExitCode::from(NOT_OK) });
    }
    let took = short(Duration::from_millis(told["took_ms"].as_u64().unwrap_or(0)));
    if delivered {
        out::line(&format!("{receiver} took it, in {took}"));
        return Ok(ExitCode::SUCCESS);
    }
    let why = plain(told["detail"].as_str().unwrap_or("it does not say why"));
    Err(Failure { code: NOT_OK, message: format!("{receiver} did not take it ({took}): {why}") })
}
