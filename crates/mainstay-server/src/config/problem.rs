use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use mainstay::core::config::ConfigError;

/// Something in a configuration that makes no sense, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, when it is in one.
    pub file: Option<PathBuf>,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// Path of the field, such as `link.api.health.timeout`; empty when it is about the whole.
    pub field: String,
    /// What is wrong, with what is allowed. Never a secret.
    pub message: String,
}

impl Problem {
    /// About a file as a whole.
    pub(super) fn in_file(path: &Path, message: String) -> Self {
        Self { file: Some(path.into()), line: None, field: String::new(), message }
    }

    /// About a variable of the environment or a flag.
    pub(super) fn outside(field: String, message: String) -> Self {
        Self { file: None, line: None, field, message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// What a checked value says about itself, without the field.
pub(super) fn found(error: &ConfigError) -> String {
    format!("is {}, allowed: {}", error.value, error.allowed)
}

/// All that is wrong with a configuration.
///
/// The person who wrote it must act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// Each of them, in the file's order as far as it has one.
    pub all: Vec<Problem>,
}

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        self.all.push(problem);
    }

    /// `value`, if there is nothing wrong.
    pub(super) fn none_or<T>(mut self, value: Option<T>) -> Result<T, Self> {
        match value {
            Some(value) if self.all.is_empty() => Ok(value),
            Some(_) | None => {
                self.all.sort_by_key(|problem| problem.line);
                Err(self)
            }
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { all: vec![problem] }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.all.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl Error for Problems {}
