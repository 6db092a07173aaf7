//! `mainstay id bench`: what seed 002 asked to be measured.

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chittyid::{EntityType, Profiles};
use chittyid_client::{Client, Error, Request, Verdict};
use serde_json::{Value, json};
use tokio::net::lookup_host;
use url::Url;

use super::ask::{self, many};
use crate::args::BenchArgs;
use crate::exit::{Failure, ok_if};
use crate::out;

/// Ids that are validated, over and over.
const IDS: usize = 100;
/// How many of ten mixed validations the cache can answer.
const CACHED_OF_TEN: u32 = 7;

pub(crate) async fn run(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let client = ask::client(&args.authority, Profiles::ALL)?;
    is_ours(&client, args).await?;
    client.health().await.map_err(|error| ask::failed(&error))?;
    let (ids, minted) = mint(&client, args).await?;
    let cached = validate(&client, args, &ids, 10).await;
    let uncached = validate(&client, args, &ids, 0).await;
    // What follows alone is in the hit rate.
    client.clear_cache();
    let mixed = validate(&client, args, &ids, CACHED_OF_TEN).await;
    let rows =
        [("minted", &minted), ("cached", &cached), ("uncached", &uncached), ("mixed", &mixed)];
    if args.json {
        let all: serde_json::Map<String, Value> =
            rows.iter().map(|(name, row)| ((*name).to_owned(), row.json())).collect();
        out::line(&Value::Object(all).to_string());
    } else {
        minted.title("Generation", "generations");
        cached.title("Validation", "validations, cached");
        uncached.line("validations, uncached");
        mixed.line("validations, 70% cached");
        out::line(&format!("Cache hit rate: {}", client.cache_stats().hit_rate));
    }
    Ok(ok_if(rows.iter().all(|(_, row)| row.errors.is_empty())))
}

/// Others' machines are measured only by those who say that they may.
async fn is_ours(client: &Client, args: &BenchArgs) -> Result<(), Failure> {
    let unknown = |why: String| Failure::environment(format!("--url: {why}"));
    let url = Url::parse(&client.config().base_url).map_err(|error| unknown(error.to_string()))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    let mut found =
        lookup_host((host.as_str(), port)).await.map_err(|error| unknown(error.to_string()))?;
    let is_here = found.all(|address| IpAddr::is_loopback(&address.ip()));
    if is_here || args.yes_i_own_this {
        return Ok(());
    }
    let why = "is not on this machine; if it is yours, say --yes-i-own-this";
    Err(Failure::usage(format!("{host} {why}")))
}

/// Mints as many as were asked for; answers up to so many of them to validate.
async fn mint(client: &Client, args: &BenchArgs) -> Result<(Vec<String>, Row), Failure> {
    let begun = Instant::now();
    let results = many(args.mints, args.concurrency, |_| {
        let client = client.clone();
        async move {
            let begun = Instant::now();
            let minted = client.mint_with(Request::new(EntityType::Information)).await?;
            Ok::<_, Error>((minted.id.to_string(), begun.elapsed()))
        }
    })
    .await;
    let all = begun.elapsed();
    let mut row = Row::new(all);
    let mut ids = Vec::new();
    for result in results {
        match result {
            Ok((id, took)) => {
                row.took.push(took);
                ids.push(id);
            }
            Err(error) => row.errors.push(error.to_string()),
        }
    }
    row.took.sort_unstable();
    ids.truncate(IDS);
    if ids.is_empty() {
        let why = row.errors.pop().unwrap_or_default();
        return Err(Failure {
            code: crate::exit::NOT_OK,
            message: format!("nothing was minted: {why}"),
        });
    }
    Ok((ids, row))
}

/// Validates as often as was asked for; the cache may answer so many of ten.
async fn validate(client: &Client, args: &BenchArgs, ids: &[String], cached_of_ten: u32) -> Row {
    if cached_of_ten > 0 {
        for id in ids {
            drop(client.validate(id).await);
        }
    }
    let begun = Instant::now();
    let results = many(args.validations, args.concurrency, |number| {
        let client = client.clone();
        let id = ids[number as usize % ids.len()].clone();
        async move {
            // One after another round of all ids, so that each is cached in some rounds.
            let place = (number / u32::try_from(IDS).unwrap_or(1) + number) % 10;
            if place >= cached_of_ten {
                client.forget(&id);
            }
            let begun = Instant::now();
            match client.validate(&id).await {
                Verdict::Valid { .. } => Ok(begun.elapsed()),
                Verdict::Invalid { why } => Err(format!("{id} is not valid: {why}")),
                Verdict::Unverified { why, .. } => Err(format!("{id}: {why}")),
                _ => Err(format!("{id}: nobody could be asked")),
            }
        }
    })
    .await;
    let mut row = Row::new(begun.elapsed());
    for result in results {
        match result {
            Ok(took) => row.took.push(took),
            Err(error) => row.errors.push(error),
        }
    }
    row.took.sort_unstable();
    row
}

/// Calls of one kind.
struct Row {
    /// How long each took that succeeded, in order.
    took: Vec<Duration>,
    all: Duration,
    errors: Vec<String>,
}

impl Row {
    const fn new(all: Duration) -> Self {
        Self { took: Vec::new(), all, errors: Vec::new() }
    }

    fn at(&self, thousandths: usize) -> Duration {
        let place = (self.took.len() * thousandths).div_ceil(1_000).max(1) - 1;
        self.took.get(place).copied().unwrap_or_default()
    }

    fn average(&self) -> Duration {
        let count = u32::try_from(self.took.len()).unwrap_or(u32::MAX).max(1);
        self.took.iter().sum::<Duration>() / count
    }

    fn a_second(&self) -> f64 {
        let count = u32::try_from(self.took.len()).unwrap_or(u32::MAX);
        f64::from(count) / self.all.as_secs_f64().max(1e-9)
    }

    fn title(&self, title: &str, what: &str) {
        let title = format!("ChittyID {title} Benchmark");
        out::line(&title);
        out::line(&"=".repeat(title.len()));
        self.line(what);
        let calls = self.took.len() + self.errors.len();
        let good = 100 * self.took.len() / calls.max(1);
        out::line(&format!("Success rate: {good}%, errors: {}", self.errors.len()));
        if let Some(error) = self.errors.first() {
            out::line(&format!("The first error: {error}"));
        }
    }

    fn line(&self, what: &str) {
        let (all, average) = (Shown(self.all), Shown(self.average()));
        let (half, most) = (Shown(self.at(500)), Shown(self.at(990)));
        let (count, rate) = (self.took.len(), self.a_second());
        out::line(&format!(
            "{count} {what}: {all} (avg {average}, p50 {half}, p99 {most}; {rate:.0} a second)"
        ));
    }

    fn json(&self) -> Value {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        json!({
            "count": self.took.len(), "errors": self.errors.len(), "first_error": self.errors.first(),
            "all_us": us(self.all), "avg_us": us(self.average()), "p50_us": us(self.at(500)),
            "p99_us": us(self.at(990)), "a_second": self.a_second(),
        })
    }
}

/// A time for people.
struct Shown(Duration);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let us = self.0.as_micros();
        match us {
            0..1_000 => write!(f, "{us} µs"),
            1_000..1_000_000 => write!(f, "{:.1} ms", self.0.as_secs_f64() * 1e3),
            _ => write!(f, "{:.1} s", self.0.as_secs_f64()),
        }
    }
}
