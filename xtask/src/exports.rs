//! What is made for Prometheus and Grafana: rules, their tests, the dashboard's questions, all asked of
//! a real Prometheus that asks a real server.

mod collector;
mod page;
mod program;

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Failure;
use crate::step::{cargo, run, target_dir};
use program::{Folder, Program};

pub(crate) const HELP: &str = "\
Checks the rules in deploy/prometheus and the page /metrics with promtool, and starts a real Prometheus
that asks a real server: every question of the rules and of the Grafana dashboard must be answered, and an
alert must fire when a link goes down; a real Alertmanager must learn of the server's own alert, and of its
end; a real collector of OpenTelemetry must get spans and figures. The test run does the same.

usage: cargo xtask exports

exit code: 0 all is well, 1 something is not, 3 prometheus, promtool, prometheus-alertmanager or openssl
is missing on this machine
";

/// How long anything may take to come about.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs all of it.
pub(crate) fn check(root: &Path) -> Result<(), Failure> {
    let rules = root.join("deploy/prometheus");
    for arguments in [
        &["check", "rules", "--lint-fatal", "mainstay.rules.yml"][..],
        &["check", "config", "prometheus.yml"],
        &["test", "rules", "mainstay.rules.test.yml"],
    ] {
        run(Command::new("promtool").args(arguments).current_dir(&rules))?;
    }
    // As the dashboard's step does, so that nothing is built twice.
    let binary = ["build", "--workspace", "--all-features", "--locked", "--bin", "mainstay"];
    run(&mut cargo(root, &binary))?;
    let folder = Folder::new(&PathBuf::from(target_dir(root, "exports")))?;
    live(root, &folder.path)
}

/// A server with a link that will go down, clients, and a Prometheus.
fn live(root: &Path, folder: &Path) -> Result<(), Failure> {
    let binary = PathBuf::from(target_dir(root, "debug")).join("mainstay");
    let peer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| broken(&error))?;
    let peer_at = peer.local_addr().map_err(|error| broken(&error))?;
    let (server_at, prometheus_at, secure_at, manager_at) = (free()?, free()?, free()?, free()?);
    let _secure = secure(folder, secure_at)?;
    let _manager = manager(folder, manager_at)?;
    let collector_at = (free()?, free()?);
    let _collector = collector::start(root, folder, collector_at)?;
    let file = configuration((peer_at, secure_at), (manager_at, collector_at.0), server_at);
    write(&folder.join("mainstay.toml"), &file)?;
    let mut serve = Command::new(&binary);
    serve.args(["serve", "--config"]).arg(folder.join("mainstay.toml"));
    serve.env("REPORTS", "0123456789-reports");
    let _server = Program::start(serve.current_dir(folder), &folder.join("server.log"))?;
    until("the server answers", || page::get(server_at, "/health").map(|_| ()))?;
    let mut load = Command::new(&binary);
    load.arg("load").arg(format!("ws://{server_at}/v1/connect"));
    load.args(["--connections", "5", "--messages", "5", "--for", "5m"]);
    let _clients = Program::start(load.current_dir(folder), &folder.join("clients.log"))?;
    let mut mint = Command::new(&binary);
    mint.args(["id", "mint", "INFO"]).env("CHITTYID_SERVICE_URL", format!("http://{server_at}"));
    run(&mut mint)?;
    until("the link is up", || {
        let page = page::get(server_at, "/metrics")?;
        has(&page, "\nmainstay_link_up{link=\"falls\"} 1\n")
            .and_then(|()| has(&page, "\nmainstay_sessions{status=\"connected\"} 5\n"))
    })?;
    until("a request that somebody traces", || collector::call(server_at))?;
    until("its span and our figures at the collector", || collector::heard(folder))?;
    page::lint(&page::get(server_at, "/metrics").map_err(Failure::Check)?)?;

    let config = prometheus_files(root, folder, server_at)?;
    let mut prometheus = Command::new("prometheus");
    prometheus.arg(format!("--config.file={}", config.display()));
    prometheus.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    prometheus.arg(format!("--web.listen-address={prometheus_at}"));
    let _prometheus =
        Program::start(prometheus.current_dir(folder), &folder.join("prometheus.log"))?;
    until("Prometheus reads the page", || {
        some(&page::query(prometheus_at, "up{job=\"mainstay\"} == 1")?)
    })?;
    questions(root, prometheus_at)?;
    let alert = "ALERTS{alertname=\"MainstayLinkDown\",link=\"falls\",alertstate=\"firing\"}";
    let fires = page::query(prometheus_at, alert).map_err(Failure::Check)?;
    if !fires.is_empty() {
        return Err(Failure::Check("an alert fires about a link that is up".into()));
    }
    drop(peer);
    until("an alert about the link that went down", || some(&page::query(prometheus_at, alert)?))?;
    until("the server's own alert in Alertmanager", || {
        if managed(manager_at)? { Ok(()) } else { Err("it is not there".into()) }
    })?;
    let peer = TcpListener::bind(peer_at).map_err(|error| broken(&error))?;
    until(
        "its end there",
        || if managed(manager_at)? { Err("it goes on".into()) } else { Ok(()) },
    )?;
    drop(peer);
    Ok(())
}

