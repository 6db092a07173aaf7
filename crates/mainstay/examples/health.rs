//! Watches an HTTP service, and says at a glance how it is and what to see to:
//! `cargo run --example health -- http://127.0.0.1:8080/`. The first alert is acknowledged at once.

use std::sync::Arc;
use std::time::Duration;

use mainstay::link::{
    HttpConfig, HttpTransport, LinkConfig, LinkManager, LinkOverrides, ManagerConfig,
};
use mainstay::monitor::{Monitor, MonitorConfig, Watched};
use tokio::time::{MissedTickBehavior, interval};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "http://127.0.0.1:8080/".into());
    let mut http = HttpConfig::new(url);
    http.health_path = "/".into();
    let mut config = LinkConfig::default();
    config.health.interval = Duration::from_secs(2);
    config.health.timeout = Duration::from_secs(1);
    let links =
        Arc::new(LinkManager::new(ManagerConfig { link: config, ..ManagerConfig::default() })?);
    links.add("service", LinkOverrides::default(), HttpTransport::new(http)?)?.begin();

    let watched = Watched { links: Some(links.clone()), ..Watched::default() };
    let monitor = Monitor::start(watched, MonitorConfig::default())?;
    let mut happenings = monitor.subscribe();
    let mut ticks = interval(Duration::from_secs(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => println!("{}", monitor.summary().sentence),
            happening = happenings.recv() => {
                let happening = happening?;
                println!("{} {}: {}", happening.rule, happening.what, happening.summary);
                if happening.what == "fired" {
                    monitor.acknowledge(happening.id, "example", "seen")?;
                }
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    links.shutdown().await;
    Ok(())
}
