//! Weights that other programs trained: into a network, and out again.
//!
//! [`load`] reads a safetensors file with PyTorch's names, a file that `torch.save` wrote, or a model file of ours into a
//! network that is there already; [`write()`] writes one that `safetensors.torch.load_file` reads.
//! PyTorch's layout is turned into ours once, here: see `layout.rs`. Names are the concern of `names.rs`.

pub(crate) mod contents;
mod error;
mod layout;
mod names;
pub(crate) mod numbers;
mod safetensors;
mod suggest;

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;

use nn::Model;

use crate::{ModelFile, Tensor, TensorProblem, pickle};
use contents::Contents;
pub use error::ForeignError;
use layout::{Layout, layouts};

/// Numbers for a network, in its own names and layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// The parameters, running statistics included, in the order of the model.
    pub tensors: Vec<Tensor>,
    /// Parameters of the head, and of heads that serve training alone, that the file has none for (only after [`load_body`]).
    pub left_out: Vec<String>,
    /// Tensors of the file that the network does without, such as `num_batches_tracked`.
    pub ignored: Vec<String>,
}

/// What becomes of a last layer that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    MustFit,
    MayDiffer,
}

/// The parameters of `model` from a file: safetensors with the names of torchvision or of another source that
/// `names.rs` knows, or a model file of ours.
///
/// ```
/// use graticule_interchange::foreign;
/// use nn::prelude::*;
/// let x = Symbol::input("x", [2]);
/// let model = Model::new("small", &x, &Dense::new(3).name("fc").on(&x)?)?;
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("small.safetensors");
/// # let tensor = |name: &str, shape: &[usize], values: &[f32]| graticule_interchange::Tensor {
/// #     name: name.into(), shape: shape.to_vec(), values: values.to_vec() };
/// # let given = [tensor("fc.weight", &[2, 3], &[1., 2., 3., 4., 5., 6.]), tensor("fc.bias", &[3], &[0.; 3])];
/// foreign::write(&model, &given, &path)?;
/// let weights = foreign::load(&model, &path)?;
/// assert_eq!(weights.tensors[0].shape, [2, 3]); // [in, out]; the file has [out, in]
/// assert_eq!(weights.tensors[0].values, [1., 2., 3., 4., 5., 6.]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ForeignError::Tensors`] lists every tensor that is missing, unknown or of another shape; the other errors
/// say why the file could not be read.
pub fn load(model: &Model, path: &Path) -> Result<Weights, ForeignError> {
    load_with(model, path, Head::MustFit)
}

/// As [`load`], but where the last layer does not fit (a file for other classes) it is left out, and so is what does not
/// fit of GoogLeNet's and Inception's auxiliary heads: [`Weights::left_out`] names their parameters.
///
/// # Errors
/// As [`load`], for all layers but the last.
pub fn load_body(model: &Model, path: &Path) -> Result<Weights, ForeignError> {
    load_with(model, path, Head::MayDiffer)
}

fn load_with(model: &Model, path: &Path, head: Head) -> Result<Weights, ForeignError> {
    let first = first_bytes(path)?;
    if pickle::is_pytorch(&first) {
        return from_contents(model, pickle::contents(path)?, head);
    }
    if !safetensors::begins(&first) {
        let (path, found) = (path.into(), format!("{:02x?}", &first[..first.len().min(8)]));
        return Err(ForeignError::Unknown { path, found });
    }
    let (contents, ours) = safetensors::contents(path)?;
    if ours {
        return from_model_file(model, path, head);
    }
    from_contents(model, contents, head)
}

/// The first bytes, by which formats are told apart.
fn first_bytes(path: &Path) -> Result<Vec<u8>, ForeignError> {
    let mut first = Vec::new();
    let (file, _) = contents::open(path)?;
    let read = file.take(16).read_to_end(&mut first);
    read.map_err(|source| ForeignError::io("read", path, source))?;
    Ok(first)
}

