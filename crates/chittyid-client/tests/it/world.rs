//! A running authority on loopback, and clients of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request as HttpRequest, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chittyid_client::{ApiKey, Client, ClientConfig, EntityType, RetryConfig, WatchConfig};
use chittyid_server::{Authority, AuthorityConfig, Caller, authority_routes, key_hash};
use mainstay_store::{MemoryStore, Store, StoreConfig, Writer};

/// The key that the authority knows, and another.
pub(crate) const KEY: &str = "ck_test_9f2b6c";
pub(crate) const OTHER_KEY: &str = "ck_other_51d0";

pub(crate) const MS: Duration = Duration::from_millis(1);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
}

/// What the server saw, and what is wrong with it.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) checks: AtomicUsize,
    requests: AtomicUsize,
    /// Answers that are this status in place of the API's; 0 for none.
    status: AtomicU16,
    /// How many more of them; `usize::MAX` for all.
    times: AtomicUsize,
    health: AtomicU16,
    keys: Mutex<Vec<String>>,
    authorizations: Mutex<Vec<String>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let many = AuthorityConfig { mints_per_minute: 1_000_000, ..AuthorityConfig::default() };
        Self::with(many).await
    }

    pub(crate) async fn with(config: AuthorityConfig) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let writer = Writer::start(store.clone(), &StoreConfig::default()).unwrap();
        let authority = Authority::new(config, store, Arc::new(writer)).unwrap();
        let seen = Arc::new(Seen::default());
        let routes = authority_routes(Arc::new(authority))
            .layer(from_fn_with_state(seen.clone(), known))
            .route("/health", get(health).with_state(seen.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, seen }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        config(&format!("http://{}", self.address))
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    /// Requests to the API.
    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    /// From now on, so many requests to the API are answered with `status`.
    pub(crate) fn fail(&self, status: u16, times: usize) {
        self.seen.status.store(status, Ordering::SeqCst);
        self.seen.times.store(times, Ordering::SeqCst);
    }

    /// From now on, health checks are answered so; 0 is well.
    pub(crate) fn set_health(&self, status: u16) {
        self.seen.health.store(status, Ordering::SeqCst);
    }

    /// The idempotency keys of all requests so far.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.seen.keys.lock().unwrap().clone()
    }

    /// The `Authorization` headers of all requests so far; empty where there was none.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.seen.authorizations.lock().unwrap().clone()
    }
}

/// A configuration with short waits, whose connection nobody watches.
pub(crate) fn config(url: &str) -> ClientConfig {
    ClientConfig {
        api_key: Some(ApiKey::new(KEY).unwrap()),
        system_proxy: false,
        retry: RetryConfig { first_wait: MS, longest_wait: 5 * MS, ..RetryConfig::default() },
        watch: WatchConfig { enabled: false, ..WatchConfig::default() },
        ..ClientConfig::new(url)
    }
}

/// Mints one id and gives its text.
pub(crate) async fn minted(client: &Client) -> String {
    let metadata = serde_json::json!({ "test": true });
    client.mint(EntityType::Information, metadata).await.unwrap().id.to_string()
}

/// Whoever mounts an authority says who asks, as the command line does.
async fn known(State(seen): State<Arc<Seen>>, mut request: HttpRequest, next: Next) -> Response {
    seen.requests.fetch_add(1, Ordering::SeqCst);
    let shown = header(&request, AUTHORIZATION.as_str());
    seen.keys.lock().unwrap().push(header(&request, "idempotency-key"));
    seen.authorizations.lock().unwrap().push(shown.clone());
    let left = seen.times.load(Ordering::SeqCst);
    if left > 0 {
        let left = if left == usize::MAX { left } else { left - 1 };
        seen.times.store(left, Ordering::SeqCst);
        let status = StatusCode::from_u16(seen.status.load(Ordering::SeqCst)).unwrap();
        return (status, "{}").into_response();
    }
    let key = shown.strip_prefix("Bearer ").unwrap_or_default();
    if [KEY, OTHER_KEY].contains(&key) {
        // A name for each: an authority counts by names.
        let name = if key == KEY { "one" } else { "other" };
        let (name, key) = (name.into(), Some(key_hash(key)));
        request.extensions_mut().insert(Caller { name, key, address: None, is_admin: false });
    }
    next.run(request).await
}

fn header(request: &HttpRequest, name: &str) -> String {
    let value = request.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

async fn health(State(seen): State<Arc<Seen>>) -> Response {
    seen.checks.fetch_add(1, Ordering::SeqCst);
    let status = seen.health.load(Ordering::SeqCst);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let says = if status.is_success() { "healthy" } else { "unhealthy" };
    (status, format!("{{\"status\":\"{says}\",\"version\":\"2.2.0\"}}")).into_response()
}

/// Waits until `is_so`, for as long as a slow machine may need.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(2 * MS).await;
    }
}
