//! The dashboard: its files are what its source makes, and it works in a real browser.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::step::{cargo, run, target_dir};

pub(crate) const HELP: &str = "\
Checks the types of the dashboard, builds it, compares the result with `dashboard/dist`, and looks at
every page in a real browser, over a real server. The test run does the same.

usage: cargo xtask dashboard

exit code: 0 all is well, 1 `dist` was not what the source makes (it is now), or a page does not work,
3 something is missing on this machine
";

/// Checks types, builds, compares with what is there, and runs the tests in a browser.
pub(crate) fn check(root: &Path) -> Result<(), Failure> {
    let folder = root.join("dashboard");
    packages(&folder)?;
    run(&mut npm(&folder, &["run", "--silent", "check"]))?;
    let before = files(&folder.join("dist"))?;
    run(&mut npm(&folder, &["run", "--silent", "build"]))?;
    let after = files(&folder.join("dist"))?;
    let changed: Vec<_> = after
        .iter()
        .filter(|(path, content)| before.get(*path) != Some(content))
        .map(|(path, _)| path.display().to_string())
        .chain(
            before
                .keys()
                .filter(|path| !after.contains_key(*path))
                .map(|path| format!("{} (not made any more)", path.display())),
        )
        .collect();
    if !changed.is_empty() {
        let text = format!(
            "dashboard/dist was not what its source makes; it is now, and the server must be built \
             again: {}",
            changed.join(", ")
        );
        return Err(Failure::Check(text));
    }
    let binary = ["build", "--workspace", "--all-features", "--locked", "--bin", "mainstay"];
    run(&mut cargo(root, &binary))?;
    let binary = PathBuf::from(target_dir(root, "debug")).join("mainstay");
    run(npm(&folder, &["test", "--silent"]).env("MAINSTAY_BINARY", binary))
}

fn npm(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(folder);
    command
}

/// Installs what the lock file pins, unless that was done.
fn packages(folder: &Path) -> Result<(), Failure> {
    let (lock, stamp) = (folder.join("package-lock.json"), folder.join("node_modules/.installed"));
    let (wanted, found) = (fs::read(&lock).ok(), fs::read(&stamp).ok());
    if wanted.is_some() && wanted == found {
        println!("the packages of the dashboard are present");
        return Ok(());
    }
    run(&mut npm(folder, &["ci", "--ignore-scripts", "--no-audit", "--no-fund"])).map_err(|_| {
        let text = "`npm ci` failed, see above: the dashboard is built with packages of the npm \
                    registry, which must be reachable once";
        Failure::Environment(text.into())
    })?;
    fs::copy(&lock, &stamp).map(drop).map_err(|error| unread(&stamp, &error))
}

/// The files of a folder with their contents.
fn files(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, Failure> {
    let unread = |error| unread(folder, &error);
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        let content = fs::read(&path).map_err(unread)?;
        all.insert(path, content);
    }
    Ok(all)
}

fn unread(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Environment(format!("{}: {error}", path.display()))
}
