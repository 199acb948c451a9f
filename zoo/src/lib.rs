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
//! its file and add one line to `NAMES`.

mod alexnet;
mod blocks;
mod cnn_small;
mod lenet1;
mod lenet5;
mod linear;
mod mlp;
mod resnet;
mod squeezenet;
mod unet;
mod vgg;

use graph::{GraphError, Symbol};
use nn::Model;
use nn::model::nearest;
use thiserror::Error;

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

macro_rules! networks {
    ($($name:literal, $input:expr, $outputs:literal, $about:literal, $source:literal, $build:expr;)*) => {
        /// Every named network, simple ones first.
        pub const NAMES: &[Network] = &[$(Network {
            name: $name,
            about: $about,
            source: $source,
            input: &$input,
            outputs: $outputs,
            build: $build,
        }),*];
    };
}

const DIGIT: [usize; 3] = [28, 28, 1];
const PHOTO: [usize; 3] = [224, 224, 3];

networks! {
    "linear", DIGIT, 10, "linear regression; for classes, softmax regression", "rows L1, L13", linear::outputs;
    "logistic", DIGIT, 10, "logistic regression: linear units read as log-odds", "row L2", linear::outputs;
    "perceptron", DIGIT, 10, "one layer of linear threshold units", "Rosenblatt 1958; rows L3, L4", linear::outputs;
    "mlp", DIGIT, 10, "two hidden layers, sized for the input", "rows L9, L12, L13", mlp::outputs;
    "lenet1", DIGIT, 10, "the first convolutional network for digits", "LeCun et al. 1990", lenet1::outputs;
    "lenet5", DIGIT, 10, "LeNet-5 with ReLU and max-pooling", "LeCun et al. 1998, in today's form", lenet5::modern;
    "lenet5-classic", DIGIT, 10, "LeNet-5 with tanh and average pooling", "LeCun et al. 1998", lenet5::classic;
    "cnn-small", DIGIT, 10, "3×3 convolutions with batch norm, as deep as the image asks for", "Simonyan & Zisserman 2015; Ioffe & Szegedy 2015; Lin et al. 2014", cnn_small::outputs;
    "alexnet", [227, 227, 3], 1000, "`alexnet-2012` for 227×227, `alexnet-torchvision` for other sizes", "Krizhevsky et al. 2012", alexnet::by_size;
    "alexnet-2012", [227, 227, 3], 1000, "AlexNet as courses show it, without groups", "Krizhevsky et al. 2012", alexnet::table;
    "alexnet-grouped", [227, 227, 3], 1000, "AlexNet as it ran, in two groups", "Krizhevsky et al. 2012", alexnet::grouped;
    "alexnet-torchvision", PHOTO, 1000, "AlexNet with fewer filters, for any size", "Krizhevsky 2014", alexnet::torchvision;
    "vgg11", PHOTO, 1000, "3×3 convolutions only, eight of them", "Simonyan & Zisserman 2014", |x, k| vgg::outputs(x, k, vgg::plain(vgg::VGG11));
    "vgg13", PHOTO, 1000, "ten convolutions", "Simonyan & Zisserman 2014", |x, k| vgg::outputs(x, k, vgg::plain(vgg::VGG13));
    "vgg16", PHOTO, 1000, "thirteen convolutions", "Simonyan & Zisserman 2014", |x, k| vgg::outputs(x, k, vgg::plain(vgg::VGG16));
    "vgg19", PHOTO, 1000, "sixteen convolutions", "Simonyan & Zisserman 2014", |x, k| vgg::outputs(x, k, vgg::plain(vgg::VGG19));
    "vgg11-bn", PHOTO, 1000, "VGG-11 with batch norm", "Simonyan & Zisserman 2014; Ioffe & Szegedy 2015", |x, k| vgg::outputs(x, k, vgg::normalised(vgg::VGG11));
    "vgg13-bn", PHOTO, 1000, "VGG-13 with batch norm", "Simonyan & Zisserman 2014; Ioffe & Szegedy 2015", |x, k| vgg::outputs(x, k, vgg::normalised(vgg::VGG13));
    "vgg16-bn", PHOTO, 1000, "VGG-16 with batch norm", "Simonyan & Zisserman 2014; Ioffe & Szegedy 2015", |x, k| vgg::outputs(x, k, vgg::normalised(vgg::VGG16));
    "vgg19-bn", PHOTO, 1000, "VGG-19 with batch norm", "Simonyan & Zisserman 2014; Ioffe & Szegedy 2015", |x, k| vgg::outputs(x, k, vgg::normalised(vgg::VGG19));
    "resnet18", PHOTO, 1000, "residual blocks of two convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET18);
    "resnet34", PHOTO, 1000, "residual blocks of two convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET34);
    "resnet50", PHOTO, 1000, "residual bottlenecks of three convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET50);
    "resnet101", PHOTO, 1000, "residual bottlenecks of three convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET101);
    "resnet152", PHOTO, 1000, "residual bottlenecks of three convolutions", "He et al. 2015", |x, k| resnet::outputs(x, k, &resnet::RESNET152);
    "resnext50", PHOTO, 1000, "ResNet-50 with 32 groups of 4", "Xie et al. 2016", |x, k| resnet::outputs(x, k, &resnet::RESNEXT50);
    "resnext101", PHOTO, 1000, "ResNet-101 with 32 groups of 8", "Xie et al. 2016", |x, k| resnet::outputs(x, k, &resnet::RESNEXT101);
    "resnext101-64x4d", PHOTO, 1000, "ResNet-101 with 64 groups of 4", "Xie et al. 2016", |x, k| resnet::outputs(x, k, &resnet::RESNEXT101_64);
    "se-resnet50", PHOTO, 1000, "ResNet-50 with squeeze and excitation", "Hu et al. 2017", |x, k| resnet::outputs(x, k, &resnet::SE_RESNET50);
    "squeezenet1.0", PHOTO, 1000, "fire modules", "Iandola et al. 2016", squeezenet::version_1_0;
    "squeezenet", PHOTO, 1000, "fire modules, version 1.1", "Iandola et al. 2016", squeezenet::version_1_1;
    "unet", [256, 256, 3], 1, "outputs for each pixel", "Ronneberger et al. 2015", unet::outputs;
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
    let input_error = |expected: String, remedy: String| ZooError::Input {
        network: network.name,
        expected,
        found: input_shape.to_vec(),
        remedy,
    };
    if outputs == 0 {
        return Err(ZooError::NoOutputs {
            network: network.name,
        });
    }
    if input_shape.is_empty() || input_shape.contains(&0) {
        let expected = "at least one number per sample".to_string();
        return Err(input_error(expected, "check the data".into()));
    }
    let input = Symbol::input("input", input_shape.to_vec());
    let built = (network.build)(&input, outputs).and_then(|y| Ok(Model::new(network.name, &input, &y)?));
    built.map_err(|problem| match problem {
        Problem::Input { expected, remedy } => input_error(expected, remedy),
        Problem::Graph(source) => ZooError::Graph {
            network: network.name,
            source,
        },
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
