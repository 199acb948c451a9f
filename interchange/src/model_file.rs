//! The self-describing model file, and checkpoints in the same format.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use nn::{Architecture, Model};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ModelFileError, TensorProblem, of_format};
use crate::write_atomically;

/// The version of the format, in the description's `format`.
pub const FORMAT: u64 = 1;
/// The largest file that is read (16 GiB).
pub const MAX_BYTES: u64 = 16 << 30;
/// The key of the description among the safetensors metadata.
pub(crate) const KEY: &str = "graticule";
/// Stands before the names of tensors that are no parameters.
const EXTRA: &str = "state:";

/// A named tensor of f32 numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name; for a parameter the one that [`Model`] gives it.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers, as many as the shape has elements.
    pub values: Vec<f32>,
}

/// Everything that a trained network needs to be used, or a training run to go on.
///
/// In the file the parameters keep their names, other tensors stand under `state:NAME`, and all else is
/// one JSON text under the metadata key `graticule`. The same contents always give the same bytes.
///
/// ```
/// use graph::Symbol;
/// use graticule_interchange::{ModelFile, Tensor};
/// let x = Symbol::input("x", [2]);
/// let y = x.mul(&Symbol::parameter("scale", [2], Default::default()))?;
/// let mut file = ModelFile::new(&nn::Model::new("scaled", &x, &y)?);
/// file.tensors.push(Tensor { name: "scale".into(), shape: vec![2], values: vec![0.5, 2.0] });
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("scaled.safetensors");
/// file.write(&path)?;
/// assert_eq!(ModelFile::read(&path)?, file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// The network.
    pub architecture: Architecture,
    /// How inputs were prepared; what it means is the data wing's concern.
    pub preprocessing: Value,
    /// What the outputs are: class names, units, bands.
    pub task: Value,
    /// Where a run stands (step, optimizer, random seed); null in a finished model.
    pub state: Value,
    /// Notes for people: date, source, scores.
    pub metadata: BTreeMap<String, String>,
    /// The parameters, in the order of the architecture once read.
    pub tensors: Vec<Tensor>,
    /// Tensors that are no parameters, such as an optimizer's moments; sorted by name once read.
    pub extras: Vec<Tensor>,
}

/// The JSON text under [`KEY`].
#[derive(Serialize, Deserialize)]
struct Description<'a> {
    format: u64,
    architecture: Cow<'a, Architecture>,
    #[serde(default)]
    preprocessing: Cow<'a, Value>,
    #[serde(default)]
    task: Cow<'a, Value>,
    #[serde(default)]
    state: Cow<'a, Value>,
    #[serde(default)]
    metadata: Cow<'a, BTreeMap<String, String>>,
}

/// What is looked at first, so that a later format is named instead of misread.
#[derive(Deserialize)]
struct Version {
    format: u64,
}

impl ModelFile {
    /// A file for `model`, to which tensors and descriptions are to be added.
    pub fn new(model: &Model) -> Self {
        Self {
            architecture: model.architecture(),
            preprocessing: Value::Null,
            task: Value::Null,
            state: Value::Null,
            metadata: BTreeMap::new(),
            tensors: Vec::new(),
            extras: Vec::new(),
        }
    }

    /// Builds the network that the file describes.
    ///
    /// # Errors
    /// [`nn::ArchitectureError`] when the architecture is not valid; one that was read always is.
    pub fn model(&self) -> Result<Model, nn::ArchitectureError> {
        Model::from_architecture(&self.architecture)
    }

