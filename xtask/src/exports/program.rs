use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Failure;

/// A program that runs until it is dropped.
pub(super) struct Program {
    child: Child,
}

impl Program {
    /// Starts it, with all that it says in a file.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self, Failure> {
        let program = Path::new(command.get_program()).display().to_string();
        let failed = |error: std::io::Error| {
            Failure::Environment(format!("`{program}` does not start: {error}"))
        };
        let out = File::create(log).map_err(failed)?;
        let errors = out.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        Ok(Self { child: command.spawn().map_err(failed)? })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// An empty folder; what is in it in the end stays, for whoever looks why something failed.
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure::Environment(format!("{}: {error}", path.display()));
        if path.exists() {
            fs::remove_dir_all(path).map_err(failed)?;
        }
        fs::create_dir_all(path).map_err(failed)?;
        Ok(Self { path: path.to_path_buf() })
    }
}
