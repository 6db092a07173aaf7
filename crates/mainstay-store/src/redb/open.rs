//! From a folder to a database that is ours, or to an error that says what to do.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableError};

use super::FORMAT;
use super::backend::Backend;
use super::tables::{Fault, META, META_CREATED, META_FORMAT, Tables};
use super::write::begin;
use crate::{Durability, StoreConfig, StoreError};

/// What every file of redb begins with.
const MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];

/// A folder's lock.
pub(super) struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough: a process that another thread is just starting has a copy of
    /// it for a moment, and the lock with it.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the lock ends with its file");
        }
    }
}

/// Makes the folder if it is missing, and takes its lock.
pub(super) fn lock(folder: &Path) -> Result<Lock, StoreError> {
    let mut maker = fs::DirBuilder::new();
    maker.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut maker, 0o700);
    maker.create(folder).map_err(|error| StoreError::folder(folder, error))?;
    let path = folder.join("mainstay.lock");
    let lock = file(&path, true)?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(error)) => Err(StoreError::folder(&path, error)),
    }
}

/// Makes the file if it is missing: under another name first, so that a kill in the midst of it
/// leaves nothing half done under this one.
pub(super) fn create(path: &Path, config: &StoreConfig) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            let why = "it is no file".to_owned();
            return Err(StoreError::Foreign { path: path.to_owned(), why });
        }
        Ok(found) if found.len() > 0 => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::folder(path, error)),
    }
    let unfinished = path.with_extension("redb.new");
    let empty = file(&unfinished, true)?;
    empty.set_len(0).map_err(|error| StoreError::io(&unfinished, error))?;
    let made = build(empty, config)
        .map_err(|cause| error(&unfinished, cause))
        .and_then(|made| initialise(&made).map_err(|fault| fault_error(&unfinished, fault)));
    let made = made.and_then(|()| {
        fs::rename(&unfinished, path).map_err(|error| StoreError::folder(path, error))
    });
    if made.is_err() {
        drop(fs::remove_file(&unfinished));
    }
    made?;
    sync_folder(path)
}

/// Opens the file, which is there.
pub(super) fn database(path: &Path, config: &StoreConfig) -> Result<Database, StoreError> {
    let mut found = file(path, false)?;
    let mut start = Vec::new();
    let read = (&mut found).take(MAGIC.len() as u64).read_to_end(&mut start);
    read.map_err(|error| StoreError::io(path, error))?;
    if start != MAGIC {
        let why = "it does not begin as our files do".to_owned();
        return Err(StoreError::Foreign { path: path.to_owned(), why });
    }
    build(found, config).map_err(|cause| error(path, cause))
}

/// Whether this version can read it. Older formats are brought to ours here, in one commit.
pub(super) fn check_format(
    database: &Database,
    path: &Path,
) -> Result<Result<(), StoreError>, Fault> {
    let transaction = database.begin_read()?;
    let foreign =
        |why: &str| Ok(Err(StoreError::Foreign { path: path.to_owned(), why: why.to_owned() }));
    let found = match transaction.open_table(META) {
        Ok(meta) => redb::ReadableTable::get(&meta, META_FORMAT)?.map(|row| row.value()),
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return foreign("it is a database of another program"),
    };
    let Some(found) = found else {
        return foreign("it is a database without a format");
    };
    match u32::try_from(found).unwrap_or(u32::MAX) {
        FORMAT => Ok(Ok(())),
        0 => foreign("its format is 0"),
        found => Ok(Err(StoreError::Newer { path: path.to_owned(), found, known: FORMAT })),
    }
}

/// What it means that the database cannot be opened.
pub(super) fn error(path: &Path, error: DatabaseError) -> StoreError {
    if let DatabaseError::DatabaseAlreadyOpen = error {
        return StoreError::InUse { path: path.to_owned() };
    }
    if let DatabaseError::UpgradeRequired(version) = error {
        let why = format!("it has the format {version} of redb, which we never wrote");
        return StoreError::Foreign { path: path.to_owned(), why };
    }
    if let DatabaseError::Storage(error) = error {
        return storage_error(path, error);
    }
    StoreError::damaged(path, error)
}

/// What it means that the database cannot be read or written.
pub(super) fn storage_error(path: &Path, error: StorageError) -> StoreError {
    if let StorageError::PreviousIo = error {
        return StoreError::io(path, std::io::Error::other("an earlier call failed"));
    }
    let StorageError::Io(error) = error else {
        return StoreError::damaged(path, error);
    };
    if [ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&error.kind()) {
        return StoreError::damaged(path, error);
    }
    StoreError::io(path, error)
}

fn fault_error(path: &Path, fault: Fault) -> StoreError {
    match fault {
        Fault::Storage(error) => storage_error(path, error),
        Fault::Row(error) => StoreError::damaged(path, error),
    }
}

fn file(path: &Path, create: bool) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| StoreError::folder(path, error))
}

/// A damaged file can make the database panic: that is an answer, too.
fn build(file: File, config: &StoreConfig) -> Result<Database, DatabaseError> {
    let sync = config.durability == Durability::Disk;
    let cache = usize::try_from(config.cache_bytes).unwrap_or(usize::MAX);
    let open = || {
        let backend = Backend::new(file, sync)?;
        Database::builder().set_cache_size(cache).create_with_backend(backend)
    };
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| {
        let why = "its pages contradict each other".to_owned();
        Err(StorageError::Corrupted(why).into())
    })
}

/// Makes every table and says which format they have.
fn initialise(database: &Database) -> Result<(), Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let transaction = begin(database)?;
    let mut tables = Tables::open(&transaction)?;
    drop(tables.meta.insert(META_FORMAT, u64::from(FORMAT))?);
    drop(tables.meta.insert(META_CREATED, now)?);
    tables.finish()?;
    Ok(transaction.commit()?)
}

/// Makes sure that the folder knows its file after a power cut.
fn sync_folder(path: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        let synced = File::open(&folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| StoreError::folder(&folder, error))?;
    }
    Ok(())
}
