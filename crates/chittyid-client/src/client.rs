use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chittyid::{ChittyId, EntityType, MAX_LEN, Profiles};
use mainstay::clock;
use mainstay::core::config::ConfigError;
use mainstay::link::{Bearer, HttpConfig, HttpTransport};
use mainstay::rates::Rates;
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use crate::address::Address;
use crate::batch::Batches;
use crate::error::{Error, GenerationError, LimitedBy};
use crate::reply::{Reader, Ruling};
use crate::request::{Health, Info, Minted, Request};
use crate::send::{Ask, Wire, library_timeout};
use crate::verdict::{Verdict, Verdicts};
use crate::watch::Watch;
use crate::{ApiKey, ClientConfig, Credentials};

/// A client of a ChittyID authority. Cheap to clone; clones share breaker, cache and connection.
///
/// It mints nothing by itself: without the service there are no ids (seed 000: *service or fail*).
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    credentials: Credentials,
}

pub(crate) struct Inner {
    config: ClientConfig,
    address: Address,
    health: Url,
    pub(crate) wire: Wire,
    pub(crate) verdicts: Verdicts,
    rates: Option<Rates<Option<ApiKey>>>,
    batches: Option<Batches>,
}

impl Client {
    /// A client of the authority that `config` names. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        Self::named("chittyid", config)
    }

    /// The same, whose connection and breaker have another name than `chittyid` in events, logs and
    /// metrics.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] naming the field that makes no sense.
    pub fn named(name: &str, config: ClientConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let address = Address::new(&config)?;
        let origin = address.origin();
        let health = Url::parse(&format!("{origin}{}", config.health_path));
        let health =
            health.map_err(|_| ConfigError::new("health_path", &config.health_path, "a path"))?;
        let http = HttpConfig {
            health_path: config.health_path.clone(),
            bearer: config.api_key.as_ref().map(|key| Bearer::fixed(key.expose())),
            connect_timeout: config.connect_timeout,
            timeout: library_timeout(&config),
            system_proxy: config.system_proxy,
            ..HttpConfig::new(origin)
        };
        let transport = HttpTransport::new(http)?;
        let watch = &config.watch;
        let watch = Watch::new(name, transport.clone(), watch.link(), watch.enabled)?;
        let wire = Wire::new(name, &config, transport, watch)?;
        let minute = Duration::from_secs(60);
        let rates = config.mints_per_minute.map(|mints| Rates::new(mints, minute, mints));
        let inner = Inner {
            address,
            health,
            wire,
            verdicts: Verdicts::new(config.cache),
            rates: rates.transpose().map_err(|error| error.within("mints_per_minute"))?,
            batches: config.batch_within.map(|within| Batches::new(within, config.batch_max)),
            config,
        };
        Ok(Self { inner: Arc::new(inner), credentials: Credentials::Own })
    }

    /// What it was told.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// The same client, sending other credentials where a call does not say otherwise. A gateway
    /// passes on what its caller showed, so that no stranger uses the gateway's own key.
    ///
    /// Answers to other keys than the client's own that say *too many requests* (429), *loop detected*
    /// (508), or refuse with a page (4xx) come back at once: a stranger can bring them about; they
    /// hold no other caller back, and do not count against the service.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        Self { inner: self.inner.clone(), credentials }
    }

    /// Mints an id for `entity` with `metadata` (an object, or null for none).
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use chittyid_client::{Client, ClientConfig, EntityType};
    ///
    /// let client = Client::new(ClientConfig::from_env()?)?;
    /// let metadata = serde_json::json!({ "source": "intake" });
    /// let minted = client.mint(EntityType::Information, metadata).await?;
    /// println!("{}", minted.id);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::who`] says who must act.
    pub async fn mint(&self, entity: EntityType, metadata: Value) -> Result<Minted, Error> {
        let metadata = Some(metadata).filter(|metadata| !metadata.is_null());
        self.mint_with(Request { metadata, ..Request::new(entity) }).await
    }

    /// Mints what `request` says. All attempts of it carry the same `Idempotency-Key`, so that an
    /// answer that was lost burns no id.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::who`] says who must act.
    pub async fn mint_with(&self, request: Request) -> Result<Minted, Error> {
        let credentials = self.of(&request.credentials);
        self.admit(&credentials, 1)?;
        match &self.inner.batches {
            Some(batches) if request.idempotency_key.is_none() => {
                batches.mint(&self.inner, request, credentials).await
            }
            Some(_) | None => self.inner.mint(&request, &credentials).await,
        }
    }

    /// Mints an id for each request in one request to the service, all or none, in their order.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::Unsendable`] when there are more than `batch_max`, or when they differ in
    /// their credentials or idempotency key, which are those of the whole batch.
    pub async fn mint_batch(&self, requests: &[Request]) -> Result<Vec<Minted>, Error> {
        let Some(first) = requests.first() else { return Ok(Vec::new()) };
        let most = self.inner.config.batch_max;
        if requests.len() > most {
            let what = format!("{} requests in a batch, allowed: {most}", requests.len()).into();
            return Err(Error::Unsendable { what });
        }
        let is_like = |one: &Request| {
            one.credentials == first.credentials && one.idempotency_key == first.idempotency_key
        };
        if !requests.iter().all(is_like) {
            let what = "the requests of a batch differ in credentials or idempotency key".into();
            return Err(Error::Unsendable { what });
        }
        let credentials = self.of(&first.credentials);
        self.admit(&credentials, u32::try_from(requests.len()).unwrap_or(u32::MAX))?;
        self.inner.mint_batch(requests, &credentials).await
    }

    /// Mints an id for the entity of that name: `generateChittyID` of the seeds, with their texts.
    ///
    /// # Errors
    ///
    /// [`GenerationError`].
    pub async fn generate_chitty_id(
        &self,
        entity: &str,
        metadata: Value,
    ) -> Result<ChittyId, GenerationError> {
        let entity = entity.parse().map_err(GenerationError::Entity)?;
        let minted = self.mint(entity, metadata).await.map_err(GenerationError::Failed)?;
        Ok(minted.id)
    }

    /// Asks the service whether `id` is valid. Verdicts are believed for a while; all who ask for one
    /// id at the same time share one request.
    ///
    /// When the service cannot be asked, the verdict is [`Verdict::Unverified`], never *valid*. What
    /// no id of any profile can look like is not valid without asking.
    pub async fn validate(&self, id: &str) -> Verdict {
        let may_exist = (1..=MAX_LEN).contains(&id.len())
            && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        if !may_exist {
            let why = match chittyid::parse(id, Profiles::ALL) {
                Err(error) => error.to_string(),
                Ok(_) => "not an id".to_owned(),
            };
            return Verdict::Invalid { why: why.into() };
        }
        let ask = || self.inner.ask_verdict(id, &self.credentials);
        if !self.inner.wire.is_resilient() {
            return ask().await;
        }
        self.inner.verdicts.get_or_ask(id, &self.credentials, ask).await
    }

    /// What the service knows of an id that it gave.
    ///
    /// # Errors
    ///
    /// [`Error`]; [`Error::NotFound`] when it did not give it.
    pub async fn info(&self, id: &ChittyId) -> Result<Info, Error> {
        let inner = &self.inner;
        let url = inner.address.of(&format!("/{id}/info"));
        let ask = Ask { url, body: None, idempotency_key: None };
        let answer = inner.wire.ask(&ask, &self.credentials).await?;
        inner.reader(&self.credentials).info(&answer, *id)
    }

    /// Asks the service how it is: once, in the time of a health check, also while the breaker refuses
    /// calls. `healthCheck` of the seeds' client.
    ///
    /// # Errors
    ///
    /// [`Error`] when it did not answer. That it is not well is an answer.
    pub async fn health(&self) -> Result<Health, Error> {
        let inner = &self.inner;
        let ask = Ask { url: inner.health.clone(), body: None, idempotency_key: None };
        let answer = inner.wire.check(&ask, &self.credentials).await?;
        inner.reader(&self.credentials).health(&answer)
    }

    fn of(&self, credentials: &Credentials) -> Credentials {
        match credentials {
            Credentials::Own => self.credentials.clone(),
            Credentials::Key(_) | Credentials::Anonymous | Credentials::Passed { .. } => {
                credentials.clone()
            }
        }
    }

    fn admit(&self, credentials: &Credentials, mints: u32) -> Result<(), Error> {
        let Some(rates) = &self.inner.rates else { return Ok(()) };
        let key = self.inner.wire.key(credentials).cloned();
        rates.admit_many(clock::now(), key, mints).map_err(|seconds| {
            let retry_after = Some(Duration::from_secs(seconds.into()));
            Error::RateLimited { by: LimitedBy::Client, retry_after, said: None }
        })
    }
}

