//! `mainstay id validate --remote`

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::process::ExitCode;

use chittyid_client::{Client, Verdict};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

use super::ask;
use super::validate::{Check, Found, LINE_MAX, Outcome, go_on, next_line};
use crate::args::ValidateArgs;
use crate::exit::{ENVIRONMENT, Failure, chain, ok_if};

/// Questions on their way at the same time.
const AT_ONCE: usize = 16;

pub(super) async fn run(args: &ValidateArgs) -> Result<ExitCode, Failure> {
    let client = ask::client(&args.authority, args.profile)?;
    let mut asking =
        Asking { client, check: Check::new(args, io::stdout()), waiting: VecDeque::new() };
    let mut has_input = false;
    for id in &args.ids {
        let goes_on = if id != "-" {
            asking.ask(id.clone(), None).await?
        } else if has_input {
            return Err(Failure::usage("standard input can be read once only"));
        } else {
            has_input = true;
            asking.lines().await?
        };
        if !goes_on {
            return Ok(asking.code());
        }
    }
    while let Some(next) = asking.waiting.pop_front() {
        if !asking.tell(next).await? {
            return Ok(asking.code());
        }
    }
    let ended = asking.check.end(has_input || args.ids.len() > 1);
    go_on(ended)?;
    Ok(asking.code())
}

/// Gives each line of standard input away, or why there are no more, as long as somebody takes them.
fn read_lines(to: &mpsc::Sender<io::Result<String>>) {
    let mut line = Vec::with_capacity(LINE_MAX);
    loop {
        let read = match next_line(&mut io::stdin().lock(), &mut line) {
            Ok(None) => return,
            Ok(Some(_)) => Ok(String::from_utf8_lossy(&line).into_owned()),
            Err(error) => Err(error),
        };
        let is_over = read.is_err();
        if to.blocking_send(read).is_err() || is_over {
            return;
        }
    }
}

/// Waits for the answer to the first question; for ever where there is none.
async fn answered(first: Option<&mut Asked>) {
    let Some(Asked { verdict, told, .. }) = first else { return pending().await };
    if told.is_none() {
        *told = Some(verdict.await);
    }
}

/// A question on its way.
struct Asked {
    id: String,
    line: Option<u64>,
    verdict: JoinHandle<Verdict>,
    /// Its answer, once somebody has waited for it.
    told: Option<Result<Verdict, JoinError>>,
}

struct Asking {
    client: Client,
    check: Check<io::Stdout>,
    waiting: VecDeque<Asked>,
}

impl Asking {
    /// Asks about an id, and tells of the first one asked about when enough are on their way. `false`:
    /// nobody reads any more.
    async fn ask(&mut self, id: String, line: Option<u64>) -> Result<bool, Failure> {
        let (client, asked) = (self.client.clone(), id.clone());
        let verdict = tokio::spawn(async move { client.validate(&asked).await });
        self.waiting.push_back(Asked { id, line, verdict, told: None });
        if self.waiting.len() < AT_ONCE {
            return Ok(true);
        }
        match self.waiting.pop_front() {
            Some(first) => self.tell(first).await,
            None => Ok(true),
        }
    }

    /// Every line of standard input. While none comes, what is known by then is told: whoever writes
    /// the lines may wait for the answers.
    async fn lines(&mut self) -> Result<bool, Failure> {
        let (sender, mut lines) = mpsc::channel(AT_ONCE);
        // Reading cannot be interrupted: nobody waits for its end.
        drop(tokio::task::spawn_blocking(move || read_lines(&sender)));
        let mut number = 0;
        loop {
            let read = tokio::select! {
                read = lines.recv() => read,
                () = answered(self.waiting.front_mut()) => {
                    if let Some(first) = self.waiting.pop_front()
                        && !self.tell(first).await?
                    {
                        return Ok(false);
                    }
                    continue;
                }
            };
            let Some(line) = read else { return Ok(true) };
            let id = line.map_err(|error| {
                Failure::environment(format!("standard input cannot be read: {}", chain(&error)))
            })?;
            number += 1;
            if !self.ask(id, Some(number)).await? {
                return Ok(false);
            }
            self.check.progress();
        }
    }

    async fn tell(&mut self, asked: Asked) -> Result<bool, Failure> {
        let Asked { id, line, verdict, told } = asked;
        let verdict = match told {
            Some(verdict) => verdict,
            None => verdict.await,
        };
        let outcome = match verdict {
            Ok(Verdict::Valid { profile, .. }) => {
                Outcome::Valid(profile.map(chittyid::Profile::name))
            }
            Ok(Verdict::Invalid { why }) => Outcome::Invalid(why.to_string()),
            Ok(Verdict::Unverified { why, .. }) => Outcome::Unverified(chain(&*why)),
            Ok(_) | Err(_) => Outcome::Unverified("nobody could be asked".to_owned()),
        };
        go_on(self.check.tell(&Found::Text(&id), line, outcome))
    }

    /// 3 when the authority did not answer about one, 1 when one is not valid.
    fn code(&self) -> ExitCode {
        let seen = self.check.seen;
        if seen.unverified > 0 { ENVIRONMENT.into() } else { ok_if(seen.invalid == 0) }
    }
}