fn from_contents(model: &Model, mut contents: Contents, head: Head) -> Result<Weights, ForeignError> {
    let layouts = layouts(model);
    let shapes: Vec<Vec<usize>> = layouts.iter().map(|l| l.torch.clone()).collect();
    let names: Vec<&str> = contents.tensors.iter().map(|t| t.name.as_str()).collect();
    let names = names::unwrapped(&names);
    let found: Vec<(&str, &[usize])> = names
        .into_iter()
        .zip(contents.tensors.iter().map(|t| &t.shape[..]))
        .collect();
    let matched = matched(model, &shapes, &found, head, &contents.path)?;
    let mut tensors = Vec::new();
    for ((parameter, layout), place) in model.parameters().iter().zip(&layouts).zip(&matched.places) {
        let Some(place) = *place else { continue };
        let mut values = vec![0.0; parameter.count()];
        let mut bad = None;
        contents.read(place, layout.run(), |first, numbers| {
            bad = bad.or(numbers.iter().copied().find(|v| !v.is_finite()));
            layout.put(&mut values, first, numbers);
        })?;
        if let Some(value) = bad {
            let (path, name) = (contents.path, contents.tensors[place].name.clone());
            return Err(ForeignError::NotFinite { path, name, value });
        }
        tensors.push(Tensor {
            name: parameter.name.clone(),
            shape: parameter.shape().to_vec(),
            values,
        });
    }
    Ok(Weights {
        tensors,
        left_out: matched.left_out,
        ignored: matched.ignored,
    })
}

fn from_model_file(model: &Model, path: &Path, head: Head) -> Result<Weights, ForeignError> {
    let mut file = ModelFile::read(path)?;
    let shapes: Vec<Vec<usize>> = model.parameters().iter().map(|p| p.shape().to_vec()).collect();
    let found: Vec<(&str, &[usize])> = file.tensors.iter().map(|t| (&t.name[..], &t.shape[..])).collect();
    let matched = matched(model, &shapes, &found, head, path)?;
    let taken = matched.places.iter().flatten().map(|&place| Tensor {
        name: file.tensors[place].name.clone(),
        shape: std::mem::take(&mut file.tensors[place].shape),
        values: std::mem::take(&mut file.tensors[place].values),
    });
    Ok(Weights {
        tensors: taken.collect(),
        left_out: matched.left_out,
        ignored: matched.ignored,
    })
}

/// Which tensor of a file each parameter takes.
struct Matched {
    places: Vec<Option<usize>>,
    left_out: Vec<String>,
    ignored: Vec<String>,
}

/// Finds each parameter's tensor by name, in the dialect that knows most of them, and checks the shapes.
fn matched(
    model: &Model,
    shapes: &[Vec<usize>],
    found: &[(&str, &[usize])],
    head: Head,
    path: &Path,
) -> Result<Matched, ForeignError> {
    let by_name: HashMap<&str, usize> = found
        .iter()
        .enumerate()
        .map(|(i, (name, _))| (*name, i))
        .collect();
    let ours: Vec<&str> = model.parameters().iter().map(|p| p.name.as_str()).collect();
    let mut dialects = names::dialects(&ours);
    let hits = |names: &Vec<String>| names.iter().filter(|n| by_name.contains_key(n.as_str())).count();
    // The first of equals: our own names.
    let best = (0..dialects.len())
        .rev()
        .max_by_key(|&d| hits(&dialects[d]))
        .unwrap_or(0);
    let wanted = dialects.swap_remove(best);
    let mut places: Vec<Option<usize>> = wanted.iter().map(|n| by_name.get(n.as_str()).copied()).collect();
    let fits = |k: usize| places[k].is_some_and(|place| found[place].1 == shapes[k]);
    let wrong: Vec<usize> = (0..ours.len()).filter(|&k| !fits(k)).collect();
    let head_layer = head_of(&ours);
    let in_head = |k: usize| layer_of(ours[k]) == head_layer;
    let replaces = head == Head::MayDiffer && wrong.iter().any(|&k| in_head(k)) && wrong.len() < ours.len();
    // A head that serves training alone may be missing from the file, or be for other classes, in a part of its layers.
    let auxiliary = |k: usize| head == Head::MayDiffer && names::is_auxiliary(ours[k]) && !fits(k);
    let leaves: Vec<bool> = (0..ours.len())
        .map(|k| (replaces && in_head(k)) || auxiliary(k))
        .collect();
    let mut left_out = Vec::new();
    let mut taken: HashSet<usize> = places.iter().flatten().copied().collect();
    for k in (0..ours.len()).filter(|&k| leaves[k]) {
        left_out.push(ours[k].to_string());
        places[k] = None;
    }
    let mut problems: Vec<TensorProblem> = wrong
        .iter()
        .filter(|&&k| !leaves[k])
        .map(|&k| misfit(&wanted[k], &shapes[k], places[k].map(|place| found[place].1)))
        .collect();
    let their_head = wanted.last().map_or("", |name| layer_of(name));
    let mut ignored = Vec::new();
    for (place, (name, shape)) in found.iter().enumerate() {
        let idle = names::is_idle(name) || (replaces && layer_of(name) == their_head);
        match taken.insert(place) {
            true if idle => ignored.push(name.to_string()),
            true => problems.push(TensorProblem::Unexpected {
                name: name.to_string(),
                found: shape.to_vec(),
            }),
            false => {}
        }
    }
    if problems.is_empty() {
        return Ok(Matched {
            places,
            left_out,
            ignored,
        });
    }
    let fit = ours.len() - wrong.len();
    let suggestion = suggest::suggestion(&problems, fit, &wanted, found);
    let (path, model, expected) = (path.into(), model.name().into(), ours.len());
    Err(ForeignError::Tensors {
        path,
        model,
        fit,
        expected,
        problems,
        suggestion,
    })
}

