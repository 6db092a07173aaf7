//! The ChittyID products on the server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use chittyid_client::ClientConfig;
use chittyid_server::{
    Authority, Caller, ChittyIdConfig, Gateway, Left, authority_routes, gateway_routes, key_hash,
};
use mainstay::core::config::ConfigError;
use mainstay::monitor::engine::engine::{Reading, Value};
use mainstay::monitor::engine::rules::Signal;
use mainstay::monitor::{CacheFigures, Sources};
use mainstay_server::auth::Identity;
use mainstay_server::config::{Config, Engine, Problems, safe_url};
use mainstay_server::{Ground, Product, ProductError};
use mainstay_store::Durability;
use serde::Deserialize;

/// What of a configuration file is about ids.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    chittyid: ChittyIdConfig,
}

/// What the configuration says about ids.
pub(crate) fn configured(config: &Config) -> Result<ChittyIdConfig, Problems> {
    let File { chittyid } = config.section()?;
    checked(config, chittyid)
}

/// The same, with an authority as it is by default where the configuration names none.
pub(crate) fn with_authority(config: &Config) -> Result<ChittyIdConfig, Problems> {
    let File { chittyid } = config.section()?;
    let authority = Some(chittyid.authority.clone().unwrap_or_default());
    checked(config, ChittyIdConfig { authority, ..chittyid })
}

fn checked(config: &Config, chittyid: ChittyIdConfig) -> Result<ChittyIdConfig, Problems> {
    chittyid.check().map_err(|error| config.refused("chittyid", &error))?;
    if chittyid.authority.is_some() {
        kept(config)?;
    }
    plain(config, &chittyid)?;
    if chittyid.gateway.is_some() {
        unnamed(config)?;
    }
    Ok(chittyid)
}

/// Refuses a link under whose name the gateway's own is watched: both would be counted as one.
fn unnamed(config: &Config) -> Result<(), Problems> {
    let Some(index) = config.links.iter().position(|link| link.name == Gateway::NAME) else {
        return Ok(());
    };
    let allowed = "another name where there is [chittyid.gateway], whose own link has this one";
    let error = ConfigError::new("name", Gateway::NAME, allowed);
    Err(config.refused(&format!("link.{index}"), &error))
}

/// Refuses a store that forgets which ids were given: they would be given again.
fn kept(config: &Config) -> Result<(), Problems> {
    let refused = |field, found: &str, allowed: &str| {
        let allowed = format!("{allowed} where there is [chittyid.authority]");
        Err(config.refused("store", &ConfigError::new(field, found, &allowed)))
    };
    match (config.store.engine, config.store.config.durability) {
        (Engine::Memory, _) => refused("engine", "memory", "redb"),
        (Engine::Redb, Durability::None) => refused("durability", "none", "disk, os"),
        (Engine::Redb, Durability::Disk | Durability::Os) => Ok(()),
    }
}

/// The products of that configuration; none when it has none.
pub(crate) fn product(config: ChittyIdConfig) -> Option<Product> {
    let wanted = config.authority.is_some() || config.gateway.is_some();
    wanted.then(|| Product::new(move |ground| routes(config, ground)))
}

fn routes(config: ChittyIdConfig, ground: Ground) -> Result<Router, ProductError> {
    let Ground { store, writer, address, sources } = ground;
    let asks_here = asks_here(&config);
    let mut routes = Router::new();
    if let Some(config) = config.authority {
        let authority = Arc::new(Authority::new(config, store, writer)?);
        let watched = authority.clone();
        sources.reading(move || watched.left().iter().map(left).collect());
        routes = authority_routes(authority).layer(from_fn(known));
    }
    if let Some(mut config) = config.gateway {
        if asks_here {
            config.base_url = format!("http://{}", reached(address));
        }
        let gateway = Gateway::new(config)?;
        watch(&gateway, &sources);
        routes = routes.merge(gateway_routes(Arc::new(gateway)));
    }
    Ok(routes)
}

/// Lets the monitor judge what a gateway stands on: its connection, its breaker and its verdicts.
fn watch(gateway: &Gateway, sources: &Sources) {
    let client = gateway.client();
    sources.gate(Gateway::NAME, client.gate().clone());
    let (connected, asked) = (client.clone(), client.clone());
    sources.link(Gateway::NAME, move || connected.started().cloned());
    let secured = client.clone();
    sources.certificate(Gateway::NAME, move || secured.certificate_expiry());
    sources.cache(Gateway::NAME, move || {
        let stats = asked.cache_stats();
        CacheFigures {
            hits: stats.hits,
            misses: stats.misses,
            taken: stats.size,
            places: stats.max_size,
        }
    });
}

