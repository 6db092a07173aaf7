//! `cargo xtask test`: every check, cheap ones first.

use std::path::Path;

use crate::step::{Steps, cargo, run, succeeds, target_dir};
use crate::{Failure, dashboard, exports, install, peers, servers, tidy};

pub(crate) const HELP: &str = "\
Runs every check of this repository and stops at the first that fails.

usage: cargo xtask test

Installs Debian packages that the tests need when they are missing and it may, and servers from npm
and PyPI into the target folder; asks nothing.
exit code: 0 all passed, 1 a check failed, 3 something is missing on this machine
";

pub(crate) fn all(root: &Path) -> Result<(), Failure> {
    let mut steps = Steps::new(root, 15);
    steps.step("what the machine must have", install::missing)?;
    steps.step("format", |root| run(&mut cargo(root, &["fmt", "--all", "--check"])))?;
    steps.step("tidy", tidy::run)?;
    steps.step("clippy", |root| {
        let lint = ["clippy", "--workspace", "--all-targets", "--all-features", "--locked"];
        run(cargo(root, &lint).args(["--", "-D", "warnings"]))
    })?;
    steps.step("tests", |root| tests(root, &["--workspace", "--all-features"]))?;
    steps.step("dashboard", dashboard::check)?;
    steps.step("exports to Prometheus and Grafana", exports::check)?;
    steps.step("documentation tests", |root| {
        run(&mut cargo(root, &["test", "--doc", "--workspace", "--all-features", "--locked"]))
    })?;
    steps.step("floor 0 without serde", |root| {
        tests(root, &["-p", "mainstay-core", "-p", "chittyid"])
    })?;
    steps.step("mainstay feature by feature", one_by_one)?;
    steps.step("the command without OpenTelemetry", plain_command)?;
    steps.step("loom models", loom)?;
    steps.step("documentation", |root| {
        let doc = ["doc", "--workspace", "--no-deps", "--all-features", "--locked"];
        run(cargo(root, &doc).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    steps.step("bench and conformance build", |root| {
        peers::WORKSPACES.iter().try_for_each(|workspace| peers::check(root, workspace))
    })?;
    steps.step("conformance of ours", |root| peers::conformance(root, &["--ours".into()]))?;
    steps.summary();
    Ok(())
}

/// The tests of these packages, with nextest where it is installed.
fn tests(root: &Path, packages: &[&str]) -> Result<(), Failure> {
    let runner: &[&str] = if succeeds("cargo", &["nextest", "--version"]) {
        &["nextest", "run", "--locked", "--no-fail-fast"]
    } else {
        &["test", "--locked", "--lib", "--bins", "--tests", "--examples"]
    };
    run(cargo(root, runner).args(packages).env(servers::VARIABLE, servers::folder(root)))
}

fn loom(root: &Path) -> Result<(), Failure> {
    let mut command = cargo(root, &["test", "-p", "mainstay-core", "--release", "--test", "loom"]);
    command.arg("--locked").arg("--target-dir").arg(target_dir(root, "loom"));
    run(command.env("RUSTFLAGS", "--cfg loom"))
}

/// The library without features, and with each alone.
fn one_by_one(root: &Path) -> Result<(), Failure> {
    let check = ["check", "--quiet", "-p", "mainstay", "--no-default-features"];
    run(&mut cargo(root, &check))?;
    for feature in features(root)? {
        run(cargo(root, &check).args(["--features", &feature]))?;
    }
    Ok(())
}

/// The command as it is by default: all other steps have every feature.
fn plain_command(root: &Path) -> Result<(), Failure> {
    let lint = ["clippy", "-p", "mainstay-server", "-p", "mainstay-cli", "--locked"];
    run(cargo(root, &lint).args(["--", "-D", "warnings"]))?;
    let test = ["test", "-p", "mainstay-cli", "--locked", "--test", "it", "--", "otlp::"];
    run(&mut cargo(root, &test))
}

/// The features of the library, each to be built alone.
fn features(root: &Path) -> Result<Vec<String>, Failure> {
    let path = root.join("crates/mainstay/Cargo.toml");
    let manifest = tidy::manifest(&path)?;
    let table = manifest.get("features").and_then(toml::Value::as_table);
    Ok(table.into_iter().flat_map(toml::Table::keys).cloned().collect())
}
