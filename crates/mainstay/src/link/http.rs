mod check;
mod grpc;
mod places;
mod sending;
mod steps;
mod template;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::Extensions;
use ::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use mainstay_core::config::{ConfigError, duration_from};
use mainstay_core::link::{EndpointView, EndpointsConfig};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode, Url};

use crate::clock;
use crate::http::{is_tls, retry_after};

use super::certificate::Expiry;
use super::pool::{CountLayer, PoolStats, Tally};
use super::transport::{DialError, Transport};
use check::Steps;
pub use check::{HttpCheck, HttpProbe, HttpStep};
use places::Places;
use sending::send;

/// A source of bearer tokens, asked before each request. Its token is never shown.
#[derive(Clone)]
pub struct Bearer(Arc<Ask>);

type Ask = dyn Fn() -> Pin<Box<dyn Future<Output = Option<String>> + Send>> + Send + Sync;

impl Bearer {
    /// Always the same token.
    #[must_use]
    pub fn fixed(token: impl Into<String>) -> Self {
        let token = token.into();
        Self::from_fn(move || std::future::ready(Some(token.clone())))
    }

    /// What `ask` answers each time; none sends no header.
    #[must_use]
    pub fn from_fn<F, Fut>(ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<String>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(ask())))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

/// What an [`HttpTransport`] is made of.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where the service is. Only scheme, host and port count for the health check. `grpc` and
    /// `grpcs` are taken as `http` and `https`, asked by [`HttpProbe::Grpc`].
    pub url: String,
    /// Where the same service is, too: up to 63 further addresses, which are given the same bearer
    /// token. Default none.
    pub more_urls: Vec<String>,
    /// Which of them is used. Default the first that is well.
    pub endpoints: EndpointsConfig,
    /// Path of the health check on that origin. Default `/health` (seed 000).
    pub health_path: String,
    /// What else than a `GET` of that path tells that the peer is well. Default nothing.
    pub probe: HttpProbe,
    /// Who gives the bearer token. Default nobody.
    pub bearer: Option<Bearer>,
    /// Certificates to trust in place of the platform's, as PEM. Default the platform's.
    pub roots: Option<String>,
    /// Longest time to make a connection. Default 5 s.
    pub connect_timeout: Duration,
    /// Longest time of a whole request, of the application's as well. Default 30 s; dials and
    /// probes have shorter deadlines of their own.
    pub timeout: Duration,
    /// How long an unused connection is kept. Default 55 s: below the 60 s after which proxies
    /// drop theirs.
    pub pool_idle: Duration,
    /// Bytes of a health check's body that are read, so that its connection can be used again.
    /// Default 64 KiB; what is longer costs the connection.
    pub body_max: usize,
    /// Timeouts in a row after which the client is replaced, because its pool may hold a wedged
    /// connection that it would use for ever. Default 2; 0 never.
    pub replace_after: u32,
    /// Whether the proxies of the environment are used. Default yes.
    pub system_proxy: bool,
}

impl HttpConfig {
    /// The defaults, for the service at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        let url = url.into();
        let is_grpc = url.starts_with("grpc:") || url.starts_with("grpcs:");
        let whole = HttpProbe::Grpc { service: String::new() };
        Self {
            probe: if is_grpc { whole } else { HttpProbe::Path },
            url,
            more_urls: Vec::new(),
            endpoints: EndpointsConfig::default(),
            health_path: "/health".into(),
            bearer: None,
            roots: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            pool_idle: Duration::from_secs(55),
            body_max: 64 * 1024,
            replace_after: 2,
            system_proxy: true,
        }
    }
}

