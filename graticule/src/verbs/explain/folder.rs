//! The folder that an explanation or an attack is written to: a new one, so that nothing is overwritten.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ndarray::ArrayViewD;

use crate::error::{Context, Failure, Outcome};

/// A new folder and the names taken in it.
pub struct Folder {
    path: PathBuf,
    taken: RefCell<HashSet<String>>,
    made: bool,
}

impl Drop for Folder {
    /// A call that failed before it wrote anything leaves no empty folder behind.
    fn drop(&mut self) {
        if self.made {
            // Refused by the system where there is anything in it.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

impl Folder {
    /// Makes the folder that was asked for, or `NAME-N` beside the model.
    pub fn new(wanted: Option<&Path>, model: &Path, name: &str) -> Outcome<Self> {
        let path = match wanted {
            Some(path) => path.to_path_buf(),
            None => {
                let names = (1_u32..).map(|n| model.with_file_name(format!("{name}-{n}")));
                names.into_iter().find(|path| !path.exists()).unwrap_or_default()
            }
        };
        let occupied =
            path.exists() && std::fs::read_dir(&path).map_or(true, |mut entries| entries.next().is_some());
        if occupied {
            return Err(Failure::new("exists already")
                .at(path.display())
                .help("name a new folder with -o"));
        }
        let made = !path.exists();
        std::fs::create_dir_all(&path)
            .at(path.display())
            .help("name another folder with -o")?;
        Ok(Self {
            path,
            taken: RefCell::default(),
            made,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The page.
    pub fn page(&self) -> PathBuf {
        self.path.join("explanation.html")
    }

    /// A name for the files of an input, of its own name, that no other input has.
    pub fn stem(&self, input: &str) -> String {
        let stem = Path::new(input)
            .file_stem()
            .map_or_else(|| input.to_string(), |s| s.to_string_lossy().into_owned());
        let safe = |c: char| {
            if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        };
        let stem: String = stem.chars().map(safe).take(100).collect();
        let mut taken = self.taken.borrow_mut();
        let names = std::iter::once(stem.clone()).chain((2..).map(|n| format!("{stem}-{n}")));
        let free = names
            .into_iter()
            .find(|name| !taken.contains(name))
            .unwrap_or(stem);
        taken.insert(free.clone());
        free
    }

    /// Writes a file whole or not at all; gives back its name.
    pub fn write(&self, name: String, bytes: &[u8]) -> Outcome<String> {
        let path = self.path.join(&name);
        interchange::write_atomically(&path, bytes).at(path.display())?;
        Ok(name)
    }

    /// Writes an array for `numpy.load`.
    pub fn write_array(&self, name: String, array: ArrayViewD<f32>) -> Outcome<String> {
        let values: Vec<f32> = array.iter().copied().collect();
        self.write(name, &interchange::npy::bytes(array.shape(), &values))
    }
}
