//! Signs of life.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_server::notify::Watchdog;
use tokio::time::sleep;

use super::{Hook, environment, serve, until};
use crate::running::config_in;

const WATCHED: &str = "[watchdog]\nurl_env = \"URL\"\ninterval = \"1s\"\n";

#[tokio::test]
async fn a_server_gives_signs_of_life_while_it_runs() {
    let (hook, url) = Hook::start(&[]).await;
    let running = serve(&format!("{WATCHED}[monitor]\ninterval = \"1s\"\n"), &url).await;
    let heard = hook.heard(2).await;
    assert_eq!((heard[0].method.as_str(), heard[0].path.as_str()), ("GET", "/services/hidden"));
    running.end().await;
    let last = hook.requests().len();
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(hook.requests().len(), last);
}

#[tokio::test]
async fn signs_of_life_end_when_alerts_are_no_longer_evaluated() {
    let (hook, url) = Hook::start(&[]).await;
    let spec = config_in(WATCHED, &environment(&url)).watchdog.unwrap();
    let evaluated = Arc::new(Mutex::new(None));
    let asked = evaluated.clone();
    let _watchdog = Watchdog::start(&spec, move || *asked.lock().unwrap());
    sleep(Duration::from_millis(1_500)).await;
    assert!(hook.requests().is_empty(), "nothing was evaluated yet");
    until("two signs of life", || {
        *evaluated.lock().unwrap() = Some(Instant::now());
        hook.requests().len() >= 2
    })
    .await;
    // After two more of them at most.
    sleep(Duration::from_millis(3_500)).await;
    let last = hook.requests().len();
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(hook.requests().len(), last);
}
