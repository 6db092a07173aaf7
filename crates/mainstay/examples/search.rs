//! Calls an HTTP service through a gate: `cargo run --example search -- http://127.0.0.1:8080/`.
//!
//! Stop and start the service meanwhile: calls fail fast while it is away, and go on when it is back.

use std::time::Duration;

use mainstay::core::policy::preset::PolicyConfig;
use mainstay::http::{Client, RequestError};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080/".into());
    let mut policy = PolicyConfig::default();
    policy.call.attempt_timeout = Some(Duration::from_secs(2));
    policy.call.deadline = Some(Duration::from_secs(5));
    let client = Client::new(&policy)?;
    for number in 1..=60 {
        let request = client.inner().get(&url).build()?;
        match client.execute(request).await {
            Ok(answer) => println!("{number}: {}", answer.status()),
            Err(RequestError::Failed(error)) => println!("{number}: {error}"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
