//! The ChittyID products on the server.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use chittyid_server::{
    Authority, AuthorityConfig, Caller, ChittyIdConfig, authority_routes, key_hash,
};
use mainstay_server::config::{Config, Problems};
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
    if let Some(authority) = &chittyid.authority {
        authority.check().map_err(|error| config.refused("chittyid.authority", &error))?;
    }
    Ok(chittyid)
}

/// The products of that configuration; none when it has none.
pub(crate) fn product(config: ChittyIdConfig) -> Option<Product> {
    let authority = config.authority?;
    Some(Product::new(move |ground| routes(authority, ground)))
}

fn routes(config: AuthorityConfig, ground: Ground) -> Result<axum::Router, ProductError> {
    let Ground { store, writer, .. } = ground;
    let authority = Authority::new(config, store, writer)?;
    Ok(authority_routes(Arc::new(authority)).layer(from_fn(known)))
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
    authority.into_iter().collect()
}
