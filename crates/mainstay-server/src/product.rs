//! What is built on top of the server: its own routes, on the server's store and credentials.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use mainstay::monitor::Sources;
use mainstay_store::{Store, Writer};

use crate::accept::source;
use crate::api::guard;
use crate::auth::Identity;
use crate::state::Shared;

/// The largest body that a product is given, unless its routes say otherwise.
const BODY_MAX: usize = 2 << 20;

/// What a product stands on.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Where the server keeps its sessions. A product has [areas](mainstay_store::Area) of its own.
    pub store: Arc<dyn Store>,
    /// What commits to it. The server closes it when it stops.
    pub writer: Arc<Writer>,
    /// Where the server listens, with the port it got.
    pub address: SocketAddr,
    /// Where a product says what it measures, for rules to judge.
    pub sources: Sources,
}

/// Routes beside the server's own: made once the server has its store and its address, answered
/// while it runs.
///
/// Each request that reaches them has a [`Caller`] in its extensions. Requests of foreign pages, and
/// of other machines where nobody must show credentials, do not reach them; whether somebody must
/// show credentials otherwise, each route decides. An answer of 401 counts as a failed attempt of
/// its address: too many of them, and it is told to wait. Up to 256 requests are answered at the
/// same time, beside as many of the server's own, and each within 30 s.
///
/// Paths must not be those of the server: [`Server::run`](crate::Server::run) panics where two are.
pub struct Product(Make);

type Make = Box<dyn FnOnce(Ground) -> Result<Router, ProductError> + Send>;

/// Why a product could not start.
pub type ProductError = Box<dyn Error + Send + Sync>;

/// Who sent a request, as far as the server knows.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose credentials were shown; none when none were, where some must be, or when they do not
    /// hold.
    pub identity: Option<Identity>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
}

impl Product {
    /// Routes that `make` makes.
    pub fn new(make: impl FnOnce(Ground) -> Result<Router, ProductError> + Send + 'static) -> Self {
        Self(Box::new(make))
    }

    pub(crate) fn open(self, ground: Ground) -> Result<Router, ProductError> {
        (self.0)(ground)
    }
}

impl fmt::Debug for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Product").finish_non_exhaustive()
    }
}

/// Puts around a product's routes what is around the server's own.
pub(crate) fn guarded(routes: Router, shared: &Arc<Shared>) -> Router {
    routes
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(shared.clone(), guard::product_in_time))
        .layer(from_fn_with_state(shared.clone(), known))
}

/// Says who asks, and makes whoever keeps guessing wait.
async fn known(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    if let Err(error) = guard::trusted(&shared, &request) {
        return error.into_response();
    }
    let address = source(request.extensions());
    let shows = guard::shows(request.headers());
    let identity = guard::who(&shared, request.headers()).ok();
    request.extensions_mut().insert(Caller { identity, address });
    let response = next.run(request).await;
    if response.status() == axum::http::StatusCode::UNAUTHORIZED
        && shows
        && let Some(from) = address
        && let Err(error) = guard::failed(&shared, from)
    {
        return error.into_response();
    }
    response
}