    /// The parameter of this name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|t| t.name == name)
    }

    /// The extra tensor of this name.
    pub fn extra(&self, name: &str) -> Option<&Tensor> {
        self.extras.iter().find(|t| t.name == name)
    }

    /// Writes the file under a temporary name, flushes it to the disk and renames it to `path`, so that
    /// `path` holds the old file or the new one, whole.
    ///
    /// # Errors
    /// [`ModelFileError::Tensors`] when the tensors are not those of the architecture;
    /// [`ModelFileError::Io`] when the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ModelFileError> {
        let bytes = self.to_bytes(path)?;
        write_atomically(path, &bytes).map_err(|source| ModelFileError::Io {
            action: "write",
            path: path.into(),
            source,
        })
    }

    /// Reads and checks a file: the architecture builds, and the tensors are its parameters.
    ///
    /// # Errors
    /// [`ModelFileError`] says the file, what was found and what was expected.
    pub fn read(path: &Path) -> Result<Self, ModelFileError> {
        let io = |source| ModelFileError::Io {
            action: "read",
            path: path.into(),
            source,
        };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_BYTES {
            return Err(ModelFileError::TooLarge {
                path: path.into(),
                found: size,
                limit: MAX_BYTES,
            });
        }
        let bytes = std::fs::read(path).map_err(io)?;
        Self::from_bytes(&bytes, path)
    }

    /// The file's contents; `path` serves the messages.
    ///
    /// # Errors
    /// As [`ModelFile::write`].
    pub fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, ModelFileError> {
        self.check(path)?;
        let description = Description {
            format: FORMAT,
            architecture: Cow::Borrowed(&self.architecture),
            preprocessing: Cow::Borrowed(&self.preprocessing),
            task: Cow::Borrowed(&self.task),
            state: Cow::Borrowed(&self.state),
            metadata: Cow::Borrowed(&self.metadata),
        };
        let text = serde_json::to_string(&description).map_err(|source| ModelFileError::Description {
            path: path.into(),
            source,
        })?;
        // One key only: the format's writer puts several in an order that changes from run to run.
        let metadata = HashMap::from([(KEY.to_string(), text)]);
        let parameters = self.tensors.iter().map(|t| (t.name.clone(), t));
        let extras = self.extras.iter().map(|t| (format!("{EXTRA}{}", t.name), t));
        safetensors::serialize(parameters.chain(extras), Some(metadata))
            .map_err(|error| of_format(path.into(), 0, &error))
    }

    /// Reads a file's contents; `path` serves the messages.
    ///
    /// # Errors
    /// As [`ModelFile::read`].
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, ModelFileError> {
        let wrong = |error| of_format(path.into(), bytes.len(), &error);
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
        let text = header.metadata().as_ref().and_then(|m| m.get(KEY));
        let text = text.ok_or_else(|| ModelFileError::NotSelfDescribing { path: path.into() })?;
        let description = describe(text, path)?;
        let mut file = ModelFile {
            architecture: description.architecture.into_owned(),
            preprocessing: description.preprocessing.into_owned(),
            task: description.task.into_owned(),
            state: description.state.into_owned(),
            metadata: description.metadata.into_owned(),
            tensors: Vec::new(),
            extras: Vec::new(),
        };
        file.take_tensors(&SafeTensors::deserialize(bytes).map_err(wrong)?, path)?;
        file.check(path)?;
        Ok(file)
    }

    fn take_tensors(&mut self, tensors: &SafeTensors, path: &Path) -> Result<(), ModelFileError> {
        let order: HashMap<&str, usize> = self
            .architecture
            .parameters
            .iter()
            .map(String::as_str)
            .zip(0..)
            .collect();
        let mut problems = Vec::new();
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                problems.push(TensorProblem::DataType {
                    name: name.into(),
                    found: format!("{:?}", view.dtype()),
                });
                continue;
            }
            let (name, list) = match name.strip_prefix(EXTRA) {
                Some(rest) if !order.contains_key(name) => (rest, &mut self.extras),
                _ => (name, &mut self.tensors),
            };
            list.push(Tensor {
                name: name.into(),
                shape: view.shape().to_vec(),
                values: numbers(view.data()),
            });
        }
        self.extras.sort_by(|a, b| a.name.cmp(&b.name));
        let place = |t: &Tensor| order.get(t.name.as_str()).copied().unwrap_or(usize::MAX);
        self.tensors
            .sort_by(|a, b| (place(a), &a.name).cmp(&(place(b), &b.name)));
        problems.sort_by_key(TensorProblem::to_string);
        told(problems, path)
    }

    /// Whether the architecture builds and the tensors are its parameters.
    fn check(&self, path: &Path) -> Result<(), ModelFileError> {
        let model = self.model().map_err(|source| ModelFileError::Architecture {
            path: path.into(),
            source,
        })?;
        let found: HashMap<&str, &Tensor> = self.tensors.iter().map(|t| (t.name.as_str(), t)).collect();
        let mut problems = Vec::new();
        for parameter in model.parameters() {
            let expected = parameter.shape().to_vec();
            let name = parameter.name.clone();
            match found.get(name.as_str()) {
                None => problems.push(TensorProblem::Missing { name, expected }),
                Some(tensor) if tensor.shape != expected => problems.push(TensorProblem::Shape {
                    name,
                    found: tensor.shape.clone(),
                    expected,
                }),
                Some(_) => {}
            }
        }
        for tensor in self.tensors.iter().filter(|t| model.parameter(&t.name).is_none()) {
            problems.push(TensorProblem::Unexpected {
                name: tensor.name.clone(),
                found: tensor.shape.clone(),
            });
        }
        problems.extend(of_lists([&self.tensors, &self.extras]));
        told(problems, path)
    }
}

/// What is wrong with tensors whatever the architecture.
fn of_lists(lists: [&Vec<Tensor>; 2]) -> Vec<TensorProblem> {
    let mut problems = Vec::new();
    for list in lists {
        let mut seen = HashSet::new();
        for tensor in list {
            if !seen.insert(&tensor.name) {
                let name = tensor.name.clone();
                problems.push(TensorProblem::Twice { name });
            }
            let elements = tensor
                .shape
                .iter()
                .try_fold(1usize, |n, &axis| n.checked_mul(axis));
            if elements != Some(tensor.values.len()) {
                problems.push(TensorProblem::Length {
                    name: tensor.name.clone(),
                    found: tensor.values.len(),
                    shape: tensor.shape.clone(),
                });
            }
        }
    }
    problems
}

fn told(problems: Vec<TensorProblem>, path: &Path) -> Result<(), ModelFileError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(ModelFileError::Tensors {
        path: path.into(),
        problems,
    })
}

fn describe(text: &str, path: &Path) -> Result<Description<'static>, ModelFileError> {
    let wrong = |source| ModelFileError::Description {
        path: path.into(),
        source,
    };
    let Version { format } = serde_json::from_str(text).map_err(wrong)?;
    if format != FORMAT {
        return Err(ModelFileError::Version {
            path: path.into(),
            found: format,
            supported: FORMAT,
        });
    }
    serde_json::from_str(text).map_err(wrong)
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}
