//! Events as they happen, over as many connections as it takes.

use std::process::ExitCode;
use std::time::Duration;

use mainstay::clock;
use mainstay::core::policy::backoff::{Backoff, BackoffConfig};
use mainstay::core::policy::pressure::Pressure;
use reqwest::Response;
use serde_json::Value;

use super::list::words;
use super::server::{Miss, Server};
use super::sse::Events;
use crate::cmd::words::short;
use crate::exit::{Failure, chain};
use crate::out::{self, Tone};
use crate::signals::Stop;

/// The server says something every 15 s, if only that it is there.
const SILENCE: Duration = Duration::from_secs(45);

/// How a connection ended.
enum Ended {
    /// Nobody reads what is written.
    Unread,
    /// It broke.
    Broken(String),
}

pub(super) async fn run(
    server: &Server,
    wanted: [(&'static str, Option<&str>); 3],
    after: Option<u64>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut stop = Stop::listen()?;
    tokio::select! {
        biased;
        _ = stop.next() => Ok(ExitCode::SUCCESS),
        ended = follow(server, wanted, after, json) => ended,
    }
}

async fn follow(
    server: &Server,
    wanted: [(&'static str, Option<&str>); 3],
    after: Option<u64>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let after = after.map(|after| after.to_string());
    let mut query: Vec<(&str, &str)> =
        wanted.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    query.extend(after.as_deref().map(|after| ("after", after)));
    let config = BackoffConfig {
        base: Duration::from_millis(500),
        cap: Duration::from_secs(10),
        ..BackoffConfig::default()
    };
    let backoff = Backoff::new(&config).expect("a schedule that makes sense");
    let (mut last, mut attempt, mut was_there) = (None::<String>, 0, false);
    loop {
        let opened = server.listen(&["sessions", "events"], &query, last.as_deref()).await;
        let why = match opened {
            Ok(response) => {
                if was_there {
                    out::note(Tone::Good, "listening again");
                }
                (was_there, attempt) = (true, 0);
                match hear(response, &mut last, json).await {
                    Ended::Unread => return Ok(ExitCode::SUCCESS),
                    Ended::Broken(why) => why,
                }
            }
            Err(Miss::Refused(failure)) => return Err(failure),
            // One that was never there is no connection that broke.
            Err(Miss::Away(failure)) if !was_there => return Err(failure),
            Err(Miss::Away(failure)) => {
                failure.message.lines().next().unwrap_or_default().to_owned()
            }
        };
        attempt += 1;
        let wait = backoff.delay(attempt, Duration::ZERO, Pressure::NONE, clock::draw());
        out::note(Tone::Poor, &format!("{why}; attempt {attempt} in {}", short(wait)));
        tokio::time::sleep(wait).await;
    }
}

/// Tells what comes over one connection, and keeps in `last` how far that is.
async fn hear(mut response: Response, last: &mut Option<String>, json: bool) -> Ended {
    let mut events = Events::default();
    loop {
        let chunk = match tokio::time::timeout(SILENCE, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Ended::Broken("the server ended the stream".into()),
            Ok(Err(error)) => return Ended::Broken(chain(&error.without_url())),
            Err(_) => return Ended::Broken("nothing comes any more".into()),
        };
        let Ok(complete) = events.take(&chunk) else {
            return Ended::Broken("the server sends something else".into());
        };
        for event in complete {
            if !event.data.is_empty() && !tell(&event.data, json) {
                return Ended::Unread;
            }
            if event.id.is_some() {
                *last = event.id;
            }
        }
    }
}

/// Writes an event; answers whether there may still be a reader.
fn tell(data: &str, json: bool) -> bool {
    let Ok(event) = serde_json::from_str::<Value>(data) else { return true };
    if event["event"] == "events.lost" {
        out::note(Tone::Bad, "some events are not kept any more: the next is a later one");
        return !json || out::line_read(&event.to_string());
    }
    out::line_read(&if json { event.to_string() } else { words(&event) })
}
