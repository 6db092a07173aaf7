//! Ids are given by the service, each once, or the caller is told why not.

use std::collections::HashSet;
use std::error::Error as _;

use chittyid_client::{
    ApiKey, Client, ClientConfig, Credentials, EntityType, Error, GenerationError, LimitedBy,
    Profile, Profiles, Request, RetryConfig, Unreachable, Verdict, Who,
};
use chittyid_server::{AuthorityConfig, IssuedProfile};
use mainstay_fault::{Admission, Cut, Fault, FaultProxy};
use serde_json::{Value, json};

use crate::world::{KEY, MS, OTHER_KEY, World, config, minted, until};

#[tokio::test]
async fn each_of_the_nine_entities_gets_an_id_with_its_own_letter() {
    let world = World::new().await;
    let client = world.client();
    for entity in EntityType::ALL {
        let minted = client.mint(entity, json!({ "test": true })).await.unwrap();
        assert_eq!(minted.id.entity_letter(), entity.letter(Profile::ClientV1), "{entity}");
        assert!(chittyid::validate_format(minted.id.as_str()), "{}", minted.id);
        assert_eq!((minted.entity, minted.repeated), (entity, false));
        assert_eq!(minted.metadata, Some(json!({ "test": true })));
        assert!(minted.timestamp.is_some() && minted.version.is_some());
    }
}

#[tokio::test]
async fn entities_are_named_in_any_case() {
    let world = World::new().await;
    let client = world.client();
    for name in ["info", "Info", "INFO"] {
        let id = client.generate_chitty_id(name, Value::Null).await.unwrap();
        assert_eq!(id.entity_letter(), Some('I'));
    }
}

#[tokio::test]
async fn an_entity_that_does_not_exist_is_refused_in_the_seeds_words_and_nobody_is_asked() {
    let world = World::new().await;
    let client = world.client();
    for name in ["CASE", "", "null", "INFO "] {
        let error = client.generate_chitty_id(name, Value::Null).await.unwrap_err();
        let expected = format!(
            "Unsupported ChittyID entity type: {name}. Use one of \
             PEO, PLACE, PROP, EVNT, AUTH, INFO, FACT, CONTEXT, ACTOR."
        );
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(world.requests(), 0);
}

#[tokio::test]
async fn what_was_said_of_an_id_is_kept_with_it() {
    let world = World::new().await;
    let client = world.client();
    let request = Request {
        name: Some("the first".into()),
        metadata: Some(json!({ "nested": { "a": [1, 2] } })),
        ..Request::new(EntityType::Place)
    };
    let minted = client.mint_with(request).await.unwrap();
    let info = client.info(&minted.id).await.unwrap();
    assert_eq!((info.id, info.entity), (minted.id, Some(EntityType::Place)));
    assert_eq!(info.name.as_deref(), Some("the first"));
    assert_eq!(info.metadata, Some(json!({ "nested": { "a": [1, 2] } })));
    assert!(info.issued_at.is_some() && info.answer["components"]["location"] == "CHI");
    let stranger = client.with_credentials(Credentials::Anonymous);
    let info = stranger.info(&minted.id).await.unwrap();
    assert_eq!((info.name, info.metadata), (None, None), "a stranger is told less");
}

#[tokio::test]
async fn an_id_that_was_not_given_has_no_facts() {
    let world = World::new().await;
    let id = "CT-A-CHI-1234-I-24-A-0".parse().unwrap();
    let error = world.client().info(&id).await.unwrap_err();
    let Error::NotFound(said) = &error else { panic!("{error}") };
    assert_eq!((said.status, said.code.as_deref()), (404, Some("NOT_FOUND")));
}

#[tokio::test]
async fn ten_concurrent_mints_are_all_unique_and_well_formed() {
    let world = World::new().await;
    let client = world.client();
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { minted(&client).await })
        })
        .collect();
    let mut ids = HashSet::new();
    for task in tasks {
        let id = task.await.unwrap();
        assert!(chittyid::is_chittyid(&id), "{id}");
        ids.insert(id);
    }
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn a_hundred_mints_at_once_are_served() {
    let world = World::new().await;
    let client = world.client();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let client = client.clone();
        tasks.spawn(async move { minted(&client).await });
    }
    let ids: HashSet<String> = tasks.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 100);
}

#[tokio::test]
async fn from_minting_to_validating_an_id_is_one_and_the_same() {
    let world = World::new().await;
    let client = world.client();
    let id = minted(&client).await;
    assert!(chittyid::validate_format(&id) && chittyid::extract_entity_type(&id) == Some('I'));
    let verdict = client.validate(&id).await;
    let Verdict::Valid { entity, profile, issued_at } = verdict else { panic!("{verdict:?}") };
    assert_eq!((entity, profile), (Some(EntityType::Information), Some(Profile::ClientV1)));
    assert!(issued_at.is_some());
}

