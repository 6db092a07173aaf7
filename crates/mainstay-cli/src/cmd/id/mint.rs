//! `mainstay id mint`

use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chittyid_client::{Client, Error, Minted, Request};
use serde_json::{Map, Value, json};

use super::ask;
use crate::args::MintArgs;
use crate::exit::Failure;
use crate::out;

/// Ids in one request to the authority.
const BATCH: u32 = 100;
/// More than this no authority takes, with room for spaces.
const META_MAX: u64 = 1 << 20;
/// The longest wish of an authority that is waited for; by default it gives as many a minute as are
/// in one request.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// How often in a row, without an id in between.
const WAITS_MAX: u32 = 5;

pub(crate) async fn run(args: &MintArgs) -> Result<ExitCode, Failure> {
    let metadata = metadata(args)?;
    let client = ask::client(&args.authority, args.profile)?;
    let request = |key: Option<String>| Request {
        name: args.name.clone(),
        metadata: metadata.clone(),
        idempotency_key: key,
        ..Request::new(args.entity)
    };
    if args.count == 1 {
        let minted = client.mint_with(request(args.idempotency_key.clone())).await;
        let minted = minted.map_err(|error| ask::failed(&error))?;
        show(&minted, args.json).map_err(|error| unread(1, &error))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut done = 0;
    while done < args.count {
        let count = BATCH.min(args.count - done);
        // Each batch is a request of its own, and the same one when all is done again.
        let key = args.idempotency_key.as_ref().map(|key| format!("{key}-{done}"));
        let requests: Vec<Request> = (0..count).map(|_| request(key.clone())).collect();
        let minted = patiently(&client, &requests).await.map_err(|error| {
            let Failure { code, message } = ask::failed(&error);
            let message = format!("{done} of {} were minted, then: {message}", args.count);
            Failure { code, message }
        })?;
        // Nobody mints for a reader who has gone.
        let shown = minted.iter().try_for_each(|one| show(one, args.json));
        done += count;
        shown.map_err(|error| unread(done, &error))?;
        progress(done, args.count);
    }
    Ok(ExitCode::SUCCESS)
}

/// Mints a batch; where the authority has a limit, once it gives more.
#[expect(clippy::wildcard_enum_match_arm, reason = "the client's list grows; the rest is one case")]
async fn patiently(client: &Client, requests: &[Request]) -> Result<Vec<Minted>, Error> {
    let mut waits = 0;
    loop {
        let error = match client.mint_batch(requests).await {
            Ok(minted) => return Ok(minted),
            Err(error) => error,
        };
        // The breaker opens here only when limits were met again and again: all else ends it before.
        let after = match &error {
            Error::RateLimited { retry_after, .. } | Error::CircuitOpen { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        };
        let Some(after) = after.filter(|after| waits < WAITS_MAX && *after <= WAIT_MAX) else {
            return Err(error);
        };
        waits += 1;
        let seconds = after.as_millis().div_ceil(1_000).max(1);
        out::error(&format!("the authority gives no more for {seconds} s: waiting"));
        tokio::time::sleep(after.max(Duration::from_millis(100))).await;
    }
}

/// Ids were minted that nobody has seen.
fn unread(minted: u32, error: &io::Error) -> Failure {
    let message = format!("{minted} were minted, but standard output cannot be written: {error}");
    Failure::environment(message)
}

/// How far it is, where somebody looks and ids go elsewhere.
fn progress(done: u32, count: u32) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() && !out::is_terminal() {
        let end = if done == count { "\n" } else { "" };
        drop(write!(stderr, "\r{done} of {count}{end}"));
    }
}

fn show(minted: &Minted, json: bool) -> io::Result<()> {
    if !json {
        return out::bytes(format!("{}\n", minted.id).as_bytes());
    }
    let line = json!({
        "chittyId": minted.id, "entity": minted.entity, "profile": minted.id.profile(),
        "timestamp": minted.timestamp, "metadata": minted.metadata, "repeated": minted.repeated,
    });
    out::bytes(format!("{line}\n").as_bytes())
}

/// What is kept with the id; none when nothing was said.
fn metadata(args: &MintArgs) -> Result<Option<Value>, Failure> {
    let mut all = match &args.meta_file {
        Some(path) => from_file(path)?,
        None => Map::new(),
    };
    for (key, value) in &args.meta {
        all.insert(key.clone(), value.clone().into());
    }
    Ok(Some(all).filter(|all| !all.is_empty()).map(Value::Object))
}

fn from_file(path: &Path) -> Result<Map<String, Value>, Failure> {
    let shown = path.display();
    let read = if path == Path::new("-") {
        at_most(io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(at_most)
    };
    let text = read
        .map_err(|error| Failure::environment(format!("{shown} cannot be read: {error}")))?
        .ok_or_else(|| Failure::usage(format!("{shown} has more than {META_MAX} bytes")))?;
    match serde_json::from_slice(&text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Failure::usage(format!("{shown} is no JSON object"))),
        Err(error) => Err(Failure::usage(format!("{shown} is no JSON object: {error}"))),
    }
}

/// All that is there; none when that is too much.
fn at_most(from: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = from.take(META_MAX + 1).read_to_end(&mut bytes)?;
    Ok((read as u64 <= META_MAX).then_some(bytes))
}