/// An HTTP service, reached through one pool of connections. A clone reaches the same one.
///
/// It is up when `GET` of its health path answers 2xx, or when what [`HttpProbe`] says instead goes
/// well. Refusals of the credentials (401, 403) and
/// 501 are for good; all else may pass, a 404 too, which gateways give while a service is away.
///
/// ```no_run
/// use mainstay::link::{Bearer, HttpConfig, HttpTransport, Link, LinkOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = HttpConfig::new("https://id.chitty.cc/v1");
/// config.bearer = std::env::var("CHITTY_ID_TOKEN").ok().map(Bearer::fixed);
/// let http = HttpTransport::new(config)?;
/// let link = Link::open(LinkOptions::new("chittyid"), http.clone())?;
/// link.connect().await?;
/// let answer = http.client()?.get("https://id.chitty.cc/v1/validate/x").send().await?;
/// # drop(answer);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct HttpTransport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: HttpConfig,
    places: Places,
    /// Of a check with steps.
    steps: Option<Steps>,
    client: Mutex<Option<Client>>,
    tally: Arc<Tally>,
    expiry: Expiry,
    timeouts: AtomicU32,
}

impl HttpTransport {
    /// Checks the configuration; connects nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when an address is no `http` or `https` one or occurs twice, or a number or a
    /// step makes no sense.
    pub fn new(config: HttpConfig) -> Result<Self, ConfigError> {
        let places = Places::new(&config)?;
        let least = Duration::from_millis(1);
        duration_from("connect_timeout", config.connect_timeout, least)?;
        duration_from("timeout", config.timeout, least)?;
        duration_from("pool_idle", config.pool_idle, Duration::ZERO)?;
        if let Some(pem) = &config.roots
            && !Certificate::from_pem_bundle(pem.as_bytes()).is_ok_and(|all| !all.is_empty())
        {
            let allowed = "one certificate or more as PEM";
            return Err(ConfigError::new("roots", "what was given", allowed));
        }
        let steps = match &config.probe {
            HttpProbe::Check(check) => {
                Some(Steps::new(check).map_err(|error| error.within("probe"))?)
            }
            HttpProbe::Path | HttpProbe::Grpc { .. } => None,
        };
        let shared = Shared {
            config,
            places,
            steps,
            client: Mutex::new(None),
            tally: Arc::default(),
            expiry: Expiry::default(),
            timeouts: AtomicU32::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The client whose connections are watched, for the application's own calls. Ask for it before
    /// each call: it is replaced when its pool is suspected.
    ///
    /// # Errors
    ///
    /// [`DialError`] when no client can be built, such as without any trusted certificate.
    pub fn client(&self) -> Result<Client, DialError> {
        let mut slot = self.slot();
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let client = self.build().map_err(|error| {
            DialError::new(Outcome::Permanent, "no http client can be built").because(error)
        })?;
        *slot = Some(client.clone());
        Ok(client)
    }

    /// The address in use, as the configuration gives it. It changes when that endpoint fails or a
    /// preferred one is well again: ask for it before each call.
    #[must_use]
    pub fn base(&self) -> Url {
        self.shared.places.base(self.shared.places.current()).clone()
    }

    /// All addresses in the order of the configuration, and what is known of each.
    #[must_use]
    pub fn endpoints(&self) -> Vec<(Url, EndpointView)> {
        self.shared.places.views(clock::now())
    }

    /// What is known of the pool.
    #[must_use]
    pub fn pool(&self) -> PoolStats {
        self.shared.tally.read()
    }

    /// When the certificate that the last answer came under ends to be valid; none before the first
    /// answer, and without TLS. A peer's new certificate is seen with the next connection.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<SystemTime> {
        self.shared.expiry.get()
    }

    fn note(&self, extensions: &Extensions) {
        let info = extensions.get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        info.into_iter().for_each(|certificate| self.shared.expiry.note(certificate));
    }

    /// Drops the pool: the next call makes a new connection.
    pub fn replace_client(&self) {
        if self.slot().take().is_some() {
            self.shared.tally.replaced.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn slot(&self) -> MutexGuard<'_, Option<Client>> {
        self.shared.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn build(&self) -> Result<Client, reqwest::Error> {
        let config = &self.shared.config;
        let builder = crate::http::builder()
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .pool_idle_timeout(config.pool_idle)
            .tls_info(true)
            .connector_layer(CountLayer(self.shared.tally.clone()));
        let builder = if config.system_proxy { builder } else { builder.no_proxy() };
        let builder = match config.probe {
            HttpProbe::Grpc { .. } => builder.http2_prior_knowledge(),
            HttpProbe::Path | HttpProbe::Check(_) => builder,
        };
        let builder = match &config.roots {
            Some(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem.as_bytes())?),
            None => builder,
        };
        builder.build()
    }

    /// Asks the endpoint at `index` once. Inside is what came of it; `Elapsed` when the client waited
    /// in vain for an answer. `at` is told which step it is at. What few links need is boxed, so that
    /// the others do not carry it.
    async fn ask(&self, index: usize, at: &AtomicU32) -> Result<Result<(), DialError>, Elapsed> {
        match (&self.shared.config.probe, &self.shared.steps) {
            (HttpProbe::Grpc { service }, _) => Box::pin(self.ask_grpc(index, service)).await,
            (HttpProbe::Check(_), Some(steps)) => Box::pin(self.ask_steps(index, steps, at)).await,
            (HttpProbe::Check(_) | HttpProbe::Path, _) => self.ask_path(index).await,
        }
    }

    async fn ask_path(&self, index: usize) -> Result<Result<(), DialError>, Elapsed> {
        let request = async {
            let request = self.client()?.get(self.shared.places.health(index).clone());
            self.with_bearer(request).await
        };
        let answer = match request.await {
            Ok(request) => self.exchange(request).await?,
            Err(error) => return Ok(Err(error)),
        };
        Ok(answer.and_then(|Answer { status, headers, .. }| {
            let outcome = outcome(status, &headers);
            if outcome == Outcome::Success {
                return Ok(());
            }
            Err(DialError::new(outcome, format!("the peer answered {status}")))
        }))
    }

    /// Sends the request and reads its answer, up to `body_max`.
    async fn exchange(
        &self,
        request: RequestBuilder,
    ) -> Result<Result<Answer, DialError>, Elapsed> {
        self.shared.tally.requests.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay::new(&self.shared.tally.in_flight);
        let mut response = match send(request).await {
            Ok(response) => response,
            Err(error) if error.is_timeout() && !error.is_connect() => return Err(Elapsed),
            Err(error) => return Ok(Err(failed(error.without_url()))),
        };
        self.note(response.extensions());
        let mut answer = Answer {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
            whole: true,
        };
        let limit = self.shared.config.body_max;
        let keep = self.shared.steps.is_some();
        let mut read = 0;
        // A body that breaks off changes nothing about the status.
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    if keep {
                        let room = limit.saturating_sub(answer.body.len()).min(chunk.len());
                        answer.body.extend_from_slice(&chunk[..room]);
                    }
                    read += chunk.len();
                    if read > limit {
                        answer.whole = false;
                        break;
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    answer.whole = false;
                    break;
                }
            }
        }
        drop(under_way);
        Ok(Ok(answer))
    }

