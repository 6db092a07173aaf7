//! A process that is killed between what is due and what is sent.

use std::process::{Command, Stdio};

use super::{Hook, QUICK, firing, serve, until_receiver, webhook};

const FOLDER: &str = "MAINSTAY_NOTICES_FOLDER";
const URL: &str = "MAINSTAY_NOTICES_URL";

fn text(folder: &str, url: &str) -> String {
    let data = format!("[server]\ndata_dir = {folder:?}\n[store]\nengine = \"redb\"\n");
    format!("{data}{QUICK}{}", webhook("ops", url))
}

#[tokio::test]
async fn what_was_due_is_sent_once_more_with_the_same_id_after_kill_nine() {
    let variable = |name| std::env::var(name).ok();
    if let (Some(folder), Some(url)) = (variable(FOLDER), variable(URL)) {
        let running = serve(&text(&folder, &url), &url).await;
        running.handle.notifier().tell(firing(1, "A"));
        // Until it is killed.
        std::future::pending::<()>().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (hook, url) = Hook::start(&[503; 1_000]).await;
    let test = "notices::killed::what_was_due_is_sent_once_more_with_the_same_id_after_kill_nine";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FOLDER, folder)
        .env(URL, &url)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let id = hook.heard(1).await[0].header("webhook-id").to_owned();
    child.kill().unwrap();
    child.wait().unwrap();
    let before = hook.requests().len();
    hook.answer(&[]);
    let running = serve(&text(folder, &url), &url).await;
    let told = hook.heard(before + 1).await;
    assert_eq!(told[before].header("webhook-id"), id);
    assert_eq!(told[before].body, told[0].body);
    until_receiver(&running, "ops", "it was taken", |one| one["sent"] == 1).await;
    // What fires was told: only what is new comes.
    running.handle.notifier().tell(firing(1, "A"));
    running.handle.notifier().tell(firing(2, "B"));
    let told = hook.heard(before + 2).await;
    assert_eq!(told[before + 1].json()["alerts"][0]["rule"], "B");
    assert_ne!(told[before + 1].header("webhook-id"), id);
}
