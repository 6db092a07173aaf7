//! The ChittyID products on the server.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use chittyid_server::{
    Authority, Caller, ChittyIdConfig, Gateway, authority_routes, gateway_routes, key_hash,
};
use mainstay_server::config::{Config, Problems, safe_url};
use mainstay_server::{Ground, Product, ProductError};
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
    chittyid.check().map_err(|error| config.refused("chittyid", &error))?;
    Ok(chittyid)
}

/// The products of that configuration; none when it has none.
pub(crate) fn product(config: ChittyIdConfig) -> Option<Product> {
    let wanted = config.authority.is_some() || config.gateway.is_some();
    wanted.then(|| Product::new(move |ground| routes(config, ground)))
}

fn routes(config: ChittyIdConfig, ground: Ground) -> Result<Router, ProductError> {
    let Ground { store, writer, .. } = ground;
    let mut routes = Router::new();
    if let Some(config) = config.authority {
        let authority = Authority::new(config, store, writer)?;
        routes = authority_routes(Arc::new(authority)).layer(from_fn(known));
    }
    if let Some(config) = config.gateway {
        routes = routes.merge(gateway_routes(Arc::new(Gateway::new(config)?)));
    }
    Ok(routes)
}

/// Says who asks in the words of the products.
async fn known(mut request: Request, next: Next) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = shown.map(|shown| key_hash(shown.get(7..).unwrap_or_default()));
    let server = request.extensions().get::<mainstay_server::Caller>().cloned();
    if let Some(mainstay_server::Caller { identity: Some(identity), address }) = server {
        let is_admin = identity.role.rules();
        request.extensions_mut().insert(Caller { name: identity.name, key, address, is_admin });
    }
    next.run(request).await
}

/// What an operator is told when the server starts.
pub(crate) fn announced(config: &ChittyIdConfig) -> Vec<String> {
    let authority = config.authority.as_ref().map(|authority| {
        let profile = authority.profile.profile();
        format!("chittyid authority: gives {profile} ids at /v1/mint")
    });
    let gateway = config.gateway.as_ref().map(|gateway| {
        format!("chittyid gateway: asks {} at /api/id", safe_url(&gateway.base_url))
    });
    authority.into_iter().chain(gateway).collect()
}
