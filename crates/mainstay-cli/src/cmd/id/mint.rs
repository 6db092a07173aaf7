//! `mainstay id mint`

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use chittyid_client::{Minted, Request};
use serde_json::{Map, Value, json};

use super::ask;
use crate::args::MintArgs;
use crate::exit::Failure;
use crate::out;

/// Ids in one request to the authority.
const BATCH: u32 = 100;
/// More than this no authority takes, with room for spaces.
const META_MAX: u64 = 1 << 20;

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
        show(&minted.map_err(|error| ask::failed(&error))?, args.json);
        return Ok(ExitCode::SUCCESS);
    }
    let mut done = 0;
    while done < args.count {
        let count = BATCH.min(args.count - done);
        // Each batch is a request of its own, and the same one when all is done again.
        let key = args.idempotency_key.as_ref().map(|key| format!("{key}-{done}"));
        let requests: Vec<Request> = (0..count).map(|_| request(key.clone())).collect();
        match client.mint_batch(&requests).await {
            Ok(minted) => minted.iter().for_each(|one| show(one, args.json)),
            Err(error) => {
                let Failure { code, message } = ask::failed(&error);
                let message = format!("{done} of {} were minted, then: {message}", args.count);
                return Err(Failure { code, message });
            }
        }
        done += count;
        progress(done, args.count);
    }
    Ok(ExitCode::SUCCESS)
}

/// How far it is, where somebody looks and ids go elsewhere.
fn progress(done: u32, count: u32) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() && !out::is_terminal() {
        let end = if done == count { "\n" } else { "" };
        drop(write!(stderr, "\r{done} of {count}{end}"));
    }
}

fn show(minted: &Minted, json: bool) {
    if !json {
        out::line(minted.id.as_str());
        return;
    }
    let line = json!({
        "chittyId": minted.id, "entity": minted.entity, "profile": minted.id.profile(),
        "timestamp": minted.timestamp, "metadata": minted.metadata, "repeated": minted.repeated,
    });
    out::line(&line.to_string());
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
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(META_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(META_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::environment(format!("{shown} cannot be read: {error}")))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Failure::usage(format!("{shown} is no JSON object"))),
        Err(error) => Err(Failure::usage(format!("{shown} is no JSON object: {error}"))),
    }
}