    async fn with_bearer(&self, mut request: RequestBuilder) -> Result<RequestBuilder, DialError> {
        if let Some(bearer) = &self.shared.config.bearer
            && let Some(token) = (bearer.0)().await
        {
            let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                DialError::new(Outcome::Permanent, "the token holds forbidden characters")
            })?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Ok(request)
    }

    /// Asks the endpoint in use within what is left until `deadline`, and replaces the client after
    /// timeouts in a row.
    async fn ask_until(&self, deadline: Instant) -> Result<(), DialError> {
        let (begun, index) = (clock::now(), self.shared.places.current());
        self.shared.places.wait_until(begun, deadline);
        // A little earlier than the link's own deadline, to know that it was a timeout.
        let at = clock::to_tokio(deadline);
        let early = at.checked_sub(Duration::from_millis(2)).unwrap_or(at);
        let step = AtomicU32::new(0);
        let ended = tokio::time::timeout_at(early, self.ask(index, &step)).await;
        let result = if let Ok(Ok(result)) = ended {
            self.shared.timeouts.store(0, Ordering::Relaxed);
            result
        } else {
            let limit = self.shared.config.replace_after;
            let timeouts = self.shared.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
            if limit > 0 && timeouts >= limit {
                self.shared.timeouts.store(0, Ordering::Relaxed);
                self.replace_client();
            }
            Err(self.late(&step))
        };
        self.shared.places.record(index, begun, result)
    }

    /// No answer came in time, of the step it is at.
    fn late(&self, step: &AtomicU32) -> DialError {
        const WHAT: &str = "no answer in time";
        let index = step.load(Ordering::Relaxed) as usize;
        let place = self.shared.steps.as_ref().and_then(|steps| steps.place(index));
        let what = place.map_or_else(|| WHAT.to_owned(), |place| format!("{place}: {WHAT}"));
        DialError::new(Outcome::TRANSIENT, what)
    }
}

