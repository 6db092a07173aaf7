//! `mainstay sessions`

mod act;
pub(super) mod columns;
mod list;
pub(super) mod server;
mod sse;
mod watch;

use std::process::ExitCode;

use crate::args::{SessionsAction, SessionsArgs};
use crate::exit::Failure;
use server::Server;

pub(crate) async fn run(args: &SessionsArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        SessionsAction::List { filter, limit, server } => {
            list::sessions(&Server::new(server)?, filter, *limit, server.json).await
        }
        SessionsAction::Show { session, server } => {
            list::show(&Server::new(server)?, session, server.json).await
        }
        SessionsAction::History { session, from, to, limit, server } => {
            let times = [("from", from.as_deref()), ("to", to.as_deref())];
            let session = session.as_deref();
            list::history(&Server::new(server)?, session, times, *limit, server.json).await
        }
        SessionsAction::Kick(args) => act::kick(&Server::new(&args.server)?, args).await,
        SessionsAction::Send { session, message, text, untracked, server } => {
            let message = act::message(message, *text)?;
            let json = server.json;
            act::send(&Server::new(server)?, session, message, *untracked, json).await
        }
        SessionsAction::Watch { user, organisation, session, after, server } => {
            let wanted = [
                ("user", user.as_deref()),
                ("organisation", organisation.as_deref()),
                ("session", session.as_deref()),
            ];
            watch::run(&Server::new(server)?, wanted, *after, server.json).await
        }
    }
}
