//! What a private server said: one file for every start, so that an error can quote the words that explain it.
//! Only its owner can read it. It must never grow without end. Look next in `launch.rs` and `redis.rs`, which write into it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use crate::devdb::error::DevDbError;

/// An older log is put aside when it has grown beyond this.
const LOG_BYTES_MAX: u64 = 8 << 20;
/// How much of the log an error quotes.
const TAIL_LINES: usize = 20;
const TAIL_BYTES_MAX: u64 = 16 << 10;

/// The log file from the point where this start began.
pub(super) struct Log {
    file: File,
    begin: u64,
}

impl Log {
    /// Opens the log for more, putting an overgrown one aside.
    pub fn open(path: &Path) -> Result<Self, DevDbError> {
        if path.metadata().is_ok_and(|found| found.len() > LOG_BYTES_MAX) {
            std::fs::rename(path, path.with_extension("log.1")).map_err(DevDbError::io("put aside", path))?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(DevDbError::io("open", path))?;
        let begin = file.seek(SeekFrom::End(0)).map_err(DevDbError::io("read", path))?;
        Ok(Self { file, begin })
    }

    /// The last lines since this start began; an unreadable log is an empty tail.
    pub fn tail(&mut self) -> String {
        let mut bytes = Vec::new();
        let end = self.file.seek(SeekFrom::End(0)).unwrap_or(self.begin);
        let from = self.begin.max(end.saturating_sub(TAIL_BYTES_MAX));
        let read = self.file.seek(SeekFrom::Start(from)).and_then(|_| self.file.read_to_end(&mut bytes));
        if read.is_err() {
            bytes.clear();
        }
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// Lets a command say everything into the log.
    pub fn catch_output_of(&self, command: &mut Command) -> std::io::Result<()> {
        command.stdout(self.file.try_clone()?).stderr(self.file.try_clone()?);
        Ok(())
    }
}
