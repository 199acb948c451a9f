//! Image files as a source: decoded when needed, kept as bytes within a memory budget.

use super::container::Container;
use super::decode::{self, Header, MAX_FILE_BYTES};
use super::layout::{self, FolderLayout};
use crate::{
    DataError, Dataset, ErrorKind, InputLayout, OpenOptions, Raw, Role, Source, Splits, Target, Task,
};
use ndarray::Array3;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Enough of a file for the header of most images.
const HEADER_BYTES: u64 = 32 << 10;
/// Names of skipped files that a note lists.
const LISTED: usize = 10;

/// Images in class folders, in a folder or a zip.
pub struct ImageFiles {
    container: Container,
    names: Vec<String>,
    labels: Vec<usize>,
    shape: (usize, usize, usize),
    resize: bool,
    cache: Vec<OnceLock<Box<[u8]>>>,
    cached_bytes: AtomicUsize,
    budget: usize,
}

impl ImageFiles {
    fn place(&self, index: usize) -> String {
        format!("{}/{}", self.container.path().display(), self.names[index])
    }

    fn check(&self, index: usize) -> Result<(), DataError> {
        if index < self.names.len() {
            return Ok(());
        }
        Err(DataError::new(ErrorKind::Option, self.container.path().display())
            .found(format!("the index {index}"))
            .expected(format!("one below {}", self.names.len()))
            .remedy("Use a split made for this data set."))
    }

    fn decode(&self, index: usize) -> Result<Array3<u8>, DataError> {
        let bytes = self.container.read(&self.names[index], u64::MAX)?;
        let (height, width, channels) = self.shape;
        let size = self.resize.then_some((height, width));
        let image = decode::decode(&bytes, &self.place(index), channels, size)?;
        if image.dim() == self.shape {
            return Ok(image);
        }
        Err(DataError::new(ErrorKind::ImageSize, self.place(index))
            .found(format!("{} x {} pixels", image.dim().0, image.dim().1))
            .expected(format!("{height} x {width}, as when the data set was opened"))
            .remedy("Do not change the files during a run."))
    }

    /// Keeps the pixels if the budget allows.
    fn keep(&self, index: usize, pixels: &[u8]) {
        let used = self.cached_bytes.fetch_add(pixels.len(), Ordering::Relaxed) + pixels.len();
        let kept = used <= self.budget && self.cache[index].set(pixels.into()).is_ok();
        if !kept {
            self.cached_bytes.fetch_sub(pixels.len(), Ordering::Relaxed);
        }
    }
}

impl Source for ImageFiles {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn raw(&self, index: usize) -> Result<Raw, DataError> {
        let mut pixels = Vec::new();
        self.with_pixels(index, &mut |p| pixels.extend_from_slice(p))?;
        Array3::from_shape_vec(self.shape, pixels)
            .map(Raw::Image)
            .map_err(|e| {
                DataError::new(ErrorKind::Unreadable, self.place(index))
                    .found(e)
                    .expected("an image of the stated size")
            })
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        self.check(index)?;
        Ok(Target::Class(self.labels[index]))
    }

    fn name_of(&self, index: usize) -> String {
        self.names.get(index).cloned().unwrap_or_default()
    }

    fn layout(&self) -> InputLayout {
        let (height, width, channels) = self.shape;
        InputLayout::Image {
            height,
            width,
            channels,
        }
    }

    fn resizes(&self) -> bool {
        self.resize
    }

    fn with_pixels(&self, index: usize, visit: &mut dyn FnMut(&[u8])) -> Result<(), DataError> {
        self.check(index)?;
        if let Some(pixels) = self.cache[index].get() {
            visit(pixels);
            return Ok(());
        }
        let image = self.decode(index)?;
        let pixels = image.as_slice().unwrap_or_default();
        visit(pixels);
        self.keep(index, pixels);
        Ok(())
    }
}

/// Opens a folder of class folders.
pub(crate) fn open_folder(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    open(Container::folder(path), options)
}

/// Opens a zip of class folders.
pub(crate) fn open_zip(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    open(Container::zip(path)?, options)
}

fn open(container: Container, options: &OpenOptions) -> Result<Dataset, DataError> {
    let path = container.path().to_owned();
    let mut names = container.image_names()?;
    let layout = layout::understand(&names, &path)?;
    let mut notes = Vec::new();
    if layout.without_class > 0 {
        notes.push(format!(
            "{} images lie in no class folder and are left out.",
            layout.without_class
        ));
    }
    let mut bad = Vec::new();
    let mut kept: Vec<(usize, usize, Option<Role>, Header)> = Vec::with_capacity(layout.images.len());
    for &(place, class, role) in &layout.images {
        match header(&container, &names[place]) {
            Ok(header) => kept.push((place, class, role, header)),
            Err(_) if options.skip_bad => bad.push(names[place].clone()),
            Err(error) => return Err(error),
        }
    }
    let first = kept.first().map(|k| (&names[k.0], k.3));
    let (height, width) = common_size(first, kept.iter().map(|k| (&names[k.0], k.3)), options, &path)?;
    let own_channels = kept.iter().map(|k| k.3.channels).max().unwrap_or(3);
    let channels = options.channels.unwrap_or(own_channels);
    let mut source = ImageFiles {
        container,
        names: kept.iter().map(|k| std::mem::take(&mut names[k.0])).collect(),
        labels: kept.iter().map(|k| k.1).collect(),
        shape: (height, width, channels),
        resize: options.image_size.is_some(),
        cache: kept.iter().map(|_| OnceLock::new()).collect(),
        cached_bytes: AtomicUsize::new(0),
        budget: options.cache_bytes,
    };
    let mut roles: Vec<Option<Role>> = kept.iter().map(|k| k.2).collect();
    if options.skip_bad {
        drop_undecodable(&mut source, &mut roles, &mut bad);
    }
    if !bad.is_empty() {
        notes.push(skipped_note(&bad));
    }
    check_labels(&source.labels, &layout, &path)?;
    let splits = splits(&roles, &source.labels, options)?;
    let name = path
        .file_stem()
        .map_or_else(|| "images".into(), |s| s.to_string_lossy().into_owned());
    let task = Task::Classification {
        classes: layout.classes,
    };
    Ok(Dataset {
        name,
        task,
        source: Arc::new(source),
        splits,
        notes,
        citation: None,
    })
}