impl Inner {
    pub(crate) const fn batches(&self) -> Option<&Batches> {
        self.batches.as_ref()
    }

    /// One id, in a request of its own.
    pub(crate) async fn mint(
        &self,
        request: &Request,
        credentials: &Credentials,
    ) -> Result<Minted, Error> {
        let key = request.idempotency_key.as_deref();
        let ask = self.post("/mint", &body(request), key)?;
        let answer = self.wire.ask(&ask, credentials).await?;
        self.reader(credentials).minted(&answer, request.entity)
    }

    /// Many ids in one request.
    pub(crate) async fn mint_batch(
        &self,
        requests: &[Request],
        credentials: &Credentials,
    ) -> Result<Vec<Minted>, Error> {
        let key = requests.first().and_then(|request| request.idempotency_key.as_deref());
        let bodies: Vec<Value> = requests.iter().map(body).collect();
        let ask = self.post("/mint/batch", &json!({ "requests": bodies }), key)?;
        let answer = self.wire.ask(&ask, credentials).await?;
        let entities: Vec<EntityType> = requests.iter().map(|request| request.entity).collect();
        self.reader(credentials).batch(&answer, &entities)
    }

    fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Result<Ask, Error> {
        let key = key.map_or_else(fresh_key, str::to_owned);
        let is_key = (1..=255).contains(&key.len()) && key.bytes().all(|c| c.is_ascii_graphic());
        let value = HeaderValue::try_from(key).ok().filter(|_| is_key);
        let Some(value) = value else {
            let what = "an idempotency key has 1 to 255 visible ASCII characters".into();
            return Err(Error::Unsendable { what });
        };
        let body = body.to_string().into_bytes();
        let url = self.address.of(path);
        Ok(Ask { url, body: Some(body), idempotency_key: Some(value) })
    }

