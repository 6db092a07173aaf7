use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;

use crate::api;
use crate::config::Config;
use crate::server::{Ended, Handle, StartError, Tasks, build};
use crate::session::Handler;

/// Sessions, links and the API as a part of somebody's own application.
///
/// ```no_run
/// use std::net::SocketAddr;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use axum::Router;
/// use mainstay_server::config::{Config, Environment, Flags};
/// use mainstay_server::session::{Handled, Handler, Session};
/// use mainstay_server::{Mount, Raw};
///
/// #[derive(Debug)]
/// struct Shop;
///
/// impl Handler for Shop {
///     fn message(&self, session: &Session, message: Raw) -> Handled {
///         println!("{:?} says {}", session.user(), message.as_str());
///         Handled::Done
///     }
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::load(&Flags::default(), &Environment::new())?;
/// let (mount, routes) = Mount::new(&config, Arc::new(Shop)).await?;
/// let app = Router::new().merge(routes);
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let service = app.into_make_service_with_connect_info::<SocketAddr>();
/// axum::serve(listener, service).await?;
/// mount.shutdown(Duration::from_secs(10)).await;
/// # Ok(()) }
/// ```
///
/// The routes are `/v1/connect`, `/health`, `/metrics` and everything below `/api/v1`. TLS and the
/// listener are the application's: what the configuration says about them is not used. Without
/// credentials in the configuration only this machine is answered, by the addresses that
/// `into_make_service_with_connect_info` gives.
pub struct Mount {
    handle: Handle,
    tasks: Tasks,
    drain: Duration,
}

impl Mount {
    /// Begins to hold links and sessions, and answers the routes to merge into an application.
    ///
    /// # Errors
    ///
    /// [`StartError`], which says who must act.
    pub async fn new(
        config: &Config,
        handler: Arc<dyn Handler>,
    ) -> Result<(Self, Router), StartError> {
        let shared = build(config, handler, None).await?;
        let tasks = Tasks::start(&shared);
        let routes = api::routes(shared.clone());
        let drain = config.sessions.retry.drain;
        Ok((Self { handle: Handle { shared }, tasks, drain }, routes))
    }

    /// A way to reach sessions.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Sends every client away, closes the links and the store, within `deadline`.
    pub async fn shutdown(self, deadline: Duration) -> Ended {
        let drain = self.drain.min(deadline / 2);
        self.tasks.stop(&self.handle.shared, drain, deadline, async {}).await
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount").finish_non_exhaustive()
    }
}