fn misfit(name: &str, expected: &[usize], found: Option<&[usize]>) -> TensorProblem {
    let (name, expected) = (name.to_string(), expected.to_vec());
    match found {
        None => TensorProblem::Missing { name, expected },
        Some(found) => TensorProblem::Shape {
            name,
            found: found.to_vec(),
            expected,
        },
    }
}

/// The layer of the last parameter: what gives the network's outputs.
fn head_of<'a>(ours: &[&'a str]) -> &'a str {
    ours.last().map_or("", |name| layer_of(name))
}

fn layer_of(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(layer, _)| layer)
}

/// The names and shapes that PyTorch gives the parameters of `model`: torchvision's names, where torchvision has the network.
pub fn names_and_shapes(model: &Model) -> Vec<(String, Vec<usize>)> {
    let names = model.parameters().iter().map(|p| p.name.clone());
    names
        .zip(layouts(model).into_iter().map(|layout| layout.torch))
        .collect()
}

/// Writes `tensors`, parameters of `model` in our layout, as safetensors with PyTorch's names and layout.
///
/// # Errors
/// [`ForeignError::Own`] when a tensor is no parameter of the model or the file cannot be written.
pub fn write(model: &Model, tensors: &[Tensor], path: &Path) -> Result<(), ForeignError> {
    let own = |problems| crate::ModelFileError::Tensors {
        path: path.into(),
        problems,
    };
    let layouts: HashMap<&str, Layout> = model
        .parameters()
        .iter()
        .map(|p| p.name.as_str())
        .zip(layouts(model))
        .collect();
    let mut turned = Vec::new();
    for tensor in tensors {
        let parameter = model.parameter(&tensor.name);
        let Some((parameter, layout)) = parameter.zip(layouts.get(tensor.name.as_str())) else {
            let (name, found) = (tensor.name.clone(), tensor.shape.clone());
            return Err(own(vec![TensorProblem::Unexpected { name, found }]).into());
        };
        if parameter.shape()[..] != tensor.shape[..] || parameter.count() != tensor.values.len() {
            let (name, found, shape) = (tensor.name.clone(), tensor.values.len(), tensor.shape.clone());
            return Err(own(vec![TensorProblem::Length { name, found, shape }]).into());
        }
        turned.push(Tensor {
            name: tensor.name.clone(),
            shape: layout.torch.clone(),
            values: layout.to_torch(&tensor.values),
        });
    }
    let list = turned.iter().map(|t| (t.name.as_str(), t));
    // The key by which the format's users know who wrote the file.
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let bytes = ::safetensors::serialize(list, Some(metadata))
        .map_err(|error| crate::error::of_format(path.into(), 0, &error))?;
    crate::write_atomically(path, &bytes).map_err(|source| ForeignError::io("write", path, source))
}

#[cfg(test)]
mod tests;
