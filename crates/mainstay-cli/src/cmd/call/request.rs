//! One HTTP request under a policy.

use std::fmt;
use std::io::Read as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use mainstay::classify::Attempt;
use mainstay::core::policy::outcome::{Outcome, Retry as Again};
use mainstay::http::{is_idempotent, status_outcome, transport_outcome};
use mainstay::operations::Operations;
use mainstay::retry::CallError;
use mainstay_server::config::safe_url;
use reqwest::{Client, Url};
use serde_json::json;

use super::policy::{self, Limits};
use super::report::{self, Progress};
use crate::args::{CallArgs, RequestArgs};
use crate::exit::{Failure, INTERRUPTED, NOT_OK, chain, ok_if};
use crate::out;
use crate::signals::Stop;

/// The name under which the call is tracked.
const NAME: &str = "call";
/// The most bytes that are sent.
const DATA_MAX: u64 = 64 * 1024 * 1024;
/// Longest time to make a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// An answer with its body.
struct Reply {
    status: StatusCode,
    version: http::Version,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// An attempt that did not bring what was asked for.
enum Miss {
    /// An answer that is a failure.
    Answer { reply: Reply, outcome: Outcome, note: &'static str },
    /// No answer, or not the whole of it.
    Nothing { error: String, outcome: Outcome, note: &'static str },
}

const NOT_AGAIN: &str =
    " (not tried again: it may have had its effect; --idempotency-key allows it)";

impl Miss {
    const fn outcome(&self) -> Outcome {
        match self {
            Self::Answer { outcome, .. } | Self::Nothing { outcome, .. } => *outcome,
        }
    }

    /// The same for a request that may have had its effect, and must not have it twice.
    fn unrepeatable(mut self) -> Self {
        let (Self::Answer { outcome, note, .. } | Self::Nothing { outcome, note, .. }) = &mut self;
        if outcome.retry() != Again::No {
            *outcome = Outcome::Permanent;
            *note = NOT_AGAIN;
        }
        self
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { reply, note, outcome } => {
                write!(f, "{}", reply.status)?;
                if let Some(hint) = outcome.hint() {
                    write!(f, ", retry after {} s", hint.as_secs_f64())?;
                }
                f.write_str(note)
            }
            Self::Nothing { error, note, .. } => write!(f, "{error}{note}"),
        }
    }
}

/// What is sent, the same each time.
#[derive(Clone)]
struct Request {
    client: Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    repeatable: bool,
    retry_status: Vec<u16>,
    body_max: usize,
    /// Of an attempt that must not be cut off from outside, so that it is known how far it came.
    timeout: Option<Duration>,
}

pub(super) async fn run(args: &CallArgs, url: &str) -> Result<ExitCode, Failure> {
    let limits = Limits {
        attempt_timeout: Some(Duration::from_secs(10)),
        deadline: Some(Duration::from_secs(30)),
    };
    let mut policy = policy::build(&args.policy, &limits)?;
    let mut request = Request::new(&args.request, url)?;
    if !request.repeatable {
        request.timeout = policy.call.attempt_timeout.take();
    }
    let operations = Operations::default();
    let retry = policy::retry(request.url.authority(), &policy, &operations)?.classify_with(
        |result: &Result<Reply, Miss>, _: Attempt| match result {
            Ok(_) => Outcome::Success,
            Err(miss) => miss.outcome(),
        },
    );
    let progress = Progress::start(&operations, policy.call.attempts, args.quiet);
    let mut stop = Stop::listen()?;
    let result = tokio::select! {
        biased;
        _ = stop.next() => None,
        result = operations.execute(NAME, &retry, |_| request.clone().send()) => Some(result),
    };
    progress.finish().await;
    let record = report::record(&operations, NAME);
    let Some(result) = result else {
        return Ok(INTERRUPTED.into());
    };
    if let (Err(error), false) = (&result, args.quiet) {
        out::error(&error.to_string());
    }
    let ok = result.is_ok();
    let reply = result.or_else(last_reply).ok();
    if args.json {
        let status = reply.as_ref().map(|reply| reply.status.as_u16());
        let bytes = reply.as_ref().map(|reply| reply.body.len());
        let what = json!({
            "url": safe_url(url), "method": request.method.as_str(),
            "status": status, "body_bytes": bytes,
        });
        out::line(&report::json(record.as_ref(), what).to_string());
        return Ok(ok_if(ok));
    }
    if let Some(reply) = &reply {
        write(reply, args.request.include)?;
    }
    Ok(ok_if(ok))
}

/// The last answer there was, even if it was a failure.
fn last_reply(error: CallError<Miss>) -> Result<Reply, ()> {
    match error.into_error() {
        Some(Miss::Answer { reply, .. }) => Ok(reply),
        Some(Miss::Nothing { .. }) | None => Err(()),
    }
}

fn write(reply: &Reply, with_head: bool) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    if with_head {
        bytes.extend(format!("{:?} {}\r\n", reply.version, reply.status).into_bytes());
        for (name, value) in &reply.headers {
            bytes.extend(name.as_str().as_bytes());
            bytes.extend(b": ");
            bytes.extend(value.as_bytes());
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"\r\n");
    }
    bytes.extend(&reply.body);
    match out::bytes(&bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("standard output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Request {
    fn new(args: &RequestArgs, url: &str) -> Result<Self, Failure> {
        let parsed = Url::parse(url).ok();
        let fits = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let Some(url) = parsed.filter(fits) else {
            let shown = safe_url(url);
            return Err(Failure::usage(format!("{shown}: allowed: http://… or https://…")));
        };
        let body = args.data.as_deref().map(data).transpose()?;
        let fallback = if body.is_some() { Method::POST } else { Method::GET };
        let method = args.method.clone().unwrap_or(fallback);
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_static(AGENT));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        for (name, _) in &args.headers {
            headers.remove(name);
        }
        for (name, value) in &args.headers {
            headers.append(name, value.clone());
        }
        if let Some(key) = &args.idempotency_key {
            let key = HeaderValue::try_from(key)
                .map_err(|_| Failure::usage("--idempotency-key holds forbidden characters"))?;
            headers.insert("idempotency-key", key);
        }
        for status in &args.retry_status {
            StatusCode::from_u16(*status)
                .map_err(|_| Failure::usage(format!("--retry-status {status} is no status")))?;
        }
        // An application that installed a provider of its own keeps it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| Failure::environment(chain(&error)))?;
        Ok(Self {
            client,
            repeatable: is_idempotent(&method, &headers),
            method,
            url,
            headers,
            body,
            retry_status: args.retry_status.clone(),
            body_max: args.max_body,
            timeout: None,
        })
    }

    async fn send(self) -> Result<Reply, Miss> {
        let mut request = self.client.request(self.method.clone(), self.url.clone());
        request = request.headers(self.headers.clone());
        if let Some(body) = self.body.clone() {
            request = request.body(body);
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                // What could not connect was certainly not sent.
                let sent = !error.is_connect();
                return Err(self.judged(nothing(error), sent));
            }
        };
        let (status, version) = (response.status(), response.version());
        let headers = response.headers().clone();
        let outcome = self.meaning(status, &headers);
        let body = self.body_of(response).await.map_err(|miss| self.judged(miss, true))?;
        let reply = Reply { status, version, headers, body };
        if outcome == Outcome::Success {
            return Ok(reply);
        }
        Err(self.judged(Miss::Answer { reply, outcome, note: "" }, true))
    }

