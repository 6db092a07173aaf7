use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why something is not kept, or what was kept cannot be read.
///
/// Clones share their cause, so that every caller whose changes were in one commit is told the same.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The operator must act: the folder cannot be made, or not be written.
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// The operator must act: there is no room. The next commit is tried again.
    NoSpace {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// The operator must act: another process has it open.
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The operator must act: a file of that name is there, and it is not ours.
    Foreign {
        /// The file.
        path: PathBuf,
        /// How one can tell.
        why: String,
    },
    /// The operator must act: the file is ours, and damaged.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operator must act: a newer version wrote it.
    Newer {
        /// The file.
        path: PathBuf,
        /// The format it has.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// The machine failed; the next commit is tried again. If it goes on, the operator must act.
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: Arc<io::Error>,
    },
    /// The caller must act: the condition of a change does not hold. Nothing of its batch is kept.
    Conflict(Conflict),
    /// The caller must act: something is larger than is kept. Nothing of its batch is kept.
    TooLarge {
        /// What.
        what: &'static str,
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        max: usize,
    },
    /// The caller must act: the configuration makes no sense.
    Config(mainstay_core::config::ConfigError),
    /// Nobody must act: the writer was closed before, and takes nothing more.
    Closed,
}

/// Which condition did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Somebody has claimed the key.
    Claimed {
        /// Which.
        key: Box<[u8]>,
    },
    /// The sequence is not where it was expected to be.
    Moved {
        /// The number that was to be taken.
        number: u64,
        /// The number that is next.
        next: u64,
    },
    /// The sequence is used up.
    Exhausted {
        /// The highest number it may give.
        limit: u64,
    },
}

impl StoreError {
    /// What `source` means for the file or folder at `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        let full = is_full(&source);
        let source = Arc::new(source);
        if full { Self::NoSpace { path, source } } else { Self::Io { path, source } }
    }

    /// What `source` means for the folder at `path`, or the file in it that is to be opened.
    pub(crate) fn folder(path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            return Self::io(path, source);
        }
        Self::Folder { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn damaged(path: &Path, why: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }
}

/// Whether the operating system says that a file cannot grow.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    [FileTooLarge, QuotaExceeded, StorageFull].contains(&error.kind())
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, .. } => write!(
                f,
                "cannot write to {}: make it a folder that this user may write, or name another",
                path.display()
            ),
            Self::NoSpace { path, .. } => write!(
                f,
                "no room for {}: free some space, or raise the quota; \
                 what comes next is tried again",
                path.display()
            ),
            Self::InUse { path } => write!(
                f,
                "{} is in use by another process: stop that one, or name another folder",
                path.display()
            ),
            Self::Foreign { path, why } => write!(
                f,
                "{} was not written by mainstay ({why}): move it away to start anew, \
                 or name another folder",
                path.display()
            ),
            Self::Damaged { path, why } => write!(
                f,
                "{} is damaged ({why}): restore a copy, or move it away to start anew",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "{} has format {found}, and this version knows up to {known}: \
                 use a newer mainstay, or move the file away to start anew",
                path.display()
            ),
            Self::Io { path, .. } => write!(f, "cannot read or write {}", path.display()),
            Self::Conflict(conflict) => fmt::Display::fmt(conflict, f),
            Self::TooLarge { what, bytes, max } => {
                write!(f, "{what} has {bytes} bytes, allowed: up to {max}")
            }
            Self::Config(_) => f.write_str("the store's configuration makes no sense"),
            Self::Closed => f.write_str("the writer is closed"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Folder { source, .. }
            | Self::NoSpace { source, .. }
            | Self::Io { source, .. } => Some(source),
            Self::Config(source) => Some(source),
            Self::InUse { .. }
            | Self::Foreign { .. }
            | Self::Damaged { .. }
            | Self::Newer { .. }
            | Self::Conflict(_)
            | Self::TooLarge { .. }
            | Self::Closed => None,
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claimed { .. } => f.write_str("the key is claimed"),
            Self::Moved { number, next } => {
                write!(f, "the sequence's next number is {next}, not {number}")
            }
            Self::Exhausted { limit } => write!(f, "the sequence ends at {limit}"),
        }
    }
}
