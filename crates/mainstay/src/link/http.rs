use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use mainstay_core::config::{ConfigError, duration_from};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use reqwest::{Client, RequestBuilder, StatusCode, Url};

use crate::http::{is_tls, retry_after};

use super::pool::{CountLayer, PoolStats, Tally};
use super::transport::{DialError, Transport};

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
    /// Where the service is. Only scheme, host and port count for the health check.
    pub url: String,
    /// Path of the health check on that origin. Default `/health` (seed 000).
    pub health_path: String,
    /// Who gives the bearer token. Default nobody.
    pub bearer: Option<Bearer>,
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
        Self {
            url: url.into(),
            health_path: "/health".into(),
            bearer: None,
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
/// It is up when `GET` of its health path answers 2xx. Refusals of the credentials (401, 403) and
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
    health: Url,
    client: Mutex<Option<Client>>,
    tally: Arc<Tally>,
    timeouts: AtomicU32,
}

impl HttpTransport {
    /// Checks the configuration; connects nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `url` is no `http` or `https` address, or a duration makes no sense.
    pub fn new(config: HttpConfig) -> Result<Self, ConfigError> {
        let allowed = "an absolute http or https address without credentials";
        // The address is not shown: somebody may have put a secret into it.
        let bad = || ConfigError::new("url", "what was given", allowed);
        let mut health = Url::parse(&config.url).map_err(|_| bad())?;
        let plain = health.username().is_empty() && health.password().is_none();
        if !matches!(health.scheme(), "http" | "https") || !plain {
            return Err(bad());
        }
        let (path, query) = match config.health_path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (config.health_path.as_str(), None),
        };
        health.set_path(path);
        health.set_query(query);
        health.set_fragment(None);
        let least = Duration::from_millis(1);
        duration_from("connect_timeout", config.connect_timeout, least)?;
        duration_from("timeout", config.timeout, least)?;
        duration_from("pool_idle", config.pool_idle, Duration::ZERO)?;
        let shared = Shared {
            config,
            health,
            client: Mutex::new(None),
            tally: Arc::default(),
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

    /// What is known of the pool.
    #[must_use]
    pub fn pool(&self) -> PoolStats {
        self.shared.tally.read()
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
            .connector_layer(CountLayer(self.shared.tally.clone()));
        let builder = if config.system_proxy { builder } else { builder.no_proxy() };
        builder.build()
    }

    /// Asks once. Inside is what came of it; `Elapsed` when the client waited in vain for an answer.
    async fn ask(&self) -> Result<Result<(), DialError>, Elapsed> {
        let request = match self.request().await {
            Ok(request) => request,
            Err(error) => return Ok(Err(error)),
        };
        self.shared.tally.requests.fetch_add(1, Ordering::Relaxed);
        let under_way = UnderWay::new(&self.shared.tally.in_flight);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() && !error.is_connect() => return Err(Elapsed),
            Err(error) => return Ok(Err(failed(error.without_url()))),
        };
        let status = response.status();
        let mut read = 0;
        // A body that breaks off changes nothing about the status.
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            if read > self.shared.config.body_max {
                break;
            }
        }
        drop(under_way);
        let outcome = outcome(status, response.headers());
        if outcome == Outcome::Success {
            return Ok(Ok(()));
        }
        Ok(Err(DialError::new(outcome, format!("the peer answered {status}"))))
    }

    async fn request(&self) -> Result<RequestBuilder, DialError> {
        let mut request = self.client()?.get(self.shared.health.clone());
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

    /// Asks within what is left until `deadline`, and replaces the client after timeouts in a row.
    async fn ask_until(&self, deadline: Instant) -> Result<(), DialError> {
        // A little earlier than the link's own deadline, to know that it was a timeout.
        let at = crate::clock::to_tokio(deadline);
        let early = at.checked_sub(Duration::from_millis(2)).unwrap_or(at);
        let ended = tokio::time::timeout_at(early, self.ask()).await;
        let Ok(Ok(result)) = ended else {
            let limit = self.shared.config.replace_after;
            let timeouts = self.shared.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
            if limit > 0 && timeouts >= limit {
                self.shared.timeouts.store(0, Ordering::Relaxed);
                self.replace_client();
            }
            return Err(DialError::new(Outcome::TRANSIENT, "no answer in time"));
        };
        self.shared.timeouts.store(0, Ordering::Relaxed);
        result
    }
}

impl Transport for HttpTransport {
    fn target(&self) -> String {
        self.shared.health.origin().ascii_serialization()
    }

    async fn dial(&self, deadline: Instant) -> Result<(), DialError> {
        self.ask_until(deadline).await
    }

    async fn probe(&self, deadline: Instant) -> Result<(), DialError> {
        self.ask_until(deadline).await
    }

    async fn close(&self) {
        drop(self.slot().take());
    }

    fn abandon(&self) {}
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

fn failed(error: reqwest::Error) -> DialError {
    let refused = error.is_builder() || is_tls(&error);
    let outcome = if refused { Outcome::Permanent } else { Outcome::TRANSIENT };
    let what = if error.is_connect() { "cannot connect" } else { "the request failed" };
    DialError::new(outcome, what).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::header::RETRY_AFTER;

    #[test]
    fn answers_are_read_as_they_are_meant() {
        let headers = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            headers
        };
        let hint = Some(Duration::from_secs(7));
        let cases = [
            (204, Outcome::Success),
            (301, Outcome::Transient { hint }),
            (401, Outcome::Refused),
            (404, Outcome::Transient { hint }),
            (429, Outcome::Throttled { hint }),
            (500, Outcome::Transient { hint }),
            (501, Outcome::Permanent),
            (503, Outcome::Throttled { hint }),
        ];
        for (status, wanted) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(outcome(status, &headers("7")), wanted, "{status}");
        }
        assert_eq!(outcome(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new()), Outcome::TRANSIENT);
    }

    #[test]
    fn the_health_check_is_on_the_origin() {
        let http = HttpTransport::new(HttpConfig::new("https://id.chitty.cc/v1?a=b")).unwrap();
        assert_eq!(http.shared.health.as_str(), "https://id.chitty.cc/health");
        assert_eq!(http.target(), "https://id.chitty.cc");
        let mut deep = HttpConfig::new("https://id.chitty.cc/v1?a=b");
        deep.health_path = "/ready?deep=1".into();
        let http = HttpTransport::new(deep).unwrap();
        assert_eq!(http.shared.health.as_str(), "https://id.chitty.cc/ready?deep=1");
    }

    #[test]
    fn secrets_are_neither_taken_in_an_address_nor_shown() {
        let error = HttpTransport::new(HttpConfig::new("https://me:hush@host")).unwrap_err();
        assert!(!error.to_string().contains("hush"));
        assert!(!format!("{:?}", Bearer::fixed("hush")).contains("hush"));
        assert!(HttpTransport::new(HttpConfig::new("ftp://host")).is_err());
    }
}