#[tokio::test]
async fn a_key_that_is_not_known_is_said_to_be_that() {
    let world = World::new().await;
    let client = Client::new(ClientConfig {
        api_key: Some(ApiKey::new("invalid_key").unwrap()),
        ..world.config()
    });
    let client = client.unwrap();
    let error = client.generate_chitty_id("INFO", json!({})).await.unwrap_err();
    let text = error.to_string();
    for words in ["authentication failed", "invalid API key", "unauthorized"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.starts_with("ChittyID generation failed: "), "{text}");
    assert!(text.ends_with(". Service must be available."), "{text}");
    let GenerationError::Failed(error) = error else { panic!("{error}") };
    assert_eq!(error.who(), Who::Operator);
    assert_eq!(world.requests(), 1, "it would say the same again");
}

#[tokio::test]
async fn without_a_key_none_is_sent() {
    let world = World::new().await;
    let client = Client::new(ClientConfig { api_key: None, ..world.config() }).unwrap();
    let error = client.mint(EntityType::Information, Value::Null).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error}");
    assert_eq!(world.authorizations(), [""]);
}

#[tokio::test]
async fn a_key_for_one_call_goes_in_place_of_the_clients_own() {
    let world = World::new().await;
    let client = world.client();
    let other = Credentials::Key(ApiKey::new(OTHER_KEY).unwrap());
    let request = Request { credentials: other.clone(), ..Request::new(EntityType::Fact) };
    client.mint_with(request).await.unwrap();
    client.with_credentials(other).mint(EntityType::Fact, Value::Null).await.unwrap();
    let stranger = client.with_credentials(Credentials::Anonymous);
    let error = stranger.mint(EntityType::Fact, Value::Null).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "no stranger uses the server's key: {error}");
    client.mint(EntityType::Fact, Value::Null).await.unwrap();
    let (own, other) = (format!("Bearer {KEY}"), format!("Bearer {OTHER_KEY}"));
    assert_eq!(world.authorizations(), [other.as_str(), &other, "", &own]);
}

#[tokio::test]
async fn the_limit_of_the_service_is_said_with_its_pause() {
    let config =
        AuthorityConfig { mints_per_minute: 1, batch_max: 1, ..AuthorityConfig::default() };
    let world = World::with(config).await;
    let client = world.client();
    minted(&client).await;
    let error = client.generate_chitty_id("INFO", json!({})).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("rate limit: too many requests (HTTP 429"), "{text}");
    let GenerationError::Failed(error) = error else { panic!("{error}") };
    let Error::RateLimited { by: LimitedBy::Service, retry_after: Some(after), .. } = error else {
        panic!("{error}")
    };
    assert!(after.as_secs() > 30, "beyond the deadline: it came back at once, after {after:?}");
    let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { by: LimitedBy::Pause, .. }), "{error}");
    assert_eq!((error.who(), world.requests()), (Who::Nobody, 2), "the pause is kept");
}

#[tokio::test]
async fn a_strangers_limit_holds_nobody_else_back() {
    let config =
        AuthorityConfig { mints_per_minute: 1, batch_max: 1, ..AuthorityConfig::default() };
    let world = World::with(config).await;
    let client = world.client();
    let caller = Credentials::Key(ApiKey::new(OTHER_KEY).unwrap());
    let caller = client.with_credentials(caller);
    minted(&caller).await;
    for _ in 0..10 {
        let error = caller.mint(EntityType::Fact, Value::Null).await.unwrap_err();
        assert!(matches!(error, Error::RateLimited { by: LimitedBy::Service, .. }), "{error}");
    }
    assert_eq!(world.requests(), 11, "each was answered at once, and by the service");
    assert_eq!(client.circuit_breaker_status().failures, 0);
    minted(&client).await;
}

#[tokio::test]
async fn a_limit_of_this_client_is_counted_by_key() {
    let world = World::new().await;
    let config = ClientConfig { mints_per_minute: Some(2), ..world.config() };
    let client = Client::new(config).unwrap();
    for _ in 0..2 {
        minted(&client).await;
    }
    let error = client.mint(EntityType::Fact, Value::Null).await.unwrap_err();
    let Error::RateLimited { by, retry_after, .. } = &error else { panic!("{error}") };
    assert_eq!(*by, LimitedBy::Client);
    assert!(retry_after.is_some_and(|after| after.as_secs() >= 1));
    let other = Credentials::Key(ApiKey::new(OTHER_KEY).unwrap());
    minted(&client.with_credentials(other)).await;
    assert_eq!(world.requests(), 3, "what is refused here is not sent");
}

#[tokio::test]
async fn a_request_that_the_service_refuses_is_the_callers_to_mend() {
    let world = World::new().await;
    let client = world.client();
    let long = "x".repeat(20_000);
    for metadata in [json!([1]), json!({ "a": long }), json!({ "__proto__": 1 })] {
        let error = client.mint(EntityType::Information, metadata).await.unwrap_err();
        let Error::Refused(said) = &error else { panic!("{error}") };
        assert_eq!((said.status, said.code.as_deref()), (400, Some("INVALID_METADATA")));
        assert_eq!(error.who(), Who::Caller);
    }
    assert_eq!(world.requests(), 3);
    assert_eq!(client.circuit_breaker_status().failures, 0, "and no failure of the service");
}

