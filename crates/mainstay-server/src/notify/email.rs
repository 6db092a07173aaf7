//! Mail.

use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use mainstay::core::policy::outcome::Outcome;

use super::letter::Letter;
use super::send::{Reason, SendError, deepest};
use super::spec::{EmailSpec, MailTls, ReceiverSpec};
use super::text;

/// Sends mail to the people of one receiver.
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Where ids are from.
    domain: String,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

impl Mailer {
    pub(super) fn new(mail: &EmailSpec, spec: &ReceiverSpec) -> Result<Self, String> {
        let from: Mailbox = mail.from.parse().map_err(|_| "from is no address".to_owned())?;
        let to: Result<Vec<Mailbox>, _> = mail.to.iter().map(|to| to.parse()).collect();
        let to = to.map_err(|_| "to has something that is no address".to_owned())?;
        let domain = from.email.domain().to_owned();
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host)
            .port(mail.port)
            .hello_name(ClientId::Domain(domain.clone()))
            .timeout(Some(spec.timeout))
            .tls(match mail.tls {
                MailTls::None => Tls::None,
                MailTls::StartTls => Tls::Required(parameters(mail, spec)?),
                MailTls::Tls => Tls::Wrapper(parameters(mail, spec)?),
            });
        if let Some((user, password)) = &mail.login {
            let login = Credentials::new(user.clone(), password.expose().to_owned());
            transport = transport.credentials(login);
        }
        Ok(Self { transport: transport.build(), from, to, domain })
    }

    pub(super) async fn send(&self, letter: &Letter) -> Result<(), SendError> {
        let message = self.message(letter).map_err(|error| SendError::mistake(deepest(&error)))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(judge(&error)),
        }
    }

    /// The mail: its id is the notice's, and what belongs together is one thread.
    fn message(&self, letter: &Letter) -> Result<Message, lettre::error::Error> {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(letter.at_unix_ms);
        let receiver = &letter.notification.receiver;
        let named = |id: &str| format!("<{id}.{receiver}@{}>", self.domain);
        let mut builder: MessageBuilder = Message::builder()
            .from(self.from.clone())
            .subject(text::title(letter))
            .date(at)
            .message_id(Some(named(&letter.id)));
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let thread = letter.thread();
        if thread != letter.id && !letter.test {
            builder = builder.in_reply_to(named(&thread)).references(named(&thread));
        }
        builder.header(ContentType::TEXT_PLAIN).body(text::body(letter))
    }
}

fn parameters(mail: &EmailSpec, spec: &ReceiverSpec) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(mail.host.clone());
    if let Some(roots) = &spec.roots {
        builder = builder.certificate_store(CertificateStore::None);
        let root = Certificate::from_pem(roots.as_bytes()).map_err(|error| deepest(&error))?;
        builder = builder.add_root_certificate(root);
    }
    builder.build_rustls().map_err(|error| deepest(&error))
}

/// What a server's answer means: a 4yz is worth another try, a 5yz is not.
fn judge(error: &lettre::transport::smtp::Error) -> SendError {
    let code = error.status().map(u16::from);
    let detail = match code {
        Some(code) => format!("it answered {code}"),
        None => deepest(error),
    };
    let (reason, outcome) = match code {
        Some(432 | 454 | 530 | 534 | 535 | 538) => {
            let outcome = if error.is_permanent() { Outcome::Refused } else { Outcome::TRANSIENT };
            (Reason::Auth, outcome)
        }
        Some(421 | 450 | 451 | 452) if error.is_transient() => (Reason::Server, Outcome::TRANSIENT),
        Some(_) if error.is_permanent() => (Reason::Client, Outcome::Refused),
        Some(_) => (Reason::Server, Outcome::TRANSIENT),
        None if error.is_timeout() => (Reason::Timeout, Outcome::TRANSIENT),
        None => (Reason::Network, Outcome::TRANSIENT),
    };
    SendError::new(reason, outcome, detail)
}
