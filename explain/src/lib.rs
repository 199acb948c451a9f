//! Explains what a network says: which pixels, bands and columns matter for an output.
//!
//! One call for every method, [`explain`]: a [`Subject`] (the network), inputs, a [`Target`] (which output, and where)
//! and a [`Method`]; back comes an [`Explanation`] with a map in the size of the inputs. [`faithfulness`] measures
//! whether a map names what the network really uses; [`feature_space`] shows the features that it decides by, and
//! [`seen`] what it sees in data: feature maps, the patches that units answer most to, samples in the plane of its features.
//!
//! ```
//! use engine::{Engine, Parameters};
//! use graticule_explain::{Method, Reading, Subject, Target, explain};
//! use nn::prelude::*;
//! // A "network" whose one number is 3·x₀ − x₂.
//! let x = Symbol::input("x", [3]);
//! let w = Symbol::parameter("weight", [3, 1], Default::default());
//! let model = Model::new("linear", &x, &x.matmul(&w)?)?;
//! let mut parameters = Parameters::new(&[("weight".into(), w)]);
//! parameters.set("weight", &[3.0, 0.0, -1.0])?;
//!
//! let mut subject = Subject::new(&Engine::new(1), &model, &parameters, Reading::Numbers)?;
//! let inputs = ndarray::arr2(&[[2.0, 5.0, 4.0]]).into_dyn();
//! let told = explain(&mut subject, &inputs, &Target::predicted(), &Method::GradientTimesInput)?;
//! assert_eq!(told.map, ndarray::arr2(&[[6.0, 0.0, -4.0]]).into_dyn());
//! assert_eq!(told.predictions, [2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! All methods work in batches of bounded memory ([`Subject`]), and give the same bits for any number of threads.

pub mod attack;
mod error;
mod explanation;
mod faithfulness;
mod features;
mod fill;
mod grad_cam;
mod gradient;
mod guided;
mod integrated;
mod layers;
pub mod looks;
mod method;
mod occlusion;
mod permutation;
mod random;
mod rise;
pub mod seen;
mod smooth;
mod subject;
mod target;

pub use error::ExplainError;
pub use explanation::{Completeness, Explanation};
pub use faithfulness::{Curves, Faithfulness, faithfulness, random_map};
pub use features::{FeatureSpace, feature_space};
pub use fill::Fill;
pub use grad_cam::GradCam;
pub use integrated::IntegratedGradients;
pub use layers::{layers, spatial_layers, weighted_layers};
pub use method::{Method, explain};
pub use occlusion::Occlusion;
pub use permutation::{Importance, Permutation, permutation_importance};
pub use rise::Rise;
pub use smooth::SmoothGrad;
pub use subject::{MEMORY, Progress, Reading, Subject};
pub use target::{Place, Target, Which};