#[tokio::test]
async fn all_attempts_of_a_mint_carry_one_key_and_bring_one_id() {
    let world = World::new().await;
    let client = world.client();
    world.fail(503, 2);
    let first = minted(&client).await;
    let second = minted(&client).await;
    let keys = world.keys();
    assert_eq!(keys.len(), 4);
    assert_eq!(keys[0].len(), 32);
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3]);
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_key_of_the_applications_own_brings_the_same_id_again() {
    let world = World::new().await;
    let client = world.client();
    let request = || Request {
        idempotency_key: Some("order-7".into()),
        ..Request::new(EntityType::Property)
    };
    let first = client.mint_with(request()).await.unwrap();
    let again = client.mint_with(request()).await.unwrap();
    assert_eq!((first.id, first.repeated, again.repeated), (again.id, false, true));
    for key in ["", "two words", "ä"] {
        let request = Request { idempotency_key: Some(key.into()), ..request() };
        let error = client.mint_with(request).await.unwrap_err();
        assert!(matches!(error, Error::Unsendable { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_on_its_way_burns_no_id() {
    let world = World::new().await;
    let proxy = FaultProxy::start(world.address).await.unwrap();
    let retry = RetryConfig {
        attempts: 100,
        first_wait: 20 * MS,
        longest_wait: 20 * MS,
        ..RetryConfig::default()
    };
    let config = ClientConfig { retry, ..config(&format!("http://{}", proxy.address())) };
    let client = Client::new(config).unwrap();
    let mut lost = Fault::default();
    lost.down.cut = Some(Cut { at_byte: 9, reset: true });
    proxy.set(lost);
    let minting = tokio::spawn({
        let client = client.clone();
        async move { minted(&client).await }
    });
    until("it was asked", || world.requests() >= 1).await;
    proxy.set(Fault::NONE);
    let id = minting.await.unwrap();
    assert!(world.keys().windows(2).all(|two| two[0] == two[1]), "{:?}", world.keys());
    let next = minted(&client).await;
    let number = |id: &str| id.parse::<chittyid::ChittyId>().unwrap().sequence().unwrap();
    assert_eq!(number(&next), number(&id) + 1, "no number was used up: {id} {next}");
}

#[tokio::test]
async fn an_authority_that_gives_another_profile_is_noticed_and_can_be_accepted() {
    let config =
        AuthorityConfig { profile: IssuedProfile::Canonical03, ..AuthorityConfig::default() };
    let world = World::with(config).await;
    let error = world.client().mint(EntityType::Event, Value::Null).await.unwrap_err();
    let Error::FormatMismatch { detected, accepted, found } = &error else { panic!("{error}") };
    assert_eq!((*detected, *accepted), (Some(Profile::Canonical03), Profiles::CLIENT_V1));
    assert!(found.starts_with("03-1-USA-"), "{found}");
    assert_eq!((error.who(), world.requests()), (Who::Operator, 1));
    let client = Client::new(world.config().interop()).unwrap();
    let minted = client.mint(EntityType::Event, Value::Null).await.unwrap();
    assert_eq!(minted.id.profile(), Profile::Canonical03);
}

#[tokio::test]
async fn there_is_no_id_without_the_service() {
    let world = World::new().await;
    let proxy = FaultProxy::start(world.address).await.unwrap();
    proxy.set(Fault { admission: Admission::Refuse, ..Fault::default() });
    let client = Client::new(config(&format!("http://{}", proxy.address()))).unwrap();
    let error = client.generate_chitty_id("INFO", json!({})).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("ChittyID generation failed: ")
            && text.ends_with(" (3 attempts). Service must be available."),
        "{text}"
    );
    assert!(error.source().is_some(), "what is behind it is there");
    let GenerationError::Failed(Error::Unreachable { why, attempts, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!((why, attempts), (Unreachable::Refused, 3));
    proxy.set(Fault::NONE);
    assert!(
        chittyid::is_chittyid(&minted(&client).await),
        "and there is one as soon as it is back"
    );
}

#[test]
fn the_environment_says_where_and_with_which_key() {
    let from = |url: &str, key: &str| {
        ClientConfig::from_variables(|name| match name {
            "CHITTYID_SERVICE_URL" => Some(url.to_owned()),
            "CHITTY_ID_TOKEN" => Some(key.to_owned()),
            _ => None,
        })
    };
    let said = from("https://ids.example/api/v1", " ck_1\n").unwrap();
    assert_eq!(said.base_url, "https://ids.example/api/v1");
    assert_eq!(said.api_key, Some(ApiKey::new("ck_1").unwrap()));
    assert_eq!(from("", "").unwrap(), ClientConfig::default(), "empty ones are not there");
    assert_eq!(from("nonsense", "").unwrap_err().field, "base_url");
    let error = from("", "hush\u{7}hush").unwrap_err();
    assert_eq!(error.field, "api_key");
    assert!(!error.to_string().contains("hush"), "{error}");
}
