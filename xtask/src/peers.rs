//! The workspaces that know other libraries: `bench/` and `conformance/`.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::step::{cargo, run, target_dir};

pub(crate) const BENCH_HELP: &str = "\
Measures ours, its peers and the bounds of the machine in one run, and prints the medians.

usage: cargo xtask bench [--write] [part]

  part      only the sections whose name contains this text
  --write   also write docs/performance.md (only without a part)

exit code: 0 all targets met, 1 a target missed
";

pub(crate) const CONFORMANCE_HELP: &str = "\
Asks the same promises of Mainstay and of the libraries beside it, and prints who keeps which.

usage: cargo xtask conformance [--write] [--ours]

  --ours    only ask Mainstay
  --write   also write docs/conformance.md

exit code: 0 Mainstay keeps all, 1 it does not
";

pub(crate) const FLAP_HELP: &str = "\
Counts how often real clients dial a real server that takes connections and drops them, in 20 s.

usage: cargo xtask flap [--ours]

  --ours    only our link

`cargo xtask conformance --write` writes the table into docs/conformance.md.
exit code: 0 ours makes at most 12 attempts everywhere, 1 it does not
";

/// The workspaces beside the main one.
pub(crate) const WORKSPACES: [&str; 2] = ["bench", "conformance"];

pub(crate) fn bench(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    is_locked(root, "bench")?;
    run(&mut program(root, "bench", &["run", "--release"], arguments))
}

pub(crate) fn conformance(root: &Path, arguments: &[String]) -> Result<(), Failure> {
    is_locked(root, "conformance")?;
    run(&mut program(root, "conformance", &["run", "--release"], arguments))
}

pub(crate) fn flap(root: &Path, mut arguments: Vec<String>) -> Result<(), Failure> {
    is_locked(root, "conformance")?;
    arguments.insert(0, "flap".into());
    run(&mut program(root, "conformance", &["run", "--release"], &arguments))
}

/// Checks that a workspace builds without a warning.
pub(crate) fn check(root: &Path, workspace: &str) -> Result<(), Failure> {
    is_locked(root, workspace)?;
    let lint = ["--all-targets", "--", "-D", "warnings"].map(String::from);
    let manifest = manifest(workspace);
    run(&mut cargo(root, &["fmt", "--manifest-path", &manifest, "--check"]))?;
    let mut command = cargo(root, &["clippy", "--quiet", "--locked", "--manifest-path", &manifest]);
    run(command.arg("--target-dir").arg(target_dir(root, "peers")).args(lint))
}

/// Whether the workspace's lock file knows our crates' present dependencies.
fn is_locked(root: &Path, workspace: &str) -> Result<(), Failure> {
    let manifest = manifest(workspace);
    let tree = ["tree", "--quiet", "--locked", "--manifest-path", &manifest];
    let output = cargo(root, &tree).output();
    if output.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(Failure::Check(format!(
        "{workspace}/Cargo.lock is behind our own dependencies: run `cargo update --workspace \
         --manifest-path {manifest}` and commit it"
    )))
}

fn program(root: &Path, workspace: &str, verb: &[&str], arguments: &[String]) -> Command {
    let mut command = cargo(root, verb);
    command.args(["--quiet", "--locked", "--manifest-path", &manifest(workspace)]);
    command.arg("--target-dir").arg(target_dir(root, "peers")).arg("--").args(arguments);
    command
}

fn manifest(workspace: &str) -> String {
    format!("{workspace}/Cargo.toml")
}
