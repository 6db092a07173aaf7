//! Mail, to a server that others wrote.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;

use super::{QUICK, ask, firing, serve, until_receiver};

/// Python with what `xtask/python` lists.
fn python() -> PathBuf {
    let built_in = || Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("test-servers");
    let folder = std::env::var_os("MAINSTAY_TEST_SERVERS").map_or_else(built_in, PathBuf::from);
    let path = folder.join("python/bin/python");
    assert!(path.exists(), "{} is missing: `cargo xtask test` installs it", path.display());
    path
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_mail_server_that_others_wrote_takes_notices_after_starttls_and_a_login() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("cert.pem"), cert.pem()).unwrap();
    std::fs::write(file("key.pem"), signing_key.serialize_pem()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/notices/mail.py");
    let mut child = Command::new(python())
        .args([&script, &file("cert.pem"), &file("key.pem")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let _server = Killed(child);
    let port = output.next().unwrap().unwrap();
    let receiver = |name: &str, password: &str| {
        format!(
            "[[receiver]]\nname = \"{name}\"\nkind = \"email\"\nhost = \"localhost\"\nport = {port}\n\
             user = \"ops\"\npassword_env = \"{password}\"\nca_file = {:?}\n\
             from = \"Mainstay <mainstay@example.org>\"\nto = [\"ops@example.org\"]\n",
            file("cert.pem")
        )
    };
    let text = format!("{QUICK}{}{}", receiver("ops", "PASSWORD"), receiver("wrong", "KEY"));
    let running = serve(&text, "").await;
    running.handle.notifier().tell(firing(1, "HIGH_LATENCY"));
    until_receiver(&running, "ops", "it was taken", |one| one["sent"] == 1).await;
    let mail: Value = serde_json::from_str(&output.next().unwrap().unwrap()).unwrap();
    assert_eq!((&mail["tls"], &mail["from"]), (&true.into(), &"mainstay@example.org".into()));
    assert_eq!(mail["to"], serde_json::json!(["ops@example.org"]));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("Subject: [HIGH] HIGH_LATENCY: p95 of 5 m"), "{text}");
    // A login that is not known is refused for good, and said so.
    let shown = until_receiver(&running, "wrong", "it is dead", |one| one["dead"] == 1).await;
    assert_eq!(shown["last_error"], "it answered 535");
    let (_, page) = ask(&running, "GET", "/api/v1/notifications/dead-letters").await;
    assert_eq!(page["dead_letters"].as_array().unwrap().len(), 1);
}
