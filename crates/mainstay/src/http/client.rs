//! An HTTP client that retries, with one gate for every origin.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use http::{HeaderName, HeaderValue};
use mainstay_core::config::ConfigError;
use mainstay_core::policy::gate::GateConfig;
use mainstay_core::policy::outcome::{Outcome, Retry as MayRetry};
use mainstay_core::policy::preset::PolicyConfig;
use mainstay_core::time::Instant;
use reqwest::{Request, Response};
use tracing::Instrument as _;

use super::{is_idempotent, status_outcome, transport_outcome};
use crate::classify::{Attempt, Classify};
use crate::clock;
use crate::gate::{Gate, Gates, RegistryError};
use crate::link::{HttpTransport, Link};
use crate::retry::{CallError, Retry};
use crate::trace::{Call, Work};

/// An HTTP client under a policy: [`reqwest`] with its own retries off, and ours around it.
///
/// * Calls to one origin (scheme, host and port) share a gate: its breaker, its budget, and the
///   pause a server asks for with 429 or 503 and `Retry-After`.
/// * A request that must not run twice (a POST without an `Idempotency-Key`) is repeated only when
///   it provably was never sent: no connection could be made.
/// * A body that cannot be read twice is sent once.
/// * Inside of a [`scope`](crate::trace::TraceContext::scope) each attempt carries the trace on
///   (`traceparent`), and so does each where the process [begins traces](crate::trace::sample_new).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use mainstay::core::policy::preset::PolicyConfig;
/// use mainstay::http::Client;
///
/// let client = Client::new(&PolicyConfig::default())?;
/// let request = client.inner().get("http://127.0.0.1:8080/search").build()?;
/// let answer = client.execute(request).await?;
/// # drop(answer);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    retry: Retry,
    gate: GateConfig,
    gates: Gates,
    order: PolicyConfig,
    attempt_header: Option<HeaderName>,
    /// The link whose pool is used and whose health the calls feed.
    link: Option<(Link, HttpTransport)>,
}

/// Why a request brought no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// It failed; the last error is inside.
    Failed(CallError<reqwest::Error>),
    /// There is no room for another origin: see [`RegistryError`].
    Origin(RegistryError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("the request failed"),
            Self::Origin(_) => f.write_str("no gate for the origin"),
        }
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Origin(error) => Some(error),
        }
    }
}

/// Why a [`Client`] cannot be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The policy makes no sense.
    Config(ConfigError),
    /// The HTTP library could not start, such as without any trusted certificate.
    Http(reqwest::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(_) => f.write_str("the policy makes no sense"),
            Self::Http(_) => f.write_str("the HTTP library could not start"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(error) => Some(error),
            Self::Http(error) => Some(error),
        }
    }
}

/// A builder of clients as connections that hold need them: connects within 5 s, finds dead HTTP/2
/// connections by a ping after 15 s that is not answered within 5 s, keeps unused connections for
/// 55 s (below the 60 s of most proxies), follows no redirect by itself and never retries.
pub fn builder() -> reqwest::ClientBuilder {
    // An application that installed a provider of its own keeps it.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(55))
        .http2_keep_alive_interval(Duration::from_secs(15))
        .http2_keep_alive_timeout(Duration::from_secs(5))
        .http2_keep_alive_while_idle(true)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
}

impl Client {
    /// A client under `policy`, with gates of its own.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the policy makes no sense or the HTTP library cannot start.
    pub fn new(policy: &PolicyConfig) -> Result<Self, ClientError> {
        let inner = builder().build().map_err(ClientError::Http)?;
        Self::over(inner, policy, Gates::default())
    }

    /// A client that sends through `inner` and keeps its gates in `gates`. Switch `inner`'s own
    /// retries off, as [`builder`] does: two layers multiply.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the policy makes no sense.
    pub fn over(
        inner: reqwest::Client,
        policy: &PolicyConfig,
        gates: Gates,
    ) -> Result<Self, ClientError> {
        let order = policy.checked().map_err(ClientError::Config)?;
        let retry = Retry::new(&order.call).map_err(ClientError::Config)?;
        Ok(Self { inner, retry, gate: order.gate, gates, order, attempt_header: None, link: None })
    }

    /// A client whose calls go through the connections of `link`, and feed its health as its own
    /// probes do: a link learns of a dead peer from the first calls that fail.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use mainstay::core::policy::preset::PolicyConfig;
    /// use mainstay::gate::Gates;
    /// use mainstay::http::Client;
    /// use mainstay::link::{HttpConfig, HttpTransport, Link, LinkOptions};
    ///
    /// let transport = HttpTransport::new(HttpConfig::new("http://127.0.0.1:8080"))?;
    /// let link = Link::open(LinkOptions::new("search"), transport.clone())?;
    /// let client =
    ///     Client::through_link(link, transport, &PolicyConfig::default(), Gates::default())?;
    /// # drop(client);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the policy makes no sense or the HTTP library cannot start.
    pub fn through_link(
        link: Link,
        transport: HttpTransport,
        policy: &PolicyConfig,
        gates: Gates,
    ) -> Result<Self, ClientError> {
        let inner = builder().build().map_err(ClientError::Http)?;
        let client = Self::over(inner, policy, gates)?;
        Ok(Self { link: Some((link, transport)), ..client })
    }

    /// The same, saying in the header `name` which attempt a request is, for servers that look.
    #[must_use]
    pub fn with_attempt_header(mut self, name: HeaderName) -> Self {
        self.attempt_header = Some(name);
        self
    }

