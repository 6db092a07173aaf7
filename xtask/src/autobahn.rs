//! `cargo xtask autobahn`: the WebSocket protocol test suite against our link.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;
use crate::step::{self, cargo, succeeds, target_dir};

pub(crate) const HELP: &str = "\
Runs the Autobahn test suite against the WebSocket link and shows what it found.

usage: cargo xtask autobahn

The suite needs Python 2.7: either its program `wstest` is on the path, or a `python2.7` with
pip, with which it is installed below target/. It is not part of `cargo xtask test`.
exit code: 0 nothing failed, 1 something did, 3 there is no Python 2.7 here
";

/// Packages of a namespace are found only in a folder of packages.
const START: &str = "import os, site; site.addsitedir(os.environ['SUITE']); \
                     from autobahntestsuite.wstest import run; run()";
const SUITE: &str = "autobahntestsuite==0.8.2";

/// The server of the suite; ended when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let mut command = wstest(root)?;
    let folder = PathBuf::from(target_dir(root, "autobahn"));
    let broken = |what: &str| Failure::Environment(format!("{what} in {}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(|_| broken("no folder can be made"))?;
    let port = free_port().ok_or_else(|| broken("no port is free for the suite"))?;
    let url = format!("ws://127.0.0.1:{port}");
    let spec = format!(
        "{{\"url\": \"{url}\", \"outdir\": \"reports\", \"cases\": [\"*\"], \
         \"exclude-cases\": [\"12.*\", \"13.*\"], \"exclude-agent-cases\": {{}}}}"
    );
    std::fs::write(folder.join("server.json"), spec).map_err(|_| broken("no file can be made"))?;
    command.args(["-m", "fuzzingserver", "-s", "server.json"]).current_dir(&folder);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let server = Server(child.map_err(|_| broken("the suite does not start"))?);
    wait_for(port).ok_or_else(|| broken("the suite does not listen"))?;
    let example = ["run", "--release", "-p", "mainstay", "--example", "autobahn", "--"];
    let ran = step::run(cargo(root, &example).arg(&url));
    drop(server);
    println!("the reports are in {}", folder.join("reports").display());
    ran
}

/// The command of the suite, installed if need be.
fn wstest(root: &Path) -> Result<Command, Failure> {
    if succeeds("wstest", &["--help"]) {
        return Ok(Command::new("wstest"));
    }
    let python = python().ok_or_else(|| {
        Failure::Environment(
            "the Autobahn suite needs Python 2.7, and there is none here: nothing was tested. \
             Put its `wstest` on the path, or install a `python2.7` with pip"
                .into(),
        )
    })?;
    let home = target_dir(root, "autobahn-python");
    if !Path::new(&home).join("autobahntestsuite").is_dir() {
        let install = ["-m", "pip", "install", "--quiet", "--target", &home, SUITE];
        step::run(Command::new(&python).args(install))?;
    }
    let mut command = Command::new(python);
    command.args(["-c", START]).env("SUITE", home);
    Ok(command)
}

/// A Python 2.7 that runs: on the path, or among those of pyenv.
fn python() -> Option<PathBuf> {
    let works = |path: &PathBuf| succeeds(&path.display().to_string(), &["-c", ""]);
    let on_path = PathBuf::from("python2.7");
    if works(&on_path) {
        return Some(on_path);
    }
    let root = Command::new("pyenv").arg("root").output().ok()?;
    let versions = Path::new(String::from_utf8(root.stdout).ok()?.trim()).join("versions");
    let folders = std::fs::read_dir(versions).ok()?.flatten();
    folders.map(|folder| folder.path().join("bin/python2.7")).find(works)
}

fn free_port() -> Option<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
    listener.local_addr().ok().map(|address| address.port())
}

fn wait_for(port: u16) -> Option<()> {
    for _ in 0..300 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}
