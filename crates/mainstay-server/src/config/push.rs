use std::time::Duration;

use mainstay::core::config::duration;
use serde::Deserialize;

use super::Environment;
use super::file::File;
use super::links::At;
use super::named::{Names, fit};
use super::place::Document;
use super::problem::Problems;
use super::secret::SHORTEST;
use crate::push::PushSpec;

/// The most jobs a file may name.
const PUSHES_MAX: usize = 1_000;
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);
const LONGEST_PERIOD: Duration = Duration::from_secs(366 * 86_400);

/// `[[push]]`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PushSection {
    name: String,
    #[serde(with = "duration::option")]
    every: Option<Duration>,
    #[serde(with = "duration::option")]
    grace: Option<Duration>,
    token_env: String,
}

/// The jobs of the file, checked.
pub(super) fn build(
    file: &File,
    document: &Document<'_>,
    environment: &Environment,
    problems: &mut Problems,
) -> Vec<PushSpec> {
    if !fit("push", (file.push.len(), PUSHES_MAX), document, problems) {
        return Vec::new();
    }
    let (mut names, mut all) = (Names::of("push"), Vec::new());
    for (index, section) in file.push.iter().enumerate() {
        let at = names.at(document, index, &section.name, problems);
        all.extend(section.spec(&at, environment, problems));
    }
    all
}

impl PushSection {
    fn spec(
        &self,
        at: &At<'_>,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<PushSpec> {
        let fits = |every: &Duration| (SHORTEST_PERIOD..=LONGEST_PERIOD).contains(every);
        let every = self.every.filter(fits);
        if every.is_none() {
            let found = self.every.map_or_else(|| "not said".into(), |every| format!("{every:?}"));
            at.refuse("every", format!("is {found}, allowed: \"1s\" to \"366d\""), problems);
        }
        let grace = self.grace.unwrap_or(Duration::from_secs(300));
        if grace > LONGEST_PERIOD {
            at.refuse("grace", format!("is {grace:?}, allowed: \"0s\" to \"366d\""), problems);
        }
        if self.token_env.is_empty() {
            let message = "is not said, allowed: the variable that holds the job's token";
            at.refuse("token_env", message.into(), problems);
            return None;
        }
        let token = at.variable("token_env", &self.token_env, environment, problems)?;
        let length = token.expose().chars().count();
        // It stands in a path as it is.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if length < SHORTEST || !token.expose().bytes().all(plain) {
            let message = format!(
                "names a token that is not shown, allowed in it: at least {SHORTEST} letters, \
                 digits, hyphens, dots, underscores and tildes"
            );
            at.refuse("token_env", message, problems);
            return None;
        }
        Some(PushSpec { name: self.name.clone(), every: every?, grace, token })
    }
}
