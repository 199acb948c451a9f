//! The named networks, one file each.
//!
//! ```
//! let model = graticule_zoo::build("lenet5", &[28, 28, 1], 10)?;
//! assert_eq!(model.trainable_count(), 61_706);
//! # Ok::<(), graticule_zoo::ZooError>(())
//! ```
//!
//! A network reads samples of the shape that it is built for and gives one number per output, without
//! a last nonlinearity: the loss has it (softmax for classes, none for regression). To add one, write
//! its file and one line to `names.rs`.

mod alexnet;
mod blocks;
mod capsules;
mod cnn_small;
mod densenet;
mod efficientnet;
mod googlenet;
mod inception;
mod lenet1;
mod lenet5;
mod linear;
mod local;
mod maxout;
mod mlp;
mod mobilenet;
mod names;
mod resnet;
mod resnet_small;
mod squeezenet;
mod unet;
mod vgg;
mod vit;
mod xception;

use graph::{GraphError, Symbol};
use nn::Model;
use nn::model::nearest;
use thiserror::Error;

pub use names::NAMES;

/// One named network.
pub struct Network {
    /// The name that [`build`] knows.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Where it was published, or the curriculum row that describes it.
    pub source: &'static str,
    /// The samples that it was made for.
    pub input: &'static [usize],
    /// The outputs that it was published with.
    pub outputs: usize,
    build: fn(&Symbol, usize) -> Result<Symbol, Problem>,
}

/// Why a network cannot be built.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ZooError {
    /// No network has this name.
    #[error("no network is called `{name}`{hint} (known: {known})")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The nearest names, or nothing.
        hint: String,
        /// All names.
        known: String,
    },
    /// Samples that the network cannot read.
    #[error("{network} needs {expected}, found samples of shape {found:?}; {remedy}")]
    Input {
        /// The network.
        network: &'static str,
        /// What it reads.
        expected: String,
        /// The sample shape given.
        found: Vec<usize>,
        /// What to do.
        remedy: String,
    },
    /// No output was asked for.
    #[error("{network} needs at least one output, found 0: the data has no classes or targets")]
    NoOutputs {
        /// The network.
        network: &'static str,
    },
    /// What the graph says.
    #[error("{network}: {source}")]
    Graph {
        /// The network.
        network: &'static str,
        /// The error.
        source: GraphError,
    },
}

/// What a network's own file can say against an input.
pub(crate) enum Problem {
    Input { expected: String, remedy: String },
    Graph(GraphError),
}

impl From<GraphError> for Problem {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

/// Builds the network `name` for samples of `input_shape` (`[features]`, or `[rows, columns,
/// channels]`) and this many outputs: classes, or targets of a regression.
///
/// # Errors
/// [`ZooError`]: an unknown name with the nearest ones, an input that the network cannot read, or no
/// outputs.
pub fn build(name: &str, input_shape: &[usize], outputs: usize) -> Result<Model, ZooError> {
    let Some(network) = NAMES.iter().find(|n| n.name == name) else {
        return Err(unknown(name));
    };
    check(network.name, input_shape, outputs, |x| {
        Ok(vec![(network.build)(x, outputs)?])
    })
}

/// As [`build`], for training: behind the network's own outputs the model has those of the auxiliary heads that it was
/// published with, where the images are large enough for them. With it comes each head's share of the loss, the paper's
/// 0.3 for GoogLeNet's two and torchvision's 0.4 for Inception-v3's one: loss = own + Σ share · head's. After
/// training the heads are dropped.
///
/// ```
/// let (model, shares) = graticule_zoo::build_for_training("googlenet", &[224, 224, 3], 1000)?;
/// assert_eq!((model.outputs().len(), &shares[..]), (3, &[0.3, 0.3][..]));
/// assert_eq!(model.trainable_count(), 13_004_888);
/// # Ok::<(), graticule_zoo::ZooError>(())
/// ```
///
/// # Errors
/// As [`build`].
pub fn build_for_training(
    name: &str,
    input_shape: &[usize],
    outputs: usize,
) -> Result<(Model, Vec<f64>), ZooError> {
    type Heads = fn(&Symbol, usize) -> Result<Vec<Symbol>, Problem>;
    let (network, heads, share): (_, Heads, _) = match name {
        "googlenet" => (
            "googlenet",
            googlenet::torchvision_in_training,
            googlenet::AUXILIARY,
        ),
        "googlenet-2014" => (
            "googlenet-2014",
            googlenet::paper_in_training,
            googlenet::AUXILIARY,
        ),
        "inception-v3" => ("inception-v3", inception::v3_in_training, inception::AUXILIARY),
        _ => return Ok((build(name, input_shape, outputs)?, Vec::new())),
    };
    let model = check(network, input_shape, outputs, |x| heads(x, outputs))?;
    let shares = vec![share; model.outputs().len() - 1];
    Ok((model, shares))
}

/// The model that `layers` makes of an input of this shape, and errors in the network's name.
fn check(
    network: &'static str,
    input_shape: &[usize],
    outputs: usize,
    layers: impl FnOnce(&Symbol) -> Result<Vec<Symbol>, Problem>,
) -> Result<Model, ZooError> {
    let input_error = |expected: String, remedy: String| ZooError::Input {
        network,
        expected,
        found: input_shape.to_vec(),
        remedy,
    };
    if outputs == 0 {
        return Err(ZooError::NoOutputs { network });
    }
    if input_shape.is_empty() || input_shape.contains(&0) {
        let expected = "at least one number per sample".to_string();
        return Err(input_error(expected, "check the data".into()));
    }
    let input = Symbol::input("input", input_shape.to_vec());
    let model = |made: Vec<Symbol>| Model::with(network, std::slice::from_ref(&input), &made);
    let built = layers(&input).and_then(|made| Ok(model(made)?));
    built.map_err(|problem| match problem {
        Problem::Input { expected, remedy } => input_error(expected, remedy),
        Problem::Graph(source) => ZooError::Graph { network, source },
    })
}

fn unknown(name: &str) -> ZooError {
    let known: Vec<&str> = NAMES.iter().map(|n| n.name).collect();
    let near: Vec<String> = nearest(name, &known).iter().map(|n| format!("`{n}`")).collect();
    ZooError::Unknown {
        name: name.into(),
        hint: match near.is_empty() {
            true => String::new(),
            false => format!("; did you mean {}?", near.join(" or ")),
        },
        known: known.join(", "),
    }
}

/// `[rows, columns]` of an image input of at least `smallest` pixels along both.
pub(crate) fn image_of(x: &Symbol, smallest: usize) -> Result<[usize; 2], Problem> {
    match x.shape()[..] {
        [_, rows, columns, _] if rows.min(columns) >= smallest => Ok([rows, columns]),
        [_, _, _, _] => Err(Problem::Input {
            expected: format!("images of at least {smallest}×{smallest} pixels"),
            remedy: "take `cnn-small` (from 8×8) or `mlp`, or enlarge the images".into(),
        }),
        _ => Err(Problem::Input {
            expected: "images [rows, columns, channels]".into(),
            remedy: "take `mlp` for tables".into(),
        }),
    }
}