/// An Alertmanager that tells nobody.
fn manager(folder: &Path, at: SocketAddr) -> Result<Program, Failure> {
    let config = folder.join("alertmanager.yml");
    write(&config, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n")?;
    let mut manager = Command::new("prometheus-alertmanager");
    manager.arg(format!("--config.file={}", config.display()));
    manager.arg(format!("--storage.path={}", folder.join("managed").display()));
    manager.arg(format!("--web.listen-address={at}"));
    // It looks for no others.
    manager.arg("--cluster.listen-address=");
    Program::start(manager.current_dir(folder), &folder.join("alertmanager.log"))
}

/// Whether the Alertmanager there knows that the link is down.
fn managed(at: SocketAddr) -> Result<bool, String> {
    let answer = page::get(at, "/api/v2/alerts?active=true")?;
    let alerts: Vec<Value> = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    let is_it = |alert: &Value| {
        alert["labels"]["alertname"] == "CONNECTION_RECONNECTING"
            && alert["labels"]["link"] == "falls"
            && alert["annotations"]["severity"] == "HIGH"
    };
    Ok(alerts.iter().any(is_it))
}

/// Asks everything that the dashboard and the rules ask.
fn questions(root: &Path, prometheus: SocketAddr) -> Result<(), Failure> {
    let asked = page::panels(&root.join("deploy/grafana/mainstay.json"))?;
    let rules = page::rules(prometheus)?;
    let names: BTreeSet<String> =
        asked.iter().chain(&rules).flat_map(|question| page::families(question)).collect();
    until("every metric that is asked for is there", || {
        let missing: Vec<&String> = names
            .iter()
            .filter(|name| !page::query(prometheus, name).is_ok_and(|found| !found.is_empty()))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("not there: {missing:?}")) }
    })?;
    for question in &rules {
        page::query(prometheus, question).map_err(Failure::Check)?;
    }
    for question in &asked {
        until(question, || some(&page::query(prometheus, question)?))?;
    }
    println!(
        "{} questions of the dashboard, {} of the rules, {} metrics: all are answered",
        asked.len(),
        rules.len(),
        names.len()
    );
    Ok(())
}

