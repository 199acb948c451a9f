//! Where image files lie: in a folder, or in a zip that is read without unpacking it.

use super::decode::{MAX_FILE_BYTES, is_image_name};
use crate::{DataError, ErrorKind};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zip::ZipArchive;

/// Most image files in one data set.
const MAX_FILES: usize = 20_000_000;
/// Folders within folders.
const MAX_DEPTH: usize = 16;

/// A folder or a zip file.
pub(super) enum Container {
    Folder(PathBuf),
    Zip {
        path: PathBuf,
        archive: Mutex<ZipArchive<BufReader<File>>>,
    },
}

impl Container {
    pub(super) fn folder(path: &Path) -> Self {
        Container::Folder(path.to_owned())
    }

    pub(super) fn zip(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|e| DataError::io(path, &e))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(path, &e))?;
        Ok(Container::Zip {
            path: path.to_owned(),
            archive: Mutex::new(archive),
        })
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Container::Folder(path) | Container::Zip { path, .. } => path,
        }
    }

    /// Names of all image files, with `/` between folders, in order.
    pub(super) fn image_names(&self) -> Result<Vec<String>, DataError> {
        let mut names = match self {
            Container::Folder(path) => {
                let mut names = Vec::new();
                walk(path, "", 0, &mut names)?;
                names
            }
            Container::Zip { path, archive } => {
                let archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
                let mut names = Vec::new();
                for name in archive.file_names() {
                    let name = name.map_err(|e| damaged(path, &e))?;
                    check_entry_name(path, &name)?;
                    if is_image_name(&name) && !is_hidden(&name) {
                        names.push(name.into_owned());
                    }
                }
                names
            }
        };
        if names.len() > MAX_FILES {
            return Err(DataError::new(ErrorKind::Limit, self.path().display())
                .found(format!("{} image files", names.len()))
                .expected(format!("at most {MAX_FILES}"))
                .remedy("Divide the data set."));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The whole file `name`, or its first `most` bytes.
    pub(super) fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, DataError> {
        match self {
            Container::Folder(root) => {
                let path = root.join(name);
                let file = File::open(&path).map_err(|e| DataError::io(&path, &e))?;
                let size = file.metadata().map(|m| m.len()).unwrap_or(0);
                take(file, size, most, &path.display().to_string())
            }
            Container::Zip { path, archive } => {
                let place = format!("{}/{name}", path.display());
                let mut archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
                let entry = archive
                    .by_name(name)
                    .map_err(|e| damaged(Path::new(&place), &e))?;
                let size = entry.size();
                take(entry, size, most, &place)
            }
        }
    }
}

fn take(reader: impl Read, size: u64, most: u64, place: &str) -> Result<Vec<u8>, DataError> {
    let too_large = |size: u64| {
        DataError::new(ErrorKind::Limit, place)
            .found(format!("an image file of at least {size} bytes"))
            .expected(format!("at most {MAX_FILE_BYTES}"))
            .remedy("Leave the file out, or cut the image into tiles.")
    };
    if size > MAX_FILE_BYTES {
        return Err(too_large(size));
    }
    // The stated size of a zip entry may be a lie, so the bytes are counted too.
    let limit = most.min(MAX_FILE_BYTES + 1);
    let mut bytes = Vec::with_capacity(size.min(limit).min(1 << 20) as usize);
    reader.take(limit).read_to_end(&mut bytes).map_err(|e| {
        DataError::new(ErrorKind::Unreadable, place)
            .found(format!("the error `{e}` while reading"))
            .expected("a whole file")
            .remedy("Get the file again or delete it, or skip unreadable images with --skip-bad.")
    })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        Err(too_large(bytes.len() as u64))
    } else {
        Ok(bytes)
    }
}

fn damaged(path: &Path, error: &zip::result::ZipError) -> DataError {
    DataError::new(ErrorKind::Unreadable, path.display())
        .found(format!("a zip that cannot be read: {error}"))
        .expected("a whole zip file, stored or deflated, without a password")
        .remedy("Get the file again, or unpack it and give the folder.")
}

/// Names end up in outputs, so one that would leave its folder is refused although nothing is unpacked.
fn check_entry_name(path: &Path, name: &str) -> Result<(), DataError> {
    let safe = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
    if Path::new(name).components().all(safe) && !name.contains(['\\', '\0']) && !name.contains(':') {
        return Ok(());
    }
    Err(DataError::new(ErrorKind::UnsafeArchive, path.display())
        .found(format!("the entry `{}`", name.escape_default()))
        .expected("names that stay inside the archive")
        .remedy("Do not trust this file; make the archive again from a folder."))
}

/// Hidden files, and the copies of them that macOS puts into archives.
fn is_hidden(name: &str) -> bool {
    name.split('/')
        .any(|part| part.starts_with('.') || part == "__MACOSX")
}

fn walk(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) -> Result<(), DataError> {
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(|e| DataError::io(folder, &e))? {
        let entry = entry.map_err(|e| DataError::io(folder, &e))?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if is_hidden(&name) {
            continue;
        }
        let name = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        if path.is_dir() {
            walk(&path, &name, depth + 1, names)?;
        } else if is_image_name(&name) && names.len() <= MAX_FILES {
            names.push(name);
        }
    }
    Ok(())
}
