//! Runs the built binary the way a person would, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// A temporary folder in which the binary is run; it is removed with the value.
pub struct Desk {
    folder: TempDir,
}

/// What one run of the binary left behind.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

#[allow(dead_code)]
impl Desk {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file's path inside the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Two classes of `count` pictures each, `side` pixels wide and high, in `folder/CLASS/N.png`; `pixel` gets the number of
    /// the class, that of the picture, x and y.
    pub fn pictures(
        &self,
        folder: &str,
        classes: [&str; 2],
        count: u32,
        side: u32,
        pixel: impl Fn(u32, u32, u32, u32) -> [u8; 3],
    ) {
        for (k, class) in (0..).zip(classes) {
            let class = self.file(folder).join(class);
            std::fs::create_dir_all(&class).expect("a folder");
            for n in 0..count {
                let picture = RgbImage::from_fn(side, side, |x, y| Rgb(pixel(k, n, x, y)));
                picture.save(class.join(format!("{n}.png"))).expect("a picture");
            }
        }
    }

    /// Runs `graticule` with these arguments in the folder, stdin closed.
    pub fn run(&self, args: &[&str]) -> Run {
        let done = self.command(args).output().expect("the binary starts");
        Run {
            code: done.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }

    /// The command, for tests that need to start, signal or pipe it themselves.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graticule"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }
}

#[allow(dead_code)]
impl Run {
    /// Asserts exit code 0 and hands back stdout.
    #[track_caller]
    pub fn done(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        &self.stdout
    }

    /// Asserts the exit code, one `error:` line on stderr and nothing that looks like a panic; hands back stderr.
    #[track_caller]
    pub fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        assert!(
            !self.stderr.contains("panicked") && !self.stderr.contains("RUST_BACKTRACE"),
            "{self:?}"
        );
        &self.stderr
    }

    /// Asserts exit code 0 and reads stdout as one JSON object.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.done()).expect("one JSON object on stdout")
    }
}

/// A file or folder of the shared data, or `None` with a message where it is absent.
#[allow(dead_code)]
pub fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GRATICULE_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent (set GRATICULE_DATA)", path.display());
        return None;
    }
    Some(path)
}

/// Its path, for a command line.
#[allow(dead_code)]
pub fn shared_text(name: &str) -> Option<String> {
    shared(name).map(|path| path.to_str().expect("a path that is text").into())
}
