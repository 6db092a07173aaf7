//! A collector of OpenTelemetry that others wrote.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::page;
use super::program::Program;
use crate::Failure;
use crate::servers;

const LOG: &str = "collector.log";
/// A trace of somebody's, and what it says of a request.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The collector, writing down all that it is sent.
pub(super) fn start(
    root: &Path,
    folder: &Path,
    (http, grpc): (SocketAddr, SocketAddr),
) -> Result<Program, Failure> {
    servers::missing(root)?;
    let mut collector = Command::new(program(root)?);
    collector.args(["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]);
    collector.args(["--debug-log", "traces", "--debug-log", "metrics"]);
    collector.arg(format!("--otlp-http-endpoint={http}"));
    collector.arg(format!("--otlp-grpc-endpoint={grpc}"));
    Program::start(collector.current_dir(folder), &folder.join(LOG))
}

/// Where Python has put it.
fn program(root: &Path) -> Result<PathBuf, Failure> {
    let lib = servers::folder(root).join("python/lib");
    let versions = fs::read_dir(&lib).into_iter().flatten().flatten();
    let mut programs = versions.map(|one| one.path().join("site-packages/rotel/rotel-agent"));
    programs.find(|program| program.exists()).ok_or_else(|| {
        Failure::Environment(format!("there is no rotel-agent below {}", lib.display()))
    })
}

/// A request of somebody who traces it.
pub(super) fn call(server: SocketAddr) -> Result<(), String> {
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    page::ask(server, "/api/v1/links", &header).map(drop)
}

/// Whether it was sent that request, what the server is called, and its figures.
pub(super) fn heard(folder: &Path) -> Result<(), String> {
    let log = fs::read_to_string(folder.join(LOG)).map_err(|error| error.to_string())?;
    // Lines are aligned by spaces.
    let said: Vec<String> =
        log.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let request = [
        format!("Trace ID : {TRACE}"),
        format!("Parent ID : {CALLER}"),
        "Name : GET /api/v1/links".into(),
        "Kind : SPAN_KIND_SERVER".into(),
    ];
    let at = said.iter().position(|line| *line == request[0]).ok_or("no such trace")?;
    let span = &said[at..said.len().min(at + 5)];
    if let Some(missing) = request.iter().find(|line| !span.contains(line)) {
        return Err(format!("{missing:?} is not in the span: {span:?}"));
    }
    let figures = ["-> service.name: Str(mainstay)", "-> Name: mainstay_sessions_rtt_seconds"];
    let missing = figures.iter().find(|line| !said.iter().any(|said| said == *line));
    missing.map_or(Ok(()), |missing| Err(format!("it was not sent {missing:?}")))
}
