//! [`open`]: one word or path in, a data set out.

use crate::{DataError, Dataset, ErrorKind, Fractions, digits, idx, images, splits, table, toys};
use std::path::{Path, PathBuf};

/// What to learn, where the source leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// One class for each sample.
    Classification,
    /// A number for each sample.
    Regression,
}

/// Choices for [`open`]; the defaults fit most sources.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Target column of a table.
    pub target: Option<String>,
    /// Overrides what is inferred from the target.
    pub task: Option<TaskKind>,
    /// A list of roles: CSV with the columns `file` and `split`.
    pub splits: Option<PathBuf>,
    /// Shares of train, validation and test where the source does not say.
    pub fractions: Fractions,
    /// At most so many training samples of each class.
    pub per_class: Option<usize>,
    /// Seed of the split and of synthetic sets.
    pub seed: u64,
    /// Noise of synthetic sets, 0 to 1.
    pub noise: f64,
    /// Number of samples of synthetic sets.
    pub samples: Option<usize>,
    /// Leaves out unreadable images and rows without a target, and says so in the notes.
    pub skip_bad: bool,
    /// Resizes every image to this height and width.
    pub image_size: Option<(usize, usize)>,
    /// Brings every image to so many bands, 1 or 3; as the files have them where not given.
    pub channels: Option<usize>,
    /// Table columns to leave out.
    pub exclude: Vec<String>,
    /// Table columns that hold categories although they look like numbers.
    pub categorical: Vec<String>,
    /// Words for missing cells besides the usual ones.
    pub missing: Vec<String>,
    /// Delimiter of a table; found from the header line where not given.
    pub delimiter: Option<u8>,
    /// Decoded images kept in memory, in bytes.
    pub cache_bytes: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            target: None,
            task: None,
            splits: None,
            fractions: Fractions::default(),
            per_class: None,
            seed: 0,
            noise: 0.0,
            samples: None,
            skip_bad: false,
            image_size: None,
            channels: None,
            exclude: Vec::new(),
            categorical: Vec::new(),
            missing: Vec::new(),
            delimiter: None,
            cache_bytes: 256 << 20,
        }
    }
}

/// Opens a data set by name (`digits`, or a toy such as `spiral`) or by path.
///
/// ```
/// use graticule_data::{open, OpenOptions};
/// let options = OpenOptions { noise: 0.1, samples: Some(200), ..OpenOptions::default() };
/// assert_eq!(open("spiral", &options)?.len(), 200);
/// assert!(open("no-such-thing", &options).is_err());
/// # Ok::<(), graticule_data::DataError>(())
/// ```
///
/// # Errors
/// When the source does not exist, cannot be read, or is not fit to learn from; the message says what to do.
pub fn open(source: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    let mut dataset = if source == "digits" {
        digits::dataset(options.fractions, options.seed)?
    } else if let Some(toy) = toys::Toy::by_name(source) {
        let OpenOptions {
            samples,
            noise,
            fractions,
            seed,
            ..
        } = *options;
        toys::dataset(
            toy,
            toys::ToyOptions {
                samples,
                noise,
                fractions,
                seed,
            },
        )?
    } else {
        open_path(Path::new(source), options)?
    };
    dataset = images::changed::as_asked(dataset, options)?;
    if let Some(list) = &options.splits {
        let listed = splits::list::read(list, dataset.source.as_ref())?;
        if listed.unlisted > 0 {
            dataset.notes.push(format!(
                "{} samples are not in {} and are left out.",
                listed.unlisted,
                list.display()
            ));
        }
        dataset.splits = listed.splits;
    }
    dataset.splits.check(dataset.len())?;
    match options.per_class {
        Some(count) => few_per_class(dataset, count, options.seed),
        None => Ok(dataset),
    }
}

fn few_per_class(mut dataset: Dataset, count: usize, seed: u64) -> Result<Dataset, DataError> {
    let Some(classes) = dataset.labels()? else {
        return Err(DataError::new(ErrorKind::Option, &dataset.name)
            .found(format!("{count} training samples for each class asked for"))
            .expected("samples of one class each")
            .remedy("Leave it out: numbers have no classes."));
    };
    let before = dataset.splits.train.len();
    dataset.splits = std::mem::take(&mut dataset.splits).few_per_class(&classes, count, seed);
    let kept = dataset.splits.train.len();
    dataset.notes.push(format!(
        "At most {count} training samples of each class: {kept} of {before}."
    ));
    Ok(dataset)
}

fn open_path(path: &Path, options: &OpenOptions) -> Result<Dataset, DataError> {
    if path.is_dir() {
        return match idx::find(path)? {
            Some(files) => idx::open(path, &files, options),
            None => images::open_folder(path, options),
        };
    }
    if !path.is_file() {
        return Err(not_found(&path.display().to_string()));
    }
    let name = path.to_string_lossy().to_lowercase();
    if name.ends_with(".zip") {
        return images::open_zip(path, options);
    }
    if images::decode::is_image_name(&name) || name.contains("ubyte") {
        return Err(DataError::new(ErrorKind::Option, path.display())
            .found("a single file of a data set")
            .expected("the folder that holds the whole set")
            .remedy("Give the folder: one folder for each class of images, or one with all IDX files."));
    }
    table::open(path, options)
}

fn not_found(source: &str) -> DataError {
    let toys: Vec<&str> = toys::Toy::ALL.into_iter().map(toys::Toy::name).collect();
    DataError::new(ErrorKind::NotFound, source)
        .found("no file, folder or data set of this name")
        .expected(format!(
            "a CSV table, a folder of class folders, a zip of one, a folder of IDX files, `digits`, or one of {}",
            toys.join(", ")
        ))
        .remedy("Check the path.")
}
