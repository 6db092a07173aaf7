//! Mail, to a server that others wrote.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::running::PATIENCE;

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

/// A mail server, with a certificate in a folder.
pub(crate) struct MailServer {
    port: u16,
    folder: TempDir,
    output: Lines<BufReader<ChildStdout>>,
    _child: Killed,
}

impl MailServer {
    pub(crate) fn start() -> Self {
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
        let child = Killed(child);
        let port = output.next().unwrap().unwrap().parse().unwrap();
        Self { port, folder, output, _child: child }
    }

    /// A receiver that writes there, with the password of this variable.
    pub(crate) fn receiver(&self, name: &str, password: &str) -> String {
        format!(
            "[[receiver]]\nname = \"{name}\"\nkind = \"email\"\nhost = \"localhost\"\nport = {}\n\
             user = \"ops\"\npassword_env = \"{password}\"\nca_file = {:?}\n\
             from = \"Mainstay <mainstay@example.org>\"\nto = [\"ops@example.org\"]\n",
            self.port,
            self.folder.path().join("cert.pem")
        )
    }

    /// The next mail. Whoever sends it goes on meanwhile.
    pub(crate) async fn mail(self) -> (Self, Value) {
        let wait = tokio::task::spawn_blocking(move || {
            let mut server = self;
            let line = server.output.next().unwrap().unwrap();
            (server, serde_json::from_str(&line).unwrap())
        });
        timeout(PATIENCE, wait).await.expect("a mail").unwrap()
    }
}

#[tokio::test]
async fn a_mail_server_that_others_wrote_takes_notices_after_starttls_and_a_login() {
    let server = MailServer::start();
    let receivers = server.receiver("ops", "PASSWORD") + &server.receiver("wrong", "KEY");
    let text = format!("{QUICK}{receivers}");
    let running = serve(&text, "").await;
    running.handle.notifier().tell(firing(1, "HIGH_LATENCY"));
    until_receiver(&running, "ops", "it was taken", |one| one["sent"] == 1).await;
    let (_server, mail) = server.mail().await;
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