impl Transport for HttpTransport {
    fn target(&self) -> String {
        let origin = self.shared.places.base(0).origin().ascii_serialization();
        match &self.shared.config.probe {
            HttpProbe::Grpc { .. } => origin.replacen("http", "grpc", 1),
            HttpProbe::Path | HttpProbe::Check(_) => origin,
        }
    }

    async fn dial(&self, deadline: Instant) -> Result<(), DialError> {
        self.ask_until(deadline).await
    }

    async fn probe(&self, deadline: Instant) -> Result<(), DialError> {
        self.ask_until(deadline).await
    }

    /// Never ends. While the link is up, it asks preferred endpoints whether they are well again;
    /// each may take as long as the link's own probes.
    async fn lost(&self) -> DialError {
        loop {
            let index = self.shared.places.question().await;
            let (begun, patience) = (clock::now(), self.shared.places.patience());
            let step = AtomicU32::new(0);
            let ended = tokio::time::timeout(patience, self.ask(index, &step)).await;
            let result = ended.unwrap_or(Err(Elapsed));
            let result = result.unwrap_or_else(|Elapsed| Err(self.late(&step)));
            self.shared.places.answered(index, begun, &result);
        }
    }

    async fn close(&self) {
        drop(self.slot().take());
    }

    fn abandon(&self) {}
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    /// As far as it was kept.
    body: Vec<u8>,
    /// Whether that is all of it.
    whole: bool,
}

/// No answer came in the client's own time for a request.
struct Elapsed;

/// Counts a request until it ends or is dropped.
struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What an answer to a health check says.
fn outcome(status: StatusCode, headers: &HeaderMap) -> Outcome {
    let hint = retry_after(headers, SystemTime::now());
    match status.as_u16() {
        200..=299 => Outcome::Success,
        401 | 403 => Outcome::Refused,
        501 => Outcome::Permanent,
        421 => Outcome::Elsewhere,
        429 => Outcome::Throttled { hint },
        503 if hint.is_some() => Outcome::Throttled { hint },
        _ => Outcome::Transient { hint },
    }
}

/// The same where another status was expected: a good one may be the expected one the next time.
fn unexpected(status: StatusCode, headers: &HeaderMap) -> Outcome {
    let outcome = outcome(status, headers);
    if outcome == Outcome::Success { Outcome::TRANSIENT } else { outcome }
}

fn failed(error: reqwest::Error) -> DialError {
    let refused = error.is_builder() || is_tls(&error);
    let outcome = if refused { Outcome::Permanent } else { Outcome::TRANSIENT };
    let what = if error.is_connect() { "cannot connect" } else { "the request failed" };
    DialError::new(outcome, what).because(error)
}

#[cfg(test)]
mod tests;
