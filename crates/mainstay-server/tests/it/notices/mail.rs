//! Mail, over a socket, to a server that keeps to RFC 5321 as far as a client can tell.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_monitor::notify::Standing;
use mainstay_server::tls::TlsFiles;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{QUICK, firing, resolved, serve, until, until_receiver};

/// What came.
#[derive(Clone, Debug, Default)]
struct Mail {
    from: String,
    to: Vec<String>,
    text: String,
    login: Option<String>,
    is_secret: bool,
}

impl Mail {
    fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        let start = format!("{name}: ");
        let mut found = head.lines().filter_map(|line| line.strip_prefix(start.as_str()));
        let first = found.next().map(String::from);
        assert_eq!(found.next(), None, "{name} stands twice");
        first
    }
}

/// How the server is.
#[derive(Clone, Default)]
struct Server {
    mails: Arc<Mutex<Vec<Mail>>>,
    /// What it answers to RCPT next; 250 when nothing is left.
    answers: Arc<Mutex<Vec<&'static str>>>,
    tls: Option<Arc<ServerConfig>>,
    from_the_start: bool,
}

impl Server {
    async fn start(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let server = self.clone();
                tokio::spawn(async move {
                    let acceptor = server.tls.clone().map(TlsAcceptor::from);
                    match acceptor {
                        Some(acceptor) if server.from_the_start => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                server.serve(stream, true, true).await;
                            }
                        }
                        Some(acceptor) => {
                            if let Some(stream) = server.serve(stream, false, true).await
                                && let Ok(stream) = acceptor.accept(stream).await
                            {
                                server.serve(stream, true, false).await;
                            }
                        }
                        None => drop(server.serve(stream, false, true).await),
                    }
                });
            }
        });
        port
    }

    /// One connection; answers the stream when TLS is to begin.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        is_secret: bool,
        greets: bool,
    ) -> Option<S> {
        let mut stream = BufReader::new(stream);
        let mut mail = Mail { is_secret, ..Mail::default() };
        if greets {
            stream.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            let answer = match line.split([' ', ':']).next().unwrap() {
                "EHLO" if is_secret => "250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n".to_owned(),
                "EHLO" if self.tls.is_some() => "250-mail.test\r\n250 STARTTLS\r\n".into(),
                "EHLO" => "250 mail.test\r\n".into(),
                "STARTTLS" => {
                    stream.write_all(b"220 go\r\n").await.ok()?;
                    return Some(stream.into_inner());
                }
                "AUTH" => {
                    let login = line.strip_prefix("AUTH PLAIN ").unwrap();
                    let login = String::from_utf8(STANDARD.decode(login).unwrap()).unwrap();
                    let is_known = login.ends_with("password-hidden");
                    mail.login = Some(login);
                    if is_known { "235 hello\r\n".into() } else { "535 who\r\n".into() }
                }
                "MAIL" => {
                    mail.from = line.to_owned();
                    "250 ok\r\n".into()
                }
                "RCPT" => {
                    mail.to.push(line.to_owned());
                    let mut answers = self.answers.lock().unwrap();
                    if answers.is_empty() { "250 ok\r\n".into() } else { answers.remove(0).into() }
                }
                "DATA" => {
                    stream.write_all(b"354 say\r\n").await.ok()?;
                    loop {
                        let mut line = String::new();
                        stream.read_line(&mut line).await.ok()?;
                        if line == ".\r\n" {
                            break;
                        }
                        mail.text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    }
                    self.mails.lock().unwrap().push(mail.clone());
                    "250 taken\r\n".into()
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await.ok()?;
                    return None;
                }
                _ => "250 ok\r\n".into(),
            };
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
    }
}

fn receiver(port: u16, more: &str) -> String {
    format!(
        "{QUICK}[[receiver]]\nname = \"mail\"\nkind = \"email\"\nhost = \"localhost\"\nport = {port}\n\
         from = \"Mainstay <mainstay@example.org>\"\nto = [\"ops@example.org\", \"o2@example.org\"]\n\
         {more}\n"
    )
}

async fn came(mails: &Mutex<Vec<Mail>>, count: usize) -> Vec<Mail> {
    until("the mail", || mails.lock().unwrap().len() >= count).await;
    mails.lock().unwrap().clone()
}

