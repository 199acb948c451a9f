//! Event files that TensorBoard opens: records of a TFRecord file, each a protocol-buffer `Event`.
//!
//! A record is its length (u64, little-endian), the masked CRC-32C of the length, the bytes, and the masked
//! CRC-32C of the bytes. The messages are the fields of TensorFlow's `event.proto` and `summary.proto` that
//! scalars need.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use crate::run_folder::RunFolderError;

/// The version that must stand in the first event of a file.
const FILE_VERSION: &str = "brain.Event:2";

/// `SessionLog.SessionStatus.START`: readers drop what they have from this step on.
const SESSION_START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// A writer of one event file. Events are in the file after [`EventWriter::flush`].
///
/// ```
/// use graticule_train::tensorboard::EventWriter;
/// # let folder = tempfile::tempdir()?;
/// let now = 1_700_000_000.0;
/// let mut events = EventWriter::create(folder.path(), now)?;
/// events.scalar("loss/train", 1, 0.5, now)?;
/// events.flush()?;
/// assert!(events.path().exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Makes `events.out.tfevents.SECONDS.graticule[.N]` in `folder`, a file that did not exist before, with its
    /// first event. `wall_time` is in seconds since 1970.
    ///
    /// # Errors
    /// [`RunFolderError::Io`] when it cannot be made.
    pub fn create(folder: &Path, wall_time: f64) -> Result<Self, RunFolderError> {
        let (path, file) = new_file(folder, wall_time)?;
        let mut writer = Self {
            path,
            file: BufWriter::new(file),
        };
        let version = Some(FILE_VERSION.to_string());
        writer.write(&Event {
            wall_time,
            file_version: version,
            ..Event::default()
        })?;
        writer.flush()?;
        Ok(writer)
    }

    /// As [`EventWriter::create`], for a run that goes on: TensorBoard forgets what earlier files of the folder
    /// say about `next_step` and later ones.
    ///
    /// # Errors
    /// [`RunFolderError::Io`] when it cannot be made.
    pub fn resume(folder: &Path, wall_time: f64, next_step: u64) -> Result<Self, RunFolderError> {
        let mut writer = Self::create(folder, wall_time)?;
        let session_log = Some(SessionLog {
            status: SESSION_START,
        });
        writer.write(&Event {
            wall_time,
            step: signed(next_step),
            session_log,
            ..Event::default()
        })?;
        writer.flush()?;
        Ok(writer)
    }

    /// The event file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one number under `tag`; a slash in a tag makes a group, as in `loss/train`. The format holds it as f32.
    ///
    /// # Errors
    /// [`RunFolderError::Io`] when it cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64, wall_time: f64) -> Result<(), RunFolderError> {
        let value = Value {
            tag: tag.to_string(),
            simple_value: Some(value as f32),
        };
        let summary = Some(Summary { value: vec![value] });
        self.write(&Event {
            wall_time,
            step: signed(step),
            summary,
            ..Event::default()
        })
    }

    /// Hands everything to the file; call it after each epoch.
    ///
    /// # Errors
    /// [`RunFolderError::Io`] when it cannot be written.
    pub fn flush(&mut self) -> Result<(), RunFolderError> {
        self.file.flush().map_err(RunFolderError::io("write", &self.path))
    }

    fn write(&mut self, event: &Event) -> Result<(), RunFolderError> {
        let record = frame(&event.encode_to_vec());
        self.file
            .write_all(&record)
            .map_err(RunFolderError::io("write", &self.path))
    }
}

/// Names sort by time, so that TensorBoard reads the files of a folder in the order of their making.
fn new_file(folder: &Path, wall_time: f64) -> Result<(PathBuf, File), RunFolderError> {
    let mut number = 0_u32;
    loop {
        let seconds = wall_time.max(0.0) as u64;
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.graticule.{number:03}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(RunFolderError::io("make", &path)(source)),
        }
    }
}

fn signed(step: u64) -> i64 {
    i64::try_from(step).unwrap_or(i64::MAX)
}

/// A TFRecord: length, its checksum, the bytes, their checksum.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [
        &length[..],
        &masked_crc(&length).to_le_bytes(),
        bytes,
        &masked_crc(bytes).to_le_bytes(),
    ]
    .concat()
}

/// CRC-32C, rotated and shifted, as the TFRecord format stores it.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests;
