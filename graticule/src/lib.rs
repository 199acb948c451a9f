//! Trains neural networks on images and tables, and shows what came out.
//!
//! A network is written as a graph of symbols, differentiated, compiled to a planned program, and
//! trained to bits that depend on the seed alone. From data to a test score:
//!
//! ```
//! use graticule::prelude::*;
//!
//! let digits = open("digits", &OpenOptions::default())?;
//! let preprocess = Preprocess::fit(&digits)?;
//! let settings = Settings { epochs: 10, batch: 32, ..Settings::default() };
//!
//! let image = Symbol::input("image", [8, 8, 1]);
//! let x = Conv2d::new(8, 3).padding(Same).activation(Relu).on(&image)?;
//! let x = MaxPool2d::new(2).on(&x)?;
//! let logits = Dense::new(10).on(&Flatten.on(&x)?)?;
//! let model = Model::new("tiny", &image, &logits)?;
//!
//! let options = training_loader_options(&settings, digits.splits.train.len());
//! let train = Loader::new(&digits, &digits.splits.train, &preprocess, options)?;
//! let test = Loader::new(&digits, &digits.splits.test, &preprocess, LoaderOptions::default())?;
//! let network = Network::new(&Engine::default(), model, preprocess, settings.seed)?;
//! let mut trainer = Trainer::new(network, settings, train.target_kind(), train.batches())?;
//! fit(&mut trainer, &Run { train, validation: None, files: None }, None, &mut Silent)?;
//!
//! let mut network = trainer.into_network();
//! let accuracy = score(&predict(&mut network, &test)?, network.task()).score;
//! assert!(accuracy > 0.9, "test accuracy {accuracy}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Shapes are checked while the network is built, and an impossible one says its formula:
//!
//! ```
//! use graticule::prelude::*;
//! let image = Symbol::input("image", [7, 7, 1]);
//! let error = Conv2d::new(1, 3).stride(3).on(&image).unwrap_err();
//! assert!(error.to_string().contains("= 2.33"), "{error}");
//! ```
//!
//! Any directed acyclic graph can be differentiated, with respect to parameters and inputs, and run
//! without a training loop:
//!
//! ```
//! use graticule::prelude::*;
//! // ∂/∂x Σ (w·x)² = 2w²x, with w = 3 and x = 1, 2.
//! let x = Symbol::input("x", [1]);
//! let w = Symbol::parameter("w", [1, 1], Default::default());
//! let y = x.matmul(&w)?;
//! let slope = differentiate(&y.mul(&y)?.sum()?, &[x.clone()])?;
//!
//! let mut parameters = Parameters::new(&[("w".into(), w)]);
//! parameters.set("w", &[3.0])?;
//! let request = Request::outputs(&slope);
//! let mut program =
//!     Program::compile(&Engine::new(1), &request, parameters.layout(), &Binding::batch(2))?;
//! program.set_input("x", &[1.0, 2.0])?;
//! program.run(&mut parameters, 0)?;
//! assert_eq!(program.output(0), [18.0, 36.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The wings of the house stand here under their own names, lowest first: [`graph`], [`engine`] and
//! [`nn`], [`zoo`], [`interchange`], [`data`], [`report`], [`explain`], [`train`]. [`prelude`] gathers what most
//! programs need. The command-line program of the same name is made of the same parts.

pub use data;
pub use engine;
pub use explain;
pub use graph;
pub use interchange;
pub use nn;
pub use report;
pub use train;
pub use zoo;

/// What most programs need: `use graticule::prelude::*;`.
pub mod prelude {
    pub use data::{
        Augment, Batch, Dataset, Loader, LoaderOptions, OpenOptions, Preprocess, Role, Task, filter, open,
    };
    pub use engine::{Engine, Parameters, Program, Request};
    pub use graph::{Binding, Mode, Shape, differentiate, lower};
    pub use interchange::ModelFile;
    pub use nn::metrics;
    pub use nn::model::summary;
    pub use nn::prelude::*;
    pub use train::{
        Network, Observer, Run, RunFiles, Settings, Silent, Trainer, fit, predict, score,
        training_loader_options,
    };
}