#[tokio::test]
async fn mails_of_one_matter_are_one_thread_and_no_alert_writes_headers() {
    let server = Server::default();
    let mails = server.mails.clone();
    let running = serve(&receiver(server.start().await, "tls = \"none\""), "").await;
    let notifier = running.handle.notifier();
    let summary = "slow\r\nBcc: everybody@example.org\r\n\r\nhello é\n.\n".into();
    notifier.tell(Standing { summary, ..firing(1, "HIGH_LATENCY") });
    let first = came(&mails, 1).await[0].clone();
    assert_eq!(first.from, "MAIL FROM:<mainstay@example.org>");
    assert_eq!(first.to, ["RCPT TO:<ops@example.org>", "RCPT TO:<o2@example.org>"]);
    assert_eq!(first.header("Bcc"), None, "{}", first.text);
    assert!(first.header("Subject").is_some() && first.header("Date").is_some());
    assert!(first.header("Content-Type").unwrap().starts_with("text/plain; charset=utf-8"));
    let id = first.header("Message-ID").unwrap();
    assert!(id.starts_with("<ntf_") && id.ends_with(".mail@example.org>"), "{id}");
    assert_eq!(first.header("In-Reply-To"), None);
    notifier.tell(resolved(1, "HIGH_LATENCY"));
    let second = came(&mails, 2).await[1].clone();
    assert!(second.header("Subject").unwrap().starts_with("[RESOLVED after "), "{}", second.text);
    assert_eq!(second.header("In-Reply-To").as_ref(), Some(&id));
    assert_eq!(second.header("References").as_ref(), Some(&id));
    assert_ne!(second.header("Message-ID"), Some(id));
    assert!(second.text.contains("what to do: https://example.org/runbook"), "{}", second.text);
}

#[tokio::test]
async fn a_login_is_said_only_under_tls_that_is_trusted() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, cert.pem()).unwrap();
    let key = mainstay_server::config::Secret::new(signing_key.serialize_pem());
    let tls = TlsFiles { certificate: cert.pem(), key }.acceptor().unwrap();
    let mut tls = ServerConfig::clone(&tls);
    tls.alpn_protocols.clear();
    let tls = Arc::new(tls);
    for (from_the_start, name) in [(false, "starttls"), (true, "tls")] {
        let server = Server { tls: Some(tls.clone()), from_the_start, ..Server::default() };
        let mails = server.mails.clone();
        let port = server.start().await;
        let login = format!("tls = \"{name}\"\nuser = \"ops\"\npassword_env = \"PASSWORD\"");
        let trusted = format!("{login}\nca_file = {roots:?}");
        let running = serve(&receiver(port, &trusted), "").await;
        running.handle.notifier().tell(firing(1, "A"));
        let mail = came(&mails, 1).await[0].clone();
        assert!(mail.is_secret, "{name}");
        assert_eq!(mail.login.as_deref(), Some("\0ops\0password-hidden"));
        // Without the certificate nothing is said.
        let running = serve(&receiver(port, &login), "").await;
        let (_, test) = super::ask(&running, "POST", "/api/v1/notifications/mail/test").await;
        assert_eq!(test["delivered"], false, "{name}: {test}");
    }
    // A server that offers no TLS gets nothing, either.
    let server = Server::default();
    let running = serve(&receiver(server.start().await, ""), "").await;
    let (_, test) = super::ask(&running, "POST", "/api/v1/notifications/mail/test").await;
    assert_eq!(test["delivered"], false, "{test}");
}

#[tokio::test]
async fn a_mail_that_is_put_off_is_sent_again_and_one_that_is_refused_is_not() {
    let server = Server::default();
    let mails = server.mails.clone();
    server.answers.lock().unwrap().extend(["451 later\r\n", "421 later\r\n"]);
    let answers = server.answers.clone();
    let running = serve(&receiver(server.start().await, "tls = \"none\""), "").await;
    running.handle.notifier().tell(firing(1, "A"));
    came(&mails, 1).await;
    until_receiver(&running, "mail", "it was taken", |one| one["sent"] == 1).await;
    answers.lock().unwrap().push("550 nobody of that name\r\n");
    running.handle.notifier().tell(firing(2, "B"));
    let shown = until_receiver(&running, "mail", "it is dead", |one| one["dead"] == 1).await;
    assert_eq!(shown["last_error"], "it answered 550");
}
