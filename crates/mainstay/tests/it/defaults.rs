//! `docs/defaults.md` says what the drivers do; `mainstay-core` checks its own part of the page.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay::cache::CacheConfig;
use mainstay::core::config::duration;
use mainstay::link::websocket::{
    HandshakeConfig, IncomingConfig, OutboxConfig, RequestsConfig, Slow, WebSocketConfig,
};
use mainstay::link::{
    Alpn, EndpointsConfig, HttpConfig, HttpProbe, LinkConfig, Roots, StreamConfig, TlsConfig,
};
use serde_json::Value;

/// The rows of the page that begin with `section`: path and default.
fn rows(section: &str) -> BTreeMap<String, String> {
    let page = include_str!("../../../../docs/defaults.md");
    let prefix = format!("| `{section}.");
    let lines = page.lines().filter(|line| line.starts_with(&prefix));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let path = cells[0].trim_matches('`').trim_start_matches(section).trim_start_matches('.');
        (path.to_owned(), cells[1].to_owned())
    };
    lines.map(row).collect()
}

#[test]
fn the_page_says_how_a_cache_starts() {
    let code = serde_json::to_value(CacheConfig::default()).unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = code.as_object().unwrap().iter();
    let code: BTreeMap<_, _> = fields.map(|(name, value)| (name.clone(), text(value))).collect();
    assert_eq!(rows("cache"), code);
}

#[test]
fn the_page_says_how_an_http_transport_starts() {
    // Taken apart, so that a new field is missed here and not only on the page.
    let HttpConfig {
        url: _,
        more_urls,
        endpoints,
        health_path,
        probe,
        bearer,
        roots,
        connect_timeout,
        timeout,
        pool_idle,
        body_max,
        replace_after,
        system_proxy,
    } = HttpConfig::new("http://peer");
    assert!(bearer.is_none() && more_urls.is_empty() && roots.is_none());
    assert_eq!(probe, HttpProbe::Path);
    assert_eq!(endpoints, EndpointsConfig::default(), "whose rows are the core's");
    let time = |time: Duration| duration::text(time);
    let code = [
        ("more_urls", "none".to_owned()),
        ("health_path", health_path),
        ("probe", "path".to_owned()),
        ("roots", "platform".to_owned()),
        ("connect_timeout", time(connect_timeout)),
        ("timeout", time(timeout)),
        ("pool_idle", time(pool_idle)),
        ("body_max", body_max.to_string()),
        ("replace_after", replace_after.to_string()),
        ("system_proxy", if system_proxy { "on" } else { "off" }.to_owned()),
    ];
    let code: BTreeMap<_, _> = code.map(|(name, value)| (name.to_owned(), value)).into();
    assert_eq!(rows("http"), code);
}

#[test]
fn the_page_says_how_much_is_kept() {
    let code = [
        ("gates", mainstay::gate::CAPACITY),
        ("operation_names", mainstay::operations::NAMES),
        ("operation_records", mainstay::operations::RECORDS_PER_NAME),
        ("events", mainstay::event::CAPACITY),
        ("listeners", mainstay::link::LISTENERS_MAX),
        ("links", mainstay::link::ManagerConfig::default().links_max),
        ("endpoints", mainstay::core::link::ENDPOINTS_MAX),
        ("addresses", mainstay::core::link::ADDRESSES_MAX),
    ];
    let code = code.map(|(name, value)| (name.to_owned(), value.to_string()));
    assert_eq!(rows("limits"), BTreeMap::from(code));
}

