//! A room in which everybody hears what everybody says, inside an application of its own.
//!
//! Run it, then connect with any client of `mainstay.v1`:
//!
//! ```sh
//! cargo run -p mainstay-server --example room
//! ```

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use mainstay_server::config::{Config, Environment, Flags};
use mainstay_server::registry::{Event, EventKind, SessionId};
use mainstay_server::session::{Handled, Handler, Session};
use mainstay_server::{Handle, Mount, Raw};

/// Who is in the room.
#[derive(Debug, Default)]
struct Room {
    here: Mutex<HashSet<SessionId>>,
    server: OnceLock<Handle>,
}

impl Handler for Room {
    fn message(&self, _: &Session, message: Raw) -> Handled {
        let Some(server) = self.server.get() else { return Handled::Done };
        let here = self.here.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for session in here.into_iter().filter_map(|session| server.session(session)) {
            // Whoever is away for a moment hears it later; whoever does not listen misses it.
            let _number: Result<u64, _> = session.send(&message);
        }
        Handled::Done
    }

    /// The end of a session is told once, when its client is gone for certain.
    fn event(&self, event: &Arc<Event>) {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(event.kind, EventKind::Registered) {
            here.insert(event.session);
        } else if matches!(event.kind, EventKind::Gone { .. }) {
            here.remove(&event.session);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(&Flags::default(), &Environment::new())?;
    let room = Arc::new(Room::default());
    let (mount, routes) = Mount::new(&config, room.clone()).await?;
    drop(room.server.set(mount.handle()));
    let app = Router::new().route("/", get(|| async { "a room" })).merge(routes);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:7180").await?;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    mount.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
