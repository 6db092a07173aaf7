//! `mainstay serve`

use std::process::ExitCode;

use chittyid_server::ChittyIdConfig;
use mainstay_server::config::{Config, Environment, Flags, LogFormat, PLACES, Problems, Setting};
use mainstay_server::{Ended, Handle, Server};
use serde_json::json;

use crate::args::ServeArgs;
use crate::exit::{Failure, NOT_OK, chain};
use crate::exported::Exported;
use crate::files::Files;
use crate::signals::{self, Stop};
use crate::{ids, out};

pub(crate) async fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    serve(args, ids::configured).await
}

/// The same with an authority, also where the configuration does not name one.
pub(crate) async fn with_authority(args: &ServeArgs) -> Result<ExitCode, Failure> {
    serve(args, ids::with_authority).await
}

/// What the configuration says about ids.
type Ids = fn(&Config) -> Result<ChittyIdConfig, Problems>;

async fn serve(args: &ServeArgs, read_ids: Ids) -> Result<ExitCode, Failure> {
    let flags = args.settings.flags();
    let config = Config::load(&flags, &environment()).map_err(refused)?;
    let ids = read_ids(&config).map_err(refused)?;
    let exported = Exported::start(&config)?;
    // Heard before anything is held, so that no signal can end the process by surprise.
    let (mut stop, mut hangup) = (Stop::listen()?, signals::hangup()?);
    let mut files = Files::default();
    files.follow(&config);
    let server = match ids::product(ids.clone()) {
        Some(product) => Server::with_product(&config, product).await,
        None => Server::bind(&config).await,
    };
    let server = server.map_err(|error| Failure::environment(chain(&error)))?;
    announce(&config, &ids, &server);
    let handle = server.handle();
    let reloading = tokio::spawn(async move {
        let mut before = config;
        loop {
            tokio::select! {
                hung_up = hangup.recv() => if hung_up.is_none() { return },
                () = files.changed() => tracing::info!("a file of the configuration has changed"),
            }
            before = reload(&handle, &flags, before, read_ids).await;
            files.follow(&before);
        }
    });
    let asked = async move {
        let number = stop.next().await;
        tracing::info!(signal = number, "stopping; a second signal ends it at once");
        stop.exit_at_next();
    };
    let ended = server.run(asked).await;
    reloading.abort();
    exported.stop().await;
    match ended {
        Ended::InGoodOrder => {
            tracing::info!("stopped in good order");
            Ok(ExitCode::SUCCESS)
        }
        Ended::OutOfTime => {
            tracing::warn!("stopped at the shutdown deadline, before everything was closed");
            Ok(NOT_OK.into())
        }
    }
}

/// The environment, as far as it is text.
pub(crate) fn environment() -> Environment {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

fn refused(problems: Problems) -> Failure {
    Failure::usage(format!("the configuration makes no sense\n{problems}"))
}

/// Says where it is, where its data goes, and where each setting was taken from.
fn announce(config: &Config, ids: &ChittyIdConfig, server: &Server) {
    let products = ids::announced(ids);
    let address = format!("http://{}", server.address());
    let data = config.server.data_dir.display().to_string();
    let file = config.file.as_ref().map(|file| file.display().to_string());
    if config.log.format == LogFormat::Json {
        let settings: Vec<_> = config.settings.iter().map(setting_json).collect();
        let links: Vec<_> = config.links.iter().map(|link| &link.name).collect();
        let line = json!({
            "event": "server.started", "version": env!("CARGO_PKG_VERSION"), "address": address,
            "data_dir": data, "config": file, "settings": settings, "links": links,
            "products": products,
        });
        out::line(&line.to_string());
        return;
    }
    out::line(&format!("mainstay {} listens on {address}", env!("CARGO_PKG_VERSION")));
    out::line(&format!("data folder: {data}"));
    out::line(&match file {
        Some(file) => format!("configuration: {file}"),
        None => format!("configuration: none (looked for {})", PLACES.join(", ")),
    });
    for setting in &config.settings {
        out::line(&setting_text(setting));
    }
    for link in &config.links {
        let target = link.target.shown();
        out::line(&format!("link {}: {target}", link.name));
    }
    products.iter().for_each(|product| out::line(product));
}

/// A setting as text, with its origin.
pub(crate) fn setting_text(setting: &Setting) -> String {
    format!("{} = {} ({})", setting.name, setting.value, setting.origin)
}

/// A setting as JSON, with its origin.
pub(crate) fn setting_json(setting: &Setting) -> serde_json::Value {
    json!({
        "name": setting.name, "value": setting.value, "origin": setting.origin.to_string(),
    })
}

/// Reads the configuration again and puts it in force, or keeps the old one; answers what is in
/// force.
async fn reload(handle: &Handle, flags: &Flags, before: Config, read_ids: Ids) -> Config {
    let read = Config::load(flags, &environment());
    let read = read.and_then(|config| read_ids(&config).map(|ids| (config, Some(ids))));
    let (config, ids) = match read {
        Ok(read) => read,
        Err(problems) => {
            for problem in &problems.all {
                tracing::error!(%problem, "the configuration makes no sense: the old one stays");
            }
            handle.reload_failed();
            return before;
        }
    };
    for (old, new) in before.settings.iter().zip(&config.settings) {
        if old.value != new.value && new.name != "server.token" {
            let (name, value) = (new.name, &new.value);
            tracing::warn!(name, value, "this setting changes with a restart only");
        }
    }
    let sections = [
        ("sessions", before.sessions != config.sessions),
        ("store", before.store != config.store),
        ("webhook", before.webhooks != config.webhooks),
        ("otlp", before.otlp != config.otlp),
        ("chittyid", read_ids(&before).ok() != ids),
    ];
    for (section, _) in sections.iter().filter(|(_, changed)| *changed) {
        tracing::warn!(section, "this section changes with a restart only");
    }
    match handle.reload(&config).await {
        Ok(applied) => {
            tracing::info!(%applied, "the configuration was read again");
            config
        }
        Err(error) => {
            tracing::error!(error = chain(&error), "the configuration was not put in force");
            before
        }
    }
}
