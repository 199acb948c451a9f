//! IDX files, the format of MNIST and its relatives, packed with gzip or not.

use crate::images::MemoryImages;
use crate::{DataError, Dataset, ErrorKind, OpenOptions, Splits, Task};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest number of pixel bytes of a data set.
const MAX_BYTES: u64 = 8 << 30;
/// Validation samples taken from train: enough to choose settings, without starving training.
const VALIDATION: f64 = 5000.0;
/// Deflate cannot expand a byte to more than this.
const MAX_EXPANSION: u64 = 1032;

/// The files of one role.
struct Pair {
    images: PathBuf,
    labels: PathBuf,
}

/// The IDX files of a folder.
pub(crate) struct IdxFiles {
    train: Pair,
    test: Option<Pair>,
}

/// Looks for IDX files in `folder`; `None` where there is none.
pub(crate) fn find(folder: &Path) -> Result<Option<IdxFiles>, DataError> {
    let entries = std::fs::read_dir(folder).map_err(|e| DataError::io(folder, &e))?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
    files.sort();
    let named = |words: &[&str], kind: &str| {
        let fits = |path: &&PathBuf| {
            let name = path
                .file_name()
                .map(|n| n.to_string_lossy().to_lowercase())
                .unwrap_or_default();
            name.contains("idx") && name.contains(kind) && words.iter().any(|word| name.contains(word))
        };
        files.iter().find(fits).cloned()
    };
    let pair = |words: &[&str]| match (named(words, "images"), named(words, "labels")) {
        (Some(images), Some(labels)) => Ok(Some(Pair { images, labels })),
        (None, None) => Ok(None),
        (images, labels) => {
            let found = images.or(labels).unwrap_or_default();
            Err(DataError::new(ErrorKind::NotFound, folder.display())
                .found(format!("`{}` without its partner", found.display()))
                .expected("an images file and a labels file")
                .remedy("Put both files of each part into the folder."))
        }
    };
    let (train, test) = (pair(&["train"])?, pair(&["t10k", "test"])?);
    Ok(train.map(|train| IdxFiles { train, test }))
}

/// An open IDX file whose header has been read.
struct IdxReader {
    path: PathBuf,
    reader: Box<dyn Read>,
    dimensions: Vec<usize>,
}

