//! Servers that others wrote, of WebSockets and mail, installed below the target folder for the tests to talk to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::step::{run, succeeds, target_dir};

/// Where the tests look for them; without it, in the target folder that they were built in.
pub(crate) const VARIABLE: &str = "MAINSTAY_TEST_SERVERS";

/// The folder with all of them.
pub(crate) fn folder(root: &Path) -> PathBuf {
    target_dir(root, "test-servers").into()
}

/// Installs what is missing or of another version.
pub(crate) fn missing(root: &Path) -> Result<(), Failure> {
    let folder = folder(root);
    npm(root, &folder.join("npm"))?;
    python(root, &folder.join("python"))
}

/// The packages of `xtask/npm`, as its lock file pins them.
fn npm(root: &Path, folder: &Path) -> Result<(), Failure> {
    let own = root.join("xtask/npm");
    let lock = "package-lock.json";
    if is_installed(&own.join(lock), folder) {
        println!("the servers of xtask/npm are present");
        return Ok(());
    }
    prepare(folder)?;
    for name in ["package.json", lock] {
        fs::copy(own.join(name), folder.join(name)).map_err(|error| unwritten(folder, &error))?;
    }
    let mut command = Command::new("npm");
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    run(&mut command).map_err(|_| unreached("npm ci", "the npm registry"))?;
    installed(&own.join(lock), folder)
}

/// The packages of `xtask/python`, in an environment of their own.
fn python(root: &Path, folder: &Path) -> Result<(), Failure> {
    let wanted = root.join("xtask/python/requirements.txt");
    if is_installed(&wanted, folder) {
        println!("the servers of xtask/python are present");
        return Ok(());
    }
    if !succeeds("python3", &["-c", "import ensurepip, venv"]) {
        let advice = "Python has no `venv`: install the Debian package `python3-venv`";
        return Err(Failure::Environment(advice.into()));
    }
    prepare(folder)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut command = Command::new(folder.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
    run(command.arg(&wanted)).map_err(|_| unreached("pip install", "PyPI"))?;
    installed(&wanted, folder)
}

/// An empty folder.
fn prepare(folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
    }
    fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))
}

const STAMP: &str = "installed";

/// Whether the folder holds what the list says.
fn is_installed(list: &Path, folder: &Path) -> bool {
    let (wanted, found) = (fs::read(list).ok(), fs::read(folder.join(STAMP)).ok());
    wanted.is_some() && wanted == found
}

/// Remembers what was installed, once all of it is.
fn installed(list: &Path, folder: &Path) -> Result<(), Failure> {
    fs::copy(list, folder.join(STAMP)).map(drop).map_err(|error| unwritten(folder, &error))
}

fn unwritten(folder: &Path, error: &std::io::Error) -> Failure {
    Failure::Environment(format!("{} cannot be written: {error}", folder.display()))
}

fn unreached(command: &str, registry: &str) -> Failure {
    Failure::Environment(format!(
        "`{command}` failed, see above: the tests talk to real servers from {registry}, which must \
         be reachable once"
    ))
}