    /// The client beneath, to build requests with.
    #[must_use]
    pub const fn inner(&self) -> &reqwest::Client {
        &self.inner
    }

    /// The gates, one for every origin.
    #[must_use]
    pub const fn gates(&self) -> &Gates {
        &self.gates
    }

    /// Sends `request`, and again as the policy allows.
    ///
    /// An answer with a bad status is an answer: it comes back as `Ok` when no retry changes it.
    ///
    /// # Errors
    ///
    /// [`RequestError`] when no answer came, or no gate could be had.
    pub async fn execute(&self, request: Request) -> Result<Response, RequestError> {
        let origin = request.url().origin().ascii_serialization();
        let gate = self.gates.get_or_create(&origin, &self.gate).map_err(RequestError::Origin)?;
        let sent = Sent::new(self, request);
        let retry = self.through(gate).classify_with(sent.classify());
        retry.call(|attempt| sent.send(attempt)).await.map_err(RequestError::Failed)
    }

    fn through(&self, gate: Gate) -> Retry {
        let through = Retry::through(&self.order, gate);
        // Checked when the client was made; a gate cannot make it worse.
        through.unwrap_or_else(|_| self.retry.clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A request on its way, as often as it takes.
struct Sent<'a> {
    client: &'a Client,
    /// The one that is left: taken when it cannot be copied.
    request: Arc<Mutex<Option<Request>>>,
    may_repeat: bool,
}

impl<'a> Sent<'a> {
    fn new(client: &'a Client, request: Request) -> Self {
        let may_repeat = is_idempotent(request.method(), request.headers());
        Self { client, request: Arc::new(Mutex::new(Some(request))), may_repeat }
    }

    fn classify(&self) -> HttpResult {
        HttpResult { may_repeat: self.may_repeat, left: Arc::clone(&self.request) }
    }

    async fn send(&self, attempt: Attempt) -> Result<Response, reqwest::Error> {
        let request = {
            let mut left = self.request.lock().unwrap_or_else(PoisonError::into_inner);
            match left.as_ref().and_then(Request::try_clone) {
                Some(copy) => Some(copy),
                None => left.take(),
            }
        };
        // The classifier allows no second attempt of a request that is gone.
        let Some(mut request) = request else { return Err(no_request(&self.client.inner)) };
        if let Some(name) = &self.client.attempt_header {
            request.headers_mut().insert(name.clone(), HeaderValue::from(attempt.number));
        }
        let (method, url) = (request.method().clone(), request.url().clone());
        let place = (url.host_str(), url.port_or_known_default());
        let resent = attempt.number.saturating_sub(1);
        let call = Call::new(Work::join(), &method, place, request.headers_mut(), resent);
        let span = call.span();
        let result = self.exchange(request, attempt).instrument(span).await;
        call.ended(result.as_ref().map(Response::status).ok());
        result
    }

    async fn exchange(
        &self,
        request: Request,
        attempt: Attempt,
    ) -> Result<Response, reqwest::Error> {
        let Some((link, transport)) = &self.client.link else {
            let sent = self.client.inner.execute(request).await;
            return sent.map_err(reqwest::Error::without_url);
        };
        // Asked before each attempt: the link replaces a client whose pool it suspects.
        let client = transport.client().unwrap_or_else(|_| self.client.inner.clone());
        let report = Report { link, begun: clock::now(), deadline: attempt.deadline };
        let result = client.execute(request).await.map_err(reqwest::Error::without_url);
        report.of(outcome(&result));
        result
    }
}

/// Tells a link what came of one request, also when it is given up at its deadline: then its future
/// is dropped, and nothing else would tell of a peer that does not answer.
struct Report<'a> {
    link: &'a Link,
    begun: Instant,
    /// None when it was told.
    deadline: Option<Instant>,
}

impl Report<'_> {
    fn of(mut self, outcome: Outcome) {
        self.deadline = None;
        self.link.report(outcome, clock::now().since(self.begun));
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        let now = clock::now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.link.report(Outcome::TRANSIENT, now.since(self.begun));
        }
    }
}

/// What a result means for the peer.
fn outcome(result: &Result<Response, reqwest::Error>) -> Outcome {
    match result {
        Ok(answer) => status_outcome(answer.status(), answer.headers(), SystemTime::now()),
        Err(error) => transport_outcome(error).unwrap_or(Outcome::Permanent),
    }
}

/// An error of the HTTP library for a request that cannot be sent again.
fn no_request(client: &reqwest::Client) -> reqwest::Error {
    match client.get("").build() {
        Err(error) => error,
        // An empty address is no address; should the library ever take it, sending says so.
        Ok(_) => unreachable!("an empty address is refused"),
    }
}

/// Classifies what came of an HTTP request.
#[derive(Clone, Debug)]
struct HttpResult {
    may_repeat: bool,
    left: Arc<Mutex<Option<Request>>>,
}

impl Classify<Response, reqwest::Error> for HttpResult {
    fn classify(&self, result: &Result<Response, reqwest::Error>, _attempt: Attempt) -> Outcome {
        outcome(result)
    }

    fn may_repeat(&self, result: &Result<Response, reqwest::Error>, outcome: Outcome) -> bool {
        let is_left = self.left.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let never_sent = result.as_ref().is_err_and(reqwest::Error::is_connect);
        outcome.retry() == MayRetry::No || (is_left && (self.may_repeat || never_sent))
    }

    fn may_repeat_after_timeout(&self) -> bool {
        let is_left = self.left.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        is_left && self.may_repeat
    }
}
