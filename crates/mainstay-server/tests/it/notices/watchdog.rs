//! Signs of life.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_server::notify::{Watchdog, WatchdogSpec};
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
    let spec = WatchdogSpec { interval: Duration::from_millis(20), ..spec };
    let evaluated = Arc::new(Mutex::new(None));
    let looks = Arc::new(AtomicUsize::new(0));
    let (asked, looked) = (evaluated.clone(), looks.clone());
    let _watchdog = Watchdog::start(&spec, move || {
        looked.fetch_add(1, Ordering::SeqCst);
        *asked.lock().unwrap()
    });
    // A look comes after what the one before it has sent was taken.
    let more_looks = async |more: usize| {
        let enough = looks.load(Ordering::SeqCst) + more;
        until("more looks", || looks.load(Ordering::SeqCst) >= enough).await;
    };
    more_looks(5).await;
    assert!(hook.requests().is_empty(), "nothing was evaluated yet");
    until("two signs of life", || {
        *evaluated.lock().unwrap() = Some(Instant::now());
        hook.requests().len() >= 2
    })
    .await;
    let last = evaluated.lock().unwrap().unwrap();
    until("two intervals without", || last.elapsed() > 2 * spec.interval).await;
    more_looks(2).await;
    let signs = hook.requests().len();
    more_looks(10).await;
    assert_eq!(hook.requests().len(), signs);
}
