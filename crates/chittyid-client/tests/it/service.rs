//! What a client says of itself, and what the service says.

use chittyid_client::{Client, ClientConfig, Error, WatchConfig};
use serde_json::{Value, json};

use crate::odd::{Odd, Reply, reply};
use crate::world::{World, minted};

/// The fields of a JSON object, deep, each as its path and kind.
fn shape(value: &Value, path: &str, fields: &mut Vec<String>) {
    let kind = match value {
        Value::Object(object) => {
            for (name, value) in object {
                shape(value, &format!("{path}.{name}"), fields);
            }
            return;
        }
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
    };
    fields.push(format!("{} {kind}", &path[1..]));
}

#[tokio::test]
async fn the_health_of_a_client_has_every_field_of_the_seeds() {
    let world = World::new().await;
    let config = ClientConfig { watch: WatchConfig::default(), ..world.config() };
    let client = Client::new(config).unwrap();
    client.connect().await.unwrap();
    assert!(client.connection().check_now().await);
    let id = minted(&client).await;
    client.validate(&id).await;
    client.validate(&id).await;
    let health = serde_json::to_value(client.get_service_health()).unwrap();
    let mut fields = Vec::new();
    shape(&health, "", &mut fields);
    fields.sort_unstable();
    let mut expected: Vec<String> = [
        "service text",
        "format text",
        "entityTypes list",
        "mode text",
        "connection.initialized bool",
        "connection.state text",
        "connection.isHealthy bool",
        "connection.uptime number",
        "connection.reconnectAttempts number",
        "connection.lastHealthCheck number",
        "connection.lastSuccessfulConnection number",
        "connection.stats.totalConnections number",
        "connection.stats.totalReconnections number",
        "connection.stats.totalFailures number",
        "connection.stats.totalHealthChecks number",
        "connection.stats.successfulHealthChecks number",
        "connection.stats.failedHealthChecks number",
        "connection.stats.healthCheckSuccessRate text",
        "connection.stats.healthCheckSuccessRatio number",
        "connection.stats.currentState text",
        "connection.stats.uptime number",
        "connection.stats.isConnected bool",
        "resilience.enabled bool",
        "resilience.circuitBreaker.state text",
        "resilience.circuitBreaker.failures number",
        "resilience.circuitBreaker.lastFailure null",
        "resilience.circuitBreaker.lastStateChange number",
        "resilience.circuitBreaker.uptimeMs number",
        "resilience.circuitBreaker.halfOpenSuccesses number",
        "resilience.circuitBreaker.config.failureThreshold number",
        "resilience.circuitBreaker.config.resetTimeout number",
        "resilience.circuitBreaker.config.monitorWindow number",
        "resilience.circuitBreaker.config.halfOpenAttempts number",
        "resilience.cache.hits number",
        "resilience.cache.misses number",
        "resilience.cache.evictions number",
        "resilience.cache.sets number",
        "resilience.cache.size number",
        "resilience.cache.maxSize number",
        "resilience.cache.ttlMs number",
        "resilience.cache.hitRate text",
        "resilience.cache.hitRatio number",
        "resilience.cache.totalRequests number",
    ]
    .map(str::to_owned)
    .to_vec();
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!(health["service"], "chittyid-service");
    assert_eq!(health["mode"], "pipeline-only");
    assert_eq!(health["format"], "VV-G-LLL-SSSS-T-YM-C-X");
    let nine = ["PEO", "PLACE", "PROP", "EVNT", "AUTH", "INFO", "FACT", "CONTEXT", "ACTOR"];
    assert_eq!(health["entityTypes"], json!(nine));
    assert_eq!(health["connection"]["state"], "CONNECTED");
    assert_eq!(health["connection"]["stats"]["healthCheckSuccessRate"], "100.00%");
    assert_eq!(health["resilience"]["circuitBreaker"]["state"], "CLOSED");
    assert_eq!(health["resilience"]["cache"]["hitRate"], "50.00%");
}

#[tokio::test]
async fn the_health_of_a_client_that_did_nothing_says_so() {
    let world = World::new().await;
    let health = serde_json::to_value(world.client().get_service_health()).unwrap();
    assert_eq!(health["connection"], json!({ "initialized": false, "state": "NOT_INITIALIZED" }));
    assert_eq!(health["resilience"]["enabled"], true);
    assert_eq!(health["resilience"]["cache"]["hitRate"], "0%");
    assert_eq!(world.requests(), 0);
}

#[tokio::test]
async fn the_services_health_is_what_it_says() {
    let world = World::new().await;
    let client = world.client();
    let health = client.health().await.unwrap();
    assert_eq!((health.is_healthy, health.status), (true, 200));
    assert_eq!(health.says.as_deref(), Some("healthy"));
    assert_eq!(health.version.as_deref(), Some("2.2.0"));
    world.set_health(503);
    let health = client.health().await.unwrap();
    assert_eq!((health.is_healthy, health.says.as_deref()), (false, Some("unhealthy")));
}

#[tokio::test]
async fn the_services_health_is_asked_for_once_also_while_the_breaker_refuses_calls() {
    let world = World::new().await;
    let client = world.client();
    client.gate().force_open();
    assert!(client.health().await.unwrap().is_healthy);
    let server = Odd::new(vec![Reply::Reset]).await;
    let error = server.client().health().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { attempts: 1, .. }), "{error:?}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_page_is_no_health() {
    let server =
        Odd::new(vec![reply("200 OK", "", "<html><title>Welcome to nginx!</title>")]).await;
    let error = server.client().health().await.unwrap_err();
    assert!(error.to_string().contains("Welcome to nginx!"), "{error}");
}