/// Which share of a sequence's ids is left.
fn left(left: &Left) -> Reading {
    Reading::of(Signal::IdsLeft, &left.sequence, Value::Gauge(left.share()))
}

/// Whether a gateway that names no authority has one beside it.
fn asks_here(config: &ChittyIdConfig) -> bool {
    let names_none = |gateway: &ClientConfig| gateway.base_url == ClientConfig::default().base_url;
    config.authority.is_some() && config.gateway.as_ref().is_some_and(names_none)
}

/// How a server is reached from its own machine.
fn reached(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// A gateway asks the authority beside it in plain HTTP: under which name a certificate is valid is
/// not known.
fn plain(config: &Config, chittyid: &ChittyIdConfig) -> Result<(), Problems> {
    if config.server.tls.is_none() || !asks_here(chittyid) {
        return Ok(());
    }
    let allowed = "the server's own https address, since it speaks TLS";
    let error = ConfigError::new("base_url", format_args!("not said"), allowed);
    Err(config.refused("chittyid.gateway", &error))
}

/// Says who asks in the words of the products.
async fn known(mut request: Request, next: Next) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|shown| shown.get(7..)).map(String::from);
    let server = request.extensions().get::<mainstay_server::Caller>().cloned();
    if let Some(mainstay_server::Caller { identity: Some(identity), address }) = server
        && let Some(caller) = caller(&identity, shown.as_deref(), address)
    {
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// Who that is to the products; none when it is a stranger.
fn caller(identity: &Identity, shown: Option<&str>, address: Option<IpAddr>) -> Option<Caller> {
    let is_admin = identity.role.rules();
    if shown.is_none() && !is_admin {
        // Where clients may hold sessions without credentials, ids are not theirs to take.
        return None;
    }
    let name = match &identity.user {
        // All tokens have one name, and each user another token again and again.
        Some(user) if &*identity.name == "jwt" => {
            format!("jwt {}/{user}", identity.organisation).into()
        }
        Some(_) | None => identity.name.clone(),
    };
    // Where nothing must be shown, what is shown tells nobody apart.
    let key = shown.filter(|_| &*identity.name != "anonymous").map(key_hash);
    Some(Caller { name, key, address, is_admin })
}

/// What an operator is told when the server starts.
pub(crate) fn announced(config: &ChittyIdConfig) -> Vec<String> {
    let authority = config.authority.as_ref().map(|authority| {
        let profile = authority.profile.profile();
        format!("chittyid authority: gives {profile} ids at /v1/mint")
    });
    let gateway = config.gateway.as_ref().map(|gateway| {
        let asked = if asks_here(config) {
            "the authority beside it".to_owned()
        } else {
            safe_url(&gateway.base_url)
        };
        format!("chittyid gateway: asks {asked} at /api/id")
    });
    authority.into_iter().chain(gateway).collect()
}

#[cfg(test)]
mod tests {
    use mainstay_server::auth::Role;

    use super::*;

    fn identity(name: &str, role: Role, user: Option<&str>) -> Identity {
        let (user, organisation) = (user.map(Arc::from), "acme".into());
        Identity { name: name.into(), role, user, organisation, expires_at: None }
    }

    #[test]
    fn callers_are_told_apart_by_who_they_are() {
        let here = Some(IpAddr::from([127, 0, 0, 1]));
        // Whoever asks a server that asks for nothing, whatever it shows.
        let open = identity("anonymous", Role::Admin, None);
        for shown in [None, Some("anything")] {
            let caller = caller(&open, shown, here).unwrap();
            assert_eq!((&*caller.name, caller.key, caller.is_admin), ("anonymous", None, true));
        }
        // A client that need not show anything to hold a session.
        assert_eq!(caller(&identity("anonymous", Role::Client, None), None, here), None);
        let till = identity("till", Role::Client, Some("till-7"));
        let till = caller(&till, Some("msk_1"), here).unwrap();
        assert_eq!(
            (&*till.name, till.key, till.is_admin),
            ("till", Some(key_hash("msk_1")), false)
        );
        // Two users of one issuer, and one with another token.
        let user = |user, token| {
            caller(&identity("jwt", Role::Client, Some(user)), Some(token), here).unwrap()
        };
        assert_eq!(&*user("kim", "a.b.c").name, "jwt acme/kim");
        assert_eq!(user("kim", "a.b.c").name, user("kim", "d.e.f").name);
        assert_ne!(user("kim", "a.b.c").name, user("lee", "g.h.i").name);
    }
}