#[test]
fn the_page_says_how_a_stream_starts() {
    let StreamConfig {
        name_timeout,
        tcp_timeout,
        proxy_timeout,
        tls_timeout,
        attempt_delay,
        user_timeout,
        keepalive,
        proxy,
    } = StreamConfig::default();
    let time = |time: Duration| duration::text(time);
    let maybe = |time: Option<Duration>| time.map_or_else(|| "none".to_owned(), duration::text);
    assert_eq!(format!("{proxy:?}"), "Proxy(environment)");
    let code = [
        ("name_timeout", time(name_timeout)),
        ("tcp_timeout", time(tcp_timeout)),
        ("proxy_timeout", time(proxy_timeout)),
        ("tls_timeout", time(tls_timeout)),
        ("attempt_delay", time(attempt_delay)),
        ("user_timeout", maybe(user_timeout)),
        ("keepalive", maybe(keepalive)),
        ("proxy", "environment".to_owned()),
    ];
    let code: BTreeMap<_, _> = code.map(|(name, value)| (name.to_owned(), value)).into();
    assert_eq!(rows("stream"), code);
}

#[test]
fn the_page_says_how_tls_starts() {
    let TlsConfig { roots, identity, server_name, alpn, retry_expired } = TlsConfig::default();
    assert_eq!((roots, identity, server_name), (Roots::Platform, None, None));
    assert_eq!((alpn, retry_expired), (Alpn::Http1, false));
    let code = [
        ("roots", "platform"),
        ("identity", "none"),
        ("server_name", "none"),
        ("alpn", "http1"),
        ("retry_expired", "off"),
    ];
    let code = code.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(rows("tls"), BTreeMap::from(code));
}

#[test]
fn the_page_says_how_a_websocket_starts() {
    // Taken apart, so that a new field is missed here and not only on the page.
    let WebSocketConfig {
        url: _,
        more_urls,
        endpoints,
        stream: _,
        tls,
        guard,
        headers,
        subprotocols,
        provider,
        provider_timeout,
        upgrade_timeout,
        handshake,
        handshake_timeout,
        subscriptions,
        message_max,
        incoming: IncomingConfig { messages, bytes, slow },
        outbox,
        data_idle,
        max_age,
        allow_plain,
        redirects,
        classify,
        limiter: _,
    } = WebSocketConfig::new("ws://peer");
    assert!(more_urls.is_empty() && headers.is_empty() && subprotocols.is_empty());
    assert!(guard.is_none() && provider.is_none() && handshake.is_none() && classify.is_none());
    assert!(subscriptions.keys().is_empty() && data_idle.is_none() && max_age.is_none());
    let shared = (EndpointsConfig::default(), TlsConfig::default(), OutboxConfig::default());
    assert_eq!((endpoints, tls, outbox), shared, "which have rows of their own");
    assert!(slow == Slow::DropOldest && !allow_plain);
    let HandshakeConfig { per_second, burst, at_once } = HandshakeConfig::default();
    let time = |time: Duration| duration::text(time);
    let code = [
        ("more_urls", "none".to_owned()),
        ("provider_timeout", time(provider_timeout)),
        ("upgrade_timeout", time(upgrade_timeout)),
        ("handshake_timeout", time(handshake_timeout)),
        ("message_max", message_max.to_string()),
        ("incoming.messages", messages.to_string()),
        ("incoming.bytes", bytes.to_string()),
        ("incoming.slow", "drop_oldest".to_owned()),
        ("data_idle", "none".to_owned()),
        ("max_age", "never".to_owned()),
        ("allow_plain", "off".to_owned()),
        ("redirects", redirects.to_string()),
        ("limiter.per_second", per_second.to_string()),
        ("limiter.burst", burst.to_string()),
        ("limiter.at_once", at_once.to_string()),
    ];
    let code = code.map(|(field, value)| (field.to_owned(), value)).into();
    assert_eq!(rows("websocket"), code);
    let link = LinkConfig::websocket();
    let times = [link.dial_timeout, link.health.interval, link.health.timeout].map(time);
    assert_eq!(
        (times, link.health.down, link.health.up),
        (["20s", "15s", "5s"].map(Into::into), 1, 1)
    );
}

#[test]
fn the_page_says_how_requests_start() {
    let RequestsConfig { pending, timeout } = RequestsConfig::default();
    let code = [("pending", pending.to_string()), ("timeout", duration::text(timeout))];
    let code = code.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(rows("requests"), BTreeMap::from(code));
}