impl IdxReader {
    fn open(path: &Path, dimensions: &[usize]) -> Result<Self, DataError> {
        let io = |e: std::io::Error| DataError::io(path, &e);
        let file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let packed = std::io::BufRead::fill_buf(&mut file)
            .map_err(io)?
            .starts_with(&[0x1f, 0x8b]);
        let mut reader: Box<dyn Read> = if packed {
            Box::new(flate2::bufread::GzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut magic = [0u8; 4];
        read_exactly(path, &mut reader, &mut magic, "the 4 bytes of the magic number")?;
        if magic[..3] != [0, 0, 8] || !dimensions.contains(&magic[3].into()) {
            return Err(DataError::new(ErrorKind::Unreadable, path.display())
                .found(format!("the magic number {magic:02x?}"))
                .expected(format!(
                    "[00, 00, 08, n]: unsigned bytes with n = {dimensions:?} dimensions"
                ))
                .remedy("Check that this is an IDX file, and images and labels are not swapped."));
        }
        let mut sizes = Vec::new();
        for _ in 0..magic[3] {
            let mut word = [0u8; 4];
            read_exactly(path, &mut reader, &mut word, "the sizes of the header")?;
            sizes.push(u32::from_be_bytes(word) as usize);
        }
        let bytes = sizes
            .iter()
            .try_fold(1u64, |n, &s| n.checked_mul(s as u64))
            .unwrap_or(u64::MAX);
        let possible = if packed {
            size.saturating_mul(MAX_EXPANSION)
        } else {
            size
        };
        if bytes > possible.min(MAX_BYTES) || bytes == 0 {
            return Err(DataError::new(ErrorKind::Unreadable, path.display())
                .found(format!(
                    "a header that speaks of {sizes:?} = {bytes} bytes, in a file of {size} bytes"
                ))
                .expected("as much data as the header says")
                .remedy("The file is truncated or damaged: get it again."));
        }
        Ok(Self {
            path: path.to_owned(),
            reader,
            dimensions: sizes,
        })
    }

    fn read(mut self, out: &mut [u8]) -> Result<(), DataError> {
        read_exactly(
            &self.path,
            &mut self.reader,
            out,
            &format!("{} bytes of data", out.len()),
        )?;
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(DataError::new(ErrorKind::Unreadable, self.path.display())
                .found("more data than the header says")
                .expected(format!("{:?} bytes", self.dimensions))
                .remedy("The file is damaged: get it again.")),
            Err(e) => Err(DataError::io(&self.path, &e)),
        }
    }
}

fn read_exactly(path: &Path, reader: &mut dyn Read, out: &mut [u8], what: &str) -> Result<(), DataError> {
    reader.read_exact(out).map_err(|e| {
        DataError::new(ErrorKind::Unreadable, path.display())
            .found(format!("a file that ends too early or is damaged ({e})"))
            .expected(what)
            .remedy("The file is truncated: get it again.")
    })
}

/// Opens the files: the official test part stays the test set, validation is taken from train.
pub(crate) fn open(folder: &Path, files: &IdxFiles, options: &OpenOptions) -> Result<Dataset, DataError> {
    let name = folder
        .file_name()
        .map_or_else(|| "idx".into(), |n| n.to_string_lossy().into_owned());
    let parts: Vec<&Pair> = std::iter::once(&files.train).chain(&files.test).collect();
    let mut readers = Vec::new();
    for pair in &parts {
        readers.push((
            IdxReader::open(&pair.images, &[3, 4])?,
            IdxReader::open(&pair.labels, &[1])?,
        ));
    }
    let shape = readers[0].0.dimensions[1..].to_vec();
    for (images, labels) in &readers {
        check_pair(images, labels, &shape)?;
    }
    let counts: Vec<usize> = readers.iter().map(|(_, labels)| labels.dimensions[0]).collect();
    let size: usize = shape.iter().product();
    // One buffer of the final size: the pixels are never held twice.
    let mut pixels = vec![0u8; counts.iter().sum::<usize>() * size];
    let mut labels = vec![0u8; counts.iter().sum()];
    let (mut pixel_rest, mut label_rest) = (&mut pixels[..], &mut labels[..]);
    for ((images, labels), &count) in readers.into_iter().zip(&counts) {
        let (head, tail) = pixel_rest.split_at_mut(count * size);
        images.read(head)?;
        pixel_rest = tail;
        let (head, tail) = label_rest.split_at_mut(count);
        labels.read(head)?;
        label_rest = tail;
    }
    let first = check_labels(&labels, &parts, counts[0])?;
    let classes = usize::from(labels.iter().max().copied().unwrap_or(0) - first) + 1;
    labels.iter_mut().for_each(|l| *l -= first);
    let splits = splits(&labels, counts[0], options)?;
    let task = Task::Classification {
        classes: (0..classes)
            .map(|c| (c + usize::from(first)).to_string())
            .collect(),
    };
    let shape = (shape[0], shape[1], shape.get(2).copied().unwrap_or(1));
    let source = Arc::new(MemoryImages::new(&name, shape, pixels, labels)?);
    Ok(Dataset {
        name,
        task,
        source,
        splits,
        notes: Vec::new(),
        citation: None,
    })
}

fn check_pair(images: &IdxReader, labels: &IdxReader, shape: &[usize]) -> Result<(), DataError> {
    let error = DataError::new(ErrorKind::Unreadable, images.path.display());
    if images.dimensions[0] != labels.dimensions[0] {
        return Err(error
            .found(format!("{} images", images.dimensions[0]))
            .expected(format!(
                "{}, the number of labels in {}",
                labels.dimensions[0],
                labels.path.display()
            ))
            .remedy("Check that the files belong together."));
    }
    if images.dimensions[1..] != *shape {
        return Err(error
            .found(format!("images of {:?}", &images.dimensions[1..]))
            .expected(format!("{shape:?}, as in the training file"))
            .remedy("Check that the files belong together."));
    }
    Ok(())
}

/// The lowest label; all labels must run from it (0 or 1) without a gap as far as the training labels do.
fn check_labels(labels: &[u8], parts: &[&Pair], train: usize) -> Result<u8, DataError> {
    let mut seen = [false; 256];
    labels[..train].iter().for_each(|&l| seen[usize::from(l)] = true);
    let first = u8::from(!seen[0]);
    let end = (usize::from(first)..256).find(|&l| !seen[l]).unwrap_or(256);
    let outside = |l: u8| usize::from(l) >= end || l < first;
    if let Some(place) = labels.iter().position(|&l| outside(l)) {
        let label = labels[place];
        let (pair, place) = if place < train {
            (parts[0], place)
        } else {
            (parts[1], place - train)
        };
        return Err(DataError::new(
            ErrorKind::LabelRange,
            format!("{}, label {place}", pair.labels.display()),
        )
        .found(format!("the label {label}"))
        .expected(format!(
            "one from {first} to {}, the labels that training has without a gap",
            end.saturating_sub(1)
        ))
        .remedy("Correct the label, or remove the sample from both files."));
    }
    if end - usize::from(first) < 2 {
        return Err(DataError::new(ErrorKind::OneClass, parts[0].labels.display())
            .found(format!("one class only, `{first}`"))
            .expected("at least two classes")
            .remedy("Check that this is the right file."));
    }
    Ok(first)
}

fn splits(labels: &[u8], train: usize, options: &OpenOptions) -> Result<Splits, DataError> {
    let classes: Vec<usize> = labels.iter().map(|&l| l.into()).collect();
    if train == labels.len() {
        return Splits::by_fraction(train, Some(&classes), options.fractions, options.seed);
    }
    let validation = options.fractions.validation.min(VALIDATION / train as f64);
    let official = Splits {
        train: (0..train).collect(),
        validation: Vec::new(),
        test: (train..labels.len()).collect(),
    };
    official.carve(Some(&classes), validation, 0.0, options.seed)
}