    /// Holds back what must not happen twice.
    fn judged(&self, miss: Miss, sent: bool) -> Miss {
        if sent && !self.repeatable { miss.unrepeatable() } else { miss }
    }

    fn meaning(&self, status: StatusCode, headers: &HeaderMap) -> Outcome {
        let usual = status_outcome(status, headers, SystemTime::now());
        if self.retry_status.is_empty() {
            return usual;
        }
        if self.retry_status.contains(&status.as_u16()) {
            let hint = mainstay::http::retry_after(headers, SystemTime::now());
            return if usual.retry() == Again::No { Outcome::Transient { hint } } else { usual };
        }
        if usual == Outcome::Success || usual.retry() == Again::No {
            usual
        } else {
            Outcome::Permanent
        }
    }

    async fn body_of(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Miss> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(nothing)? {
            if body.len() + chunk.len() > self.body_max {
                let error = format!("the body is longer than {} bytes (--max-body)", self.body_max);
                return Err(Miss::Nothing { error, outcome: Outcome::Refused, note: "" });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

const AGENT: &str = concat!("mainstay/", env!("CARGO_PKG_VERSION"));

/// An error of the transport, without the address: it may hold a secret.
fn nothing(error: reqwest::Error) -> Miss {
    let outcome = transport_outcome(&error).unwrap_or(Outcome::Permanent);
    Miss::Nothing { error: chain(&error.without_url()), outcome, note: "" }
}

/// The body that `--data` names.
fn data(text: &str) -> Result<Vec<u8>, Failure> {
    let Some(path) = text.strip_prefix('@') else { return Ok(text.into()) };
    let mut bytes = Vec::new();
    let read = if path == "-" {
        std::io::stdin().lock().take(DATA_MAX + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(DATA_MAX + 1).read_to_end(&mut bytes))
    };
    match read {
        Ok(size) if size as u64 > DATA_MAX => {
            Err(Failure { code: NOT_OK, message: format!("--data: more than {DATA_MAX} bytes") })
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::environment(format!("{path} cannot be read: {error}"))),
    }
}
