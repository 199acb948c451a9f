//! The folder of one training run: `runs/NAME-N/`, made once and never overwritten.
//!
//! It holds `run.toml` (every setting), `metrics.csv` (`run_folder/metrics.rs`), the TensorBoard events
//! (`tensorboard.rs`), `best.safetensors`, `last.safetensors`, `report.html` and `log.txt`.

mod metrics;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use metrics::{MetricsCsv, MetricsRow};

/// Longest name a run may have, in characters.
const LONGEST_NAME: usize = 100;

/// Why a run folder could not be made, read or written.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}; {}", path.display(), remedy(source))]
    Io {
        /// What was tried, for example `make the folder`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name of the run cannot be the name of a folder.
    #[error("`{found}` cannot name a run: {expected}")]
    Name {
        /// The name asked for.
        found: String,
        /// What a name may be.
        expected: &'static str,
    },
    /// What should be a run folder is none.
    #[error("{}: found {found}; expected a run folder that `graticule train` made (with a run.toml in it)", path.display())]
    NotARun {
        /// The path given.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// `metrics.csv` is not what this program wrote.
    #[error("{}, line {line}: found {found}; expected {expected}; restore the file or start a new run", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: &'static str,
    },
}

impl RunFolderError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }
}

/// What a person can do about a file system's refusal.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space or choose another folder for the runs"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a folder for the runs that you may write to"
        }
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "choose another folder: a file stands where a folder is needed"
        }
        _ => "check the disk and the path",
    }
}

/// The folder of one run.
///
/// ```
/// use graticule_train::run_folder::RunFolder;
/// # let runs = tempfile::tempdir()?;
/// let first = RunFolder::create(runs.path(), "digits")?;
/// let second = RunFolder::create(runs.path(), "digits")?;
/// assert!(first.path().ends_with("digits-1") && second.path().ends_with("digits-2"));
/// second.log("epoch 1: loss 0.5")?;
/// assert!(second.log_path().is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
    /// Folders above this run that were made for it, innermost first.
    made: Vec<PathBuf>,
}

impl RunFolder {
    /// Makes `root/NAME-N/` with the first free `N` from 1, and `root` itself where it is missing.
    ///
    /// # Errors
    /// [`RunFolderError::Name`] when `name` cannot be a folder's name, [`RunFolderError::Io`] when the file
    /// system refuses.
    pub fn create(root: &Path, name: &str) -> Result<Self, RunFolderError> {
        check_name(name)?;
        let made = missing_folders(root);
        let folder = fs::create_dir_all(root)
            .map_err(RunFolderError::io("make the folder", root))
            .and_then(|()| first_free(root, name));
        match folder {
            Ok(path) => Ok(Self { path, made }),
            Err(error) => {
                remove_empty(&made);
                Err(error)
            }
        }
    }

    /// The folder of an earlier run.
    ///
    /// # Errors
    /// [`RunFolderError::NotARun`] when there is no folder at `path`, or it has no `run.toml`.
    pub fn open(path: &Path) -> Result<Self, RunFolderError> {
        let run = Self {
            path: path.to_path_buf(),
            made: Vec::new(),
        };
        let found = if !path.exists() {
            "nothing"
        } else if !path.is_dir() {
            "a file"
        } else if !run.settings_path().is_file() {
            "a folder without run.toml"
        } else {
            return Ok(run);
        };
        Err(RunFolderError::NotARun {
            path: run.path,
            found,
        })
    }

    /// Removes the folder and what is in it: for a run that failed before its training began. Parent folders
    /// that were made for it go too when they are empty.
    pub fn discard(self) {
        // The failure that led here is the one to tell.
        let _ = fs::remove_dir_all(&self.path);
        remove_empty(&self.made);
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name with its number, for example `digits-1`.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// `run.toml`: every setting, resolved.
    pub fn settings_path(&self) -> PathBuf {
        self.path.join("run.toml")
    }

    /// `metrics.csv`: one row for each epoch.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// `best.safetensors`: the model of the best epoch on the validation samples.
    pub fn best_path(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// `last.safetensors`: the newest checkpoint, from which a run resumes.
    pub fn last_path(&self) -> PathBuf {
        self.path.join("last.safetensors")
    }

    /// `report.html`: the report in one file.
    pub fn report_path(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// `log.txt`: what was told while it ran.
    pub fn log_path(&self) -> PathBuf {
        self.path.join("log.txt")
    }

    /// `metrics.csv`, ready to read and append to.
    pub fn metrics(&self) -> MetricsCsv {
        MetricsCsv::at(self.metrics_path())
    }

    /// Appends one line to `log.txt`; line breaks inside become blanks.
    ///
    /// # Errors
    /// [`RunFolderError::Io`] when it cannot be written.
    pub fn log(&self, line: &str) -> Result<(), RunFolderError> {
        let path = self.log_path();
        let text = format!("{}\n", line.trim_end().replace('\n', " "));
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(RunFolderError::io("write", &path))
    }
}

/// Tries `NAME-1`, `NAME-2`, …; making a folder is atomic, so two runs never get the same one.
fn first_free(root: &Path, name: &str) -> Result<PathBuf, RunFolderError> {
    let mut number = 1_u64;
    loop {
        let path = root.join(format!("{name}-{number}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(source) => return Err(RunFolderError::io("make the folder", &path)(source)),
        }
    }
}

fn check_name(name: &str) -> Result<(), RunFolderError> {
    let refuse = |expected| {
        Err(RunFolderError::Name {
            found: name.to_string(),
            expected,
        })
    };
    if name.trim().is_empty() || name.starts_with('.') {
        return refuse("it must not be empty or begin with a dot");
    }
    if name.chars().any(|c| c.is_control() || r#"/\:*?"<>|"#.contains(c)) {
        return refuse(r#"it must not contain / \ : * ? " < > | or control characters"#);
    }
    if name.chars().count() > LONGEST_NAME {
        return refuse("it must have at most 100 characters");
    }
    Ok(())
}

/// The folders of `root` that do not exist yet, innermost first.
fn missing_folders(root: &Path) -> Vec<PathBuf> {
    root.ancestors()
        .filter(|folder| !folder.as_os_str().is_empty())
        .take_while(|folder| !folder.exists())
        .map(Path::to_path_buf)
        .collect()
}

fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
