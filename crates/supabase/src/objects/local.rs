//! Objects in a folder: written beside it under a name that nobody asks for, made durable, then put into place by one rename. A crash at
//! any moment leaves either no object or the whole of it.

use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use super::{BUCKETS, ObjectError, Pieces};

/// Where uploads lie until they are whole; no bucket is called so.
const INCOMING: &str = ".incoming";

/// Bytes read at once.
const READ_BYTES: usize = 1 << 18;

/// How often a rename is tried whose folder was removed at the same moment, because its last object went.
const ATTEMPTS: usize = 5;

/// A folder of objects.
#[derive(Debug, Clone)]
pub struct Local {
    folder: PathBuf,
}

/// A file that is being written. It goes with its value.
pub struct LocalUpload {
    file: File,
    incoming: PathBuf,
    target: PathBuf,
    folder: PathBuf,
    is_placed: bool,
}

impl Local {
    /// In this folder, which is made when it is first needed.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    pub(super) fn describe(&self) -> String {
        format!("the folder {}", self.folder.display())
    }

    fn path(&self, bucket: &str, key: &str) -> PathBuf {
        self.folder.join(bucket).join(key)
    }

    pub(super) async fn prepare(&self) -> Result<(), ObjectError> {
        for name in BUCKETS.iter().chain([&INCOMING]) {
            fs::create_dir_all(self.folder.join(name)).await.map_err(|error| self.explain(&error))?;
        }
        let mut entries = fs::read_dir(self.folder.join(INCOMING)).await.map_err(|error| self.explain(&error))?;
        while let Some(entry) = entries.next_entry().await.map_err(|error| self.explain(&error))? {
            // A process that writes holds its file locked; a lock goes with its process.
            let is_left = std::fs::File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
            if is_left && fs::remove_file(entry.path()).await.is_ok() {
                tracing::info!(file = %entry.path().display(), "removed an upload that a process left half written");
            }
        }
        Ok(())
    }

    pub(super) async fn begin(&self, bucket: &str, key: &str) -> Result<LocalUpload, ObjectError> {
        let folder = self.folder.join(INCOMING);
        loop {
            fs::create_dir_all(&folder).await.map_err(|error| self.explain(&error))?;
            let incoming = folder.join(domain::id::new("up"));
            let file = File::create_new(&incoming).await.map_err(|error| self.explain(&error))?;
            let locked = file.try_into_std().map_err(|_| ObjectError::Unavailable("a new file was busy".to_owned()))?;
            locked.try_lock().map_err(|error| self.explain(&error.into()))?;
            // Another process that starts may have swept the file in the moment before it was locked.
            if locked.metadata().map_err(|error| self.explain(&error))?.nlink() > 0 {
                let (target, folder) = (self.path(bucket, key), self.folder.clone());
                return Ok(LocalUpload { file: File::from_std(locked), incoming, target, folder, is_placed: false });
            }
        }
    }

    pub(super) async fn open(&self, bucket: &str, key: &str, range: Range<u64>) -> Result<Pieces, ObjectError> {
        let mut file = File::open(self.path(bucket, key)).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ObjectError::NotFound,
            _ => self.explain(&error),
        })?;
        if range.start > 0 {
            file.seek(io::SeekFrom::Start(range.start)).await.map_err(|error| self.explain(&error))?;
        }
        let bytes = ReaderStream::with_capacity(file.take(range.end.saturating_sub(range.start)), READ_BYTES);
        Ok(bytes.map_err(|error| ObjectError::Unavailable(error.to_string())).boxed())
    }

    pub(super) async fn remove(&self, bucket: &str, key: &str) -> Result<(), ObjectError> {
        let path = self.path(bucket, key);
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.explain(&error)),
            _ => {}
        }
        // Folders go with their last object, as in stores that know no folders.
        let bucket = self.folder.join(bucket);
        let mut parent = path.parent();
        while let Some(folder) = parent.filter(|folder| *folder != bucket && folder.starts_with(&bucket)) {
            if fs::remove_dir(folder).await.is_err() {
                break;
            }
            parent = folder.parent();
        }
        Ok(())
    }

    fn explain(&self, error: &io::Error) -> ObjectError {
        ObjectError::Unavailable(format!("{}: {error}", self.folder.display()))
    }
}

impl LocalUpload {
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        self.file.write_all(&bytes).await.map_err(|error| self.explain(&error))
    }

    pub(super) async fn finish(mut self) -> Result<(), ObjectError> {
        self.place().await.map_err(|error| self.explain(&error))
    }

    async fn place(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let parent = self.target.parent().unwrap_or(&self.folder).to_owned();
        let mut attempt = 1;
        loop {
            fs::create_dir_all(&parent).await?;
            match fs::rename(&self.incoming, &self.target).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => attempt += 1,
                done => break done?,
            }
        }
        self.is_placed = true;
        // The names are safe when the folders that hold them are: this one, and those above that may be new.
        for folder in parent.ancestors().take_while(|folder| folder.starts_with(&self.folder)) {
            sync(folder).await?;
        }
        Ok(())
    }

    fn explain(&self, error: &io::Error) -> ObjectError {
        ObjectError::Unavailable(format!("{}: {error}", self.folder.display()))
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if !self.is_placed {
            // What cannot be removed now is swept at the next start.
            std::fs::remove_file(&self.incoming).ok();
        }
    }
}

async fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder).await?.sync_all().await
}