    async fn ask_verdict(&self, id: &str, credentials: &Credentials) -> Verdict {
        let url = self.address.of(&format!("/validate/{id}"));
        let ask = Ask { url, body: None, idempotency_key: None };
        let ruling = match self.wire.ask(&ask, credentials).await {
            Ok(answer) => self.reader(credentials).verdict(&answer, id),
            Err(error) => Err(error),
        };
        match ruling {
            Ok(Ruling::Valid { entity, issued_at }) => Verdict::Valid {
                entity,
                profile: chittyid::detect(id),
                issued_at: issued_at.map(Into::into),
            },
            Ok(Ruling::Invalid(why)) => Verdict::Invalid { why: why.into() },
            Err(error) => Verdict::Unverified {
                format: chittyid::parse(id, Profiles::ALL),
                why: Arc::new(error),
            },
        }
    }

    fn reader<'a>(&'a self, credentials: &'a Credentials) -> Reader<'a> {
        Reader { accepted: self.config.accepted, key: self.wire.key(credentials) }
    }
}

fn body(request: &Request) -> Value {
    let mut body = json!({ "entity": request.entity.name() });
    if let Some(name) = &request.name {
        body["name"] = json!(name);
    }
    if let Some(metadata) = &request.metadata {
        body["metadata"] = metadata.clone();
    }
    body
}

/// 128 random bits: nobody else makes the same.
fn fresh_key() -> String {
    format!("{:016x}{:016x}", clock::draw(), clock::draw())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("api", &self.inner.address.of("").as_str())
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}