/// A peer with a certificate of its own.
fn secure(folder: &Path, at: SocketAddr) -> Result<Program, Failure> {
    // What it has by default makes an authority of it, which no server may be.
    let own = "[req]\ndistinguished_name = dn\n[dn]\n[own]\nsubjectAltName = DNS:localhost\n";
    write(&folder.join("peer.cnf"), own)?;
    let mut sign = Command::new("openssl");
    sign.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    sign.args(["-subj", "/CN=localhost", "-config", "peer.cnf", "-extensions", "own"]);
    sign.args(["-days", "90", "-keyout", "peer.key", "-out", "peer.pem"]);
    run(sign.current_dir(folder))?;
    let mut serve = Command::new("openssl");
    serve.args(["s_server", "-quiet", "-cert", "peer.pem", "-key", "peer.key", "-accept"]);
    serve.arg(at.to_string());
    Program::start(serve.current_dir(folder), &folder.join("peer.log"))
}

fn configuration(
    (peer, secure): (SocketAddr, SocketAddr),
    (manager, collector): (SocketAddr, SocketAddr),
    server: SocketAddr,
) -> String {
    format!(
        "[server]\nlisten = \"{server}\"\ndata_dir = \"store\"\n\
         [otlp]\nendpoint = \"http://{collector}\"\ninterval = \"1s\"\nbatch_within = \"1s\"\n\
         [chittyid.authority]\n[chittyid.gateway]\n\
         [monitor.connectivity]\ntargets = [\"{server}\"]\n\
         [[push]]\nname = \"backup\"\nevery = \"1h\"\ntoken_env = \"REPORTS\"\n\
         [[link]]\nname = \"signed\"\nurl = \"tls://localhost:{}\"\nca_file = \"peer.pem\"\n\
         [sessions]\nmessages = \"echo\"\n\
         [policy.axon]\n\
         [[link]]\nname = \"falls\"\nurl = \"tcp://{peer}\"\npolicy = \"axon\"\n\
         health = {{ interval = \"1s\", timeout = \"1s\" }}\n\
         [[receiver]]\nname = \"ops\"\nkind = \"alertmanager\"\nurl = \"http://{manager}\"\n\
         [notify]\ngroup_wait = \"1s\"\ngroup_interval = \"1s\"\n\
         [[rule]]\nid = \"CONNECTION_RECONNECTING\"\nkeep_firing_for = \"0s\"\n\
         high = {{ enter = 1, exit = 0.001 }}\n",
        secure.port()
    )
}

/// The files of `deploy/prometheus`, for this server, with clocks that run fast.
fn prometheus_files(root: &Path, folder: &Path, server: SocketAddr) -> Result<PathBuf, Failure> {
    let own = root.join("deploy/prometheus");
    let config = read(&own.join("prometheus.yml"))?
        .replace("127.0.0.1:7180", &server.to_string())
        .replace("interval: 15s", "interval: 1s");
    let rules: Vec<String> = read(&own.join("mainstay.rules.yml"))?
        .lines()
        .map(|line| match line.split_once("for: ") {
            Some((before, _)) if before.trim().is_empty() => format!("{before}for: 1s"),
            Some(_) | None => line.to_owned(),
        })
        .collect();
    write(&folder.join("mainstay.rules.yml"), &rules.join("\n"))?;
    let path = folder.join("prometheus.yml");
    write(&path, &config)?;
    Ok(path)
}

/// Tries until it goes well, with what was wrong the last time.
fn until(what: &str, mut good: impl FnMut() -> Result<(), String>) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        let Err(why) = good() else { return Ok(()) };
        if start.elapsed() > PATIENCE {
            return Err(Failure::Check(format!("this did not come about: {what} ({why})")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn some(found: &[Value]) -> Result<(), String> {
    if found.is_empty() { Err("nothing is answered".into()) } else { Ok(()) }
}

fn has(page: &str, line: &str) -> Result<(), String> {
    if page.contains(line) { Ok(()) } else { Err(format!("there is no {}", line.trim())) }
}

/// An address that nobody has at the moment.
fn free() -> Result<SocketAddr, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| broken(&error))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::Environment(format!("{}: {error}", path.display())))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)
        .map_err(|error| Failure::Environment(format!("{}: {error}", path.display())))
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::Environment(format!("the loopback interface: {error}"))
}
