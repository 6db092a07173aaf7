mod places;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use mainstay_core::config::{ConfigError, duration_from};
use mainstay_core::link::{EndpointView, EndpointsConfig};
use mainstay_core::policy::outcome::Outcome;
use mainstay_core::time::Instant;
use reqwest::{Client, RequestBuilder, StatusCode, Url};

use crate::clock;
use crate::http::{is_tls, retry_after};

use super::pool::{CountLayer, PoolStats, Tally};
use super::transport::{DialError, Transport};
use places::Places;

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
    /// Where the same service is, too: up to 63 further addresses, which are given the same bearer
    /// token. Default none.
    pub more_urls: Vec<String>,
    /// Which of them is used. Default the first that is well.
    pub endpoints: EndpointsConfig,
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
            more_urls: Vec::new(),
            endpoints: EndpointsConfig::default(),
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
    places: Places,
    client: Mutex<Option<Client>>,
    tally: Arc<Tally>,
    timeouts: AtomicU32,
}

impl HttpTransport {
    /// Checks the configuration; connects nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when an address is no `http` or `https` one or occurs twice, or a number makes
    /// no sense.
    pub fn new(config: HttpConfig) -> Result<Self, ConfigError> {
        let places = Places::new(&config)?;
        let least = Duration::from_millis(1);
        duration_from("connect_timeout", config.connect_timeout, least)?;
        duration_from("timeout", config.timeout, least)?;
        duration_from("pool_idle", config.pool_idle, Duration::ZERO)?;
        let shared = Shared {
            config,
            places,
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

    /// Asks the endpoint at `index` once. Inside is what came of it; `Elapsed` when the client waited in vain for an answer.
    async fn ask(&self, index: usize) -> Result<Result<(), DialError>, Elapsed> {
        let request = match self.request(index).await {
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

    async fn request(&self, index: usize) -> Result<RequestBuilder, DialError> {
        let mut request = self.client()?.get(self.shared.places.health(index).clone());
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
        let ended = tokio::time::timeout_at(early, self.ask(index)).await;
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
            Err(late())
        };
        self.shared.places.record(index, begun, result)
    }
}

fn late() -> DialError {
    DialError::new(Outcome::TRANSIENT, "no answer in time")
}

impl Transport for HttpTransport {
    fn target(&self) -> String {
        self.shared.places.base(0).origin().ascii_serialization()
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
            let ended = tokio::time::timeout(patience, self.ask(index)).await;
            let result = ended.unwrap_or(Err(Elapsed)).unwrap_or_else(|Elapsed| Err(late()));
            self.shared.places.answered(index, begun, &result);
        }
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
        assert_eq!(http.shared.places.health(0).as_str(), "https://id.chitty.cc/health");
        assert_eq!(http.target(), "https://id.chitty.cc");
        let mut deep = HttpConfig::new("https://id.chitty.cc/v1?a=b");
        deep.health_path = "/ready?deep=1".into();
        let http = HttpTransport::new(deep).unwrap();
        assert_eq!(http.shared.places.health(0).as_str(), "https://id.chitty.cc/ready?deep=1");
    }

    #[test]
    fn secrets_are_neither_taken_in_an_address_nor_shown() {
        let error = HttpTransport::new(HttpConfig::new("https://me:hush@host")).unwrap_err();
        assert!(!error.to_string().contains("hush"));
        assert!(!format!("{:?}", Bearer::fixed("hush")).contains("hush"));
        assert!(HttpTransport::new(HttpConfig::new("ftp://host")).is_err());
    }

    #[test]
    fn further_addresses_are_checked_as_the_first_is() {
        let with = |more: &[&str]| {
            let more_urls = more.iter().map(|&url| url.to_owned()).collect();
            HttpTransport::new(HttpConfig { more_urls, ..HttpConfig::new("https://a/v1") })
        };
        let many: Vec<String> = (0..64).map(|n| format!("https://b{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for bad in [&["ftp://b"][..], &["https://me:hush@b"], &["https://a/v1"], &many] {
            let error = with(bad).unwrap_err();
            assert_eq!(error.field, "more_urls");
            assert!(!error.to_string().contains("hush"));
        }
        let http = with(&many[..63]).unwrap();
        assert_eq!(http.endpoints().len(), 64);
        assert_eq!((http.base().as_str(), &*http.target()), ("https://a/v1", "https://a"));
        let endpoints = EndpointsConfig { eject_after: 0, ..EndpointsConfig::default() };
        let config = HttpConfig { endpoints, ..HttpConfig::new("https://a") };
        assert_eq!(HttpTransport::new(config).unwrap_err().field, "endpoints.eject_after");
    }
}