fn header(container: &Container, name: &str) -> Result<Header, DataError> {
    let place = format!("{}/{name}", container.path().display());
    let start = container.read(name, HEADER_BYTES)?;
    let whole = (start.len() as u64) < HEADER_BYTES;
    match decode::header(&start, &place) {
        // A TIFF may have its header at the end.
        Err(_) if !whole => decode::header(&container.read(name, MAX_FILE_BYTES)?, &place),
        found => found,
    }
}

fn common_size<'a>(
    first: Option<(&String, Header)>,
    mut all: impl Iterator<Item = (&'a String, Header)>,
    options: &OpenOptions,
    path: &Path,
) -> Result<(usize, usize), DataError> {
    let Some((first_name, first)) = first else {
        return Err(DataError::new(ErrorKind::Empty, path.display())
            .found("no readable image")
            .expected("one folder for each class, with images in it")
            .remedy("Check the files."));
    };
    match options.image_size {
        Some((h, w)) if h == 0 || w == 0 || h > 8192 || w > 8192 => {
            Err(DataError::new(ErrorKind::Option, "image size")
                .found(format!("{h} x {w}"))
                .expected("1 to 8192 pixels a side")
                .remedy("For example 64x64."))
        }
        Some(size) => Ok(size),
        None => match all.find(|(_, h)| (h.height, h.width) != (first.height, first.width)) {
            None => Ok((first.height, first.width)),
            Some((name, other)) => Err(DataError::new(
                ErrorKind::ImageSize,
                format!("{}/{name}", path.display()),
            )
            .found(format!("{} x {} pixels", other.height, other.width))
            .expected(format!("{} x {}, as in {first_name}", first.height, first.width))
            .remedy("Resize all images on reading with --image-size, for example --image-size 64x64.")),
        },
    }
}

/// Decodes every image, on all cores, and drops the ones that fail.
fn drop_undecodable(source: &mut ImageFiles, roles: &mut Vec<Option<Role>>, bad: &mut Vec<String>) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let count = source.len();
    let share = count.div_ceil(threads).max(1);
    let shared = &*source;
    let good: Vec<bool> = std::thread::scope(|scope| {
        let check = |start: usize| {
            let range = start..count.min(start + share);
            scope.spawn(move || {
                range
                    .map(|i| shared.with_pixels(i, &mut |_| {}).is_ok())
                    .collect::<Vec<_>>()
            })
        };
        let running: Vec<_> = (0..count).step_by(share).map(check).collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    });
    // A thread that panicked would shorten the list: then nothing is dropped, and reading tells.
    if good.len() != count {
        return;
    }
    bad.extend(
        good.iter()
            .zip(&source.names)
            .filter(|(good, _)| !**good)
            .map(|(_, name)| name.clone()),
    );
    keep_only(&mut source.names, &good);
    keep_only(&mut source.labels, &good);
    keep_only(&mut source.cache, &good);
    keep_only(roles, &good);
}

fn keep_only<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| keep.next().is_none_or(|&k| k));
}

fn skipped_note(bad: &[String]) -> String {
    let named = bad
        .iter()
        .take(LISTED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = bad.len().saturating_sub(LISTED);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{} unreadable images were skipped: {named}{more}.", bad.len())
}

fn check_labels(labels: &[usize], layout: &FolderLayout, path: &Path) -> Result<(), DataError> {
    for (class, name) in layout.classes.iter().enumerate() {
        if !labels.contains(&class) {
            return Err(
                DataError::new(ErrorKind::Empty, format!("{}, class `{name}`", path.display()))
                    .found("no readable image")
                    .expected("at least one")
                    .remedy("Replace the images of this class, or remove its folder."),
            );
        }
    }
    Ok(())
}

/// Roles from the folders' names, with what is missing carved out of train; else by fraction.
fn splits(roles: &[Option<Role>], labels: &[usize], options: &OpenOptions) -> Result<Splits, DataError> {
    if roles.iter().all(Option::is_none) {
        return Splits::by_fraction(labels.len(), Some(labels), options.fractions, options.seed);
    }
    let of = |role| {
        (0..roles.len())
            .filter(|&i| roles[i] == Some(role))
            .collect::<Vec<_>>()
    };
    let splits = Splits {
        train: of(Role::Train),
        validation: of(Role::Validation),
        test: of(Role::Test),
    };
    let missing = |part: &[usize], share: f64| if part.is_empty() { share } else { 0.0 };
    let validation = missing(&splits.validation, options.fractions.validation);
    let test = missing(&splits.test, options.fractions.test);
    splits.carve(Some(labels), validation, test, options.seed)
}
