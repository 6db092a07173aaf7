//! A test that runs itself once more, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "CHITTYID_SERVER_CHILD";

/// The folder to work in, where this process is the child of a test.
pub(crate) fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Runs the test of this name as a child that works in `folder`; with `shell` before it.
pub(crate) fn command(test: &str, folder: &Path, shell: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{shell} exec \"$0\" \"$@\""));
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder);
    command
}
