//! `mainstay id validate --remote`

use std::collections::VecDeque;
use std::io;
use std::process::ExitCode;

use chittyid_client::{Client, Verdict};
use tokio::task::JoinHandle;

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

/// A question on its way.
struct Asked {
    id: String,
    line: Option<u64>,
    verdict: JoinHandle<Verdict>,
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
        self.waiting.push_back(Asked { id, line, verdict });
        if self.waiting.len() < AT_ONCE {
            return Ok(true);
        }
        match self.waiting.pop_front() {
            Some(first) => self.tell(first).await,
            None => Ok(true),
        }
    }

    /// Every line of standard input.
    async fn lines(&mut self) -> Result<bool, Failure> {
        let (mut line, mut number) = (Vec::with_capacity(LINE_MAX), 0);
        loop {
            // Not for longer than one line: what is asked goes on meanwhile.
            let read = next_line(&mut io::stdin().lock(), &mut line).map_err(|error| {
                Failure::environment(format!("standard input cannot be read: {}", chain(&error)))
            })?;
            if read.is_none() {
                return Ok(true);
            }
            number += 1;
            let id = String::from_utf8_lossy(&line).into_owned();
            if !self.ask(id, Some(number)).await? {
                return Ok(false);
            }
            self.check.progress();
        }
    }

    async fn tell(&mut self, Asked { id, line, verdict }: Asked) -> Result<bool, Failure> {
        let outcome = match verdict.await {
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
