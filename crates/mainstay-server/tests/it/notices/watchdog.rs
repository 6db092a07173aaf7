//! Signs of life.

use super::{Hook, serve, until};

#[tokio::test]
async fn signs_of_life_are_given_while_alerts_are_evaluated() {
    let (hook, url) = Hook::start(&[]).await;
    let text = "[watchdog]\nurl_env = \"URL\"\ninterval = \"1s\"\n";
    let running = serve(text, &url).await;
    let notifier = running.handle.notifier().clone();
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert!(hook.requests().is_empty(), "nothing is evaluated");
    for _ in 0..3 {
        let before = hook.requests().len();
        notifier.evaluated();
        until("a sign of life", || {
            notifier.evaluated();
            hook.requests().len() > before
        })
        .await;
    }
    let heard = hook.requests();
    assert_eq!((heard[0].method.as_str(), heard[0].path.as_str()), ("GET", "/services/hidden"));
    // Evaluation ends: so do the signs of life, after two of them at most.
    tokio::time::sleep(std::time::Duration::from_millis(3_000)).await;
    let last = hook.requests().len();
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(hook.requests().len(), last);
}
