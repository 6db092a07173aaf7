//! `mainstay config`

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mainstay_server::config::{Config, Flags, PLACES, Problem, Problems};
use serde_json::json;

use super::serve::{environment, setting_json, setting_text};
use crate::args::{ConfigAction, ConfigArgs, SettingArgs};
use crate::exit::{Failure, NOT_OK};
use crate::{logging, out};

/// The commented example.
const EXAMPLE: &str = include_str!("../../../../examples/mainstay.toml");

pub(crate) fn run(args: &ConfigArgs) -> Result<ExitCode, Failure> {
    match &args.action {
        ConfigAction::Init { path, force } => init(path, *force),
        ConfigAction::Check { path, json } => Ok(check(path.as_ref(), *json)),
        ConfigAction::Show { settings, json } => show(settings, *json),
    }
}

fn init(path: &Path, force: bool) -> Result<ExitCode, Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(EXAMPLE.as_bytes()));
    let shown = path.display();
    match written {
        Ok(()) => {
            out::line(&format!("wrote {shown}"));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::usage(format!("{shown} is there already; --force overwrites it")))
        }
        Err(error) => Err(Failure::environment(format!("{shown} cannot be written: {error}"))),
    }
}

/// Reads a configuration and checks what only this program knows too.
fn load(flags: &Flags) -> Result<Config, Problems> {
    let config = Config::load(flags, &environment())?;
    let _checked: chittyid_server::ChittyIdConfig = crate::ids::configured(&config)?;
    match logging::filter(&config.log.level) {
        Ok(_) => Ok(config),
        Err(message) => {
            let file = config.file.clone();
            let problem = Problem { file, line: None, field: "log.level".into(), message };
            Err(Problems { all: vec![problem] })
        }
    }
}

fn check(path: Option<&PathBuf>, json: bool) -> ExitCode {
    let flags = Flags { config: path.cloned(), ..Flags::default() };
    match load(&flags) {
        Ok(config) if json => {
            let file = config.file.as_ref().map(|file| file.display().to_string());
            out::line(&json!({ "ok": true, "file": file, "problems": [] }).to_string());
            ExitCode::SUCCESS
        }
        Ok(config) => {
            let (links, policies) = (config.links.len(), config.policies.len());
            out::line(&match &config.file {
                Some(file) => {
                    format!("{}: ok (links: {links}, policies: {policies})", file.display())
                }
                None => format!("no file (looked for {}): defaults hold", PLACES.join(", ")),
            });
            ExitCode::SUCCESS
        }
        Err(problems) if json => {
            let list: Vec<_> = problems.all.iter().map(problem_json).collect();
            out::line(&json!({ "ok": false, "problems": list }).to_string());
            NOT_OK.into()
        }
        Err(problems) => {
            out::line(&problems.to_string());
            NOT_OK.into()
        }
    }
}

fn problem_json(problem: &Problem) -> serde_json::Value {
    let file = problem.file.as_ref().map(|file| file.display().to_string());
    json!({
        "file": file, "line": problem.line, "field": problem.field, "message": problem.message,
    })
}

fn show(settings: &SettingArgs, json: bool) -> Result<ExitCode, Failure> {
    let config = load(&settings.flags());
    let config =
        config.map_err(|problems| Failure { code: NOT_OK, message: problems.to_string() })?;
    if json {
        let settings: Vec<_> = config.settings.iter().map(setting_json).collect();
        let links: Vec<_> = config
            .links
            .iter()
            .map(|link| {
                json!({
                    "name": link.name, "url": link.target.shown(), "connect": link.connect,
                    "policy": link.policy, "config": link.config,
                })
            })
            .collect();
        let file = config.file.as_ref().map(|file| file.display().to_string());
        let shown = json!({
            "file": file, "settings": settings, "policies": config.policies, "links": links,
        });
        out::line(&shown.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    config.settings.iter().for_each(|setting| out::line(&setting_text(setting)));
    config.policies.keys().for_each(|name| out::line(&format!("policy {name}")));
    for link in &config.links {
        out::line(&format!("link {}: {}", link.name, link.target.shown()));
    }
    Ok(ExitCode::SUCCESS)
}
