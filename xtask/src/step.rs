//! Commands that are run one after the other, with progress, until one fails.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// A run of numbered steps.
#[derive(Debug)]
pub(crate) struct Steps {
    root: PathBuf,
    total: usize,
    done: Vec<(String, Duration)>,
}

impl Steps {
    pub(crate) fn new(root: &Path, total: usize) -> Self {
        Self { root: root.to_path_buf(), total, done: Vec::new() }
    }

    /// Runs one step, and says what it is before and how long it took after.
    pub(crate) fn step(
        &mut self,
        name: &str,
        work: impl FnOnce(&Path) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let number = self.done.len() + 1;
        println!("\n[{number}/{}] {name}", self.total);
        let start = Instant::now();
        let result = work(&self.root);
        let took = start.elapsed();
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        println!("[{number}/{}] {name}: {verdict} after {:.1} s", self.total, took.as_secs_f64());
        result.map_err(|failure| failure.within(name))?;
        self.done.push((name.into(), took));
        Ok(())
    }

    /// Says what was done.
    pub(crate) fn summary(&self) {
        println!("\nsummary: {} of {} steps passed", self.done.len(), self.total);
        for (name, took) in &self.done {
            println!("  {:7.1} s  {name}", took.as_secs_f64());
        }
        let all: Duration = self.done.iter().map(|(_, took)| took).sum();
        println!("  {:7.1} s  altogether", all.as_secs_f64());
    }
}

impl Failure {
    fn within(self, step: &str) -> Self {
        match self {
            Self::Check(text) => Self::Check(format!("step `{step}`: {text}")),
            Self::Usage(text) => Self::Usage(format!("step `{step}`: {text}")),
            Self::Environment(text) => Self::Environment(format!("step `{step}`: {text}")),
        }
    }
}

/// `cargo` with these arguments, in `root`.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root);
    command
}

/// Runs `command` with its output on ours and without an input; an error names what failed.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::Environment(format!("`{shown}` does not start: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Check(format!("`{shown}` failed ({status})")))
    }
}

/// Whether `command` runs and succeeds, silently.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Where builds of another kind (loom, peers) put their files: beside ours, never among them.
pub(crate) fn target_dir(root: &Path, kind: &str) -> String {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |dir| root.join(dir));
    target.join(kind).display().to_string()
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_stem().unwrap_or(program.as_os_str());
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    words.push(program.to_string_lossy().into_owned());
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
