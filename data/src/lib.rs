//! Data for training: sources (images, tables, toys), splits, normalisation, batches.
//!
//! The way of a sample, and where each part is:
//!
//! 1. [`open()`] (`open.rs`) finds out what a name or path is and gives a [`Dataset`] (`dataset.rs`): a
//!    [`Source`] (`source.rs`) with a [`Task`], [`Splits`] (`splits.rs`, lists in `splits/list.rs`) and notes.
//!    Sources: `digits.rs`, `toys.rs`, `images.rs` with `images/` (folders, zips), `idx.rs` (MNIST), `table.rs`
//!    with `table/` (CSV).
//! 2. [`Preprocess`] (`preprocess.rs`) is fitted on the training samples and stored with the model.
//! 3. [`Loader`] (`loader.rs`) gives [`Batch`]es in a seeded order, prepared by threads, changed by [`Augment`]
//!    (`augment.rs`) where asked for.
//!
//! Beside it: `health.rs` checks a data set, `catalogue.rs` lists known ones.
//!
//! Image operations for pictures, apart from this way: `filter/`.
//!
//! Every error is a [`DataError`] (`error.rs`): what was found, what was expected, where, what to do next.
//! Every random draw is keyed by (seed, epoch, sample, purpose): `random.rs`.
//!
//! ```
//! use graticule_data::{open, Loader, LoaderOptions, OpenOptions, Preprocess};
//! let data = open("xor", &OpenOptions::default())?;
//! let preprocess = Preprocess::fit(&data)?;
//! let loader = Loader::new(&data, &data.splits.train, &preprocess, LoaderOptions::default())?;
//! let first = loader.epoch(0).next().transpose()?.map(|batch| batch.inputs.len());
//! assert_eq!(first, Some(32 * 2));
//! # Ok::<(), graticule_data::DataError>(())
//! ```

pub mod augment;
pub mod catalogue;
pub mod dataset;
pub mod digits;
pub mod error;
pub mod filter;
pub mod health;
mod idx;
pub mod images;
pub mod loader;
pub mod open;
pub mod poison;
pub mod preprocess;
pub mod random;
pub mod source;
pub mod splits;
pub mod statistics;
pub mod table;
pub mod toys;

pub use augment::Augment;
pub use dataset::Dataset;
pub use error::{DataError, ErrorKind};
pub use health::{HealthReport, health_check};
pub use loader::{Batch, Epoch, Loader, LoaderOptions, TargetKind};
pub use open::{OpenOptions, TaskKind, open};
pub use preprocess::{ImageEncoding, InputEncoding, Preprocess, PreprocessOptions, Scaling};
pub use source::{Cell, Column, ColumnKind, InputLayout, Raw, Source, Target, Task};
pub use splits::{Fractions, Role, Splits};
pub use table::{TableReader, TableRow, write_csv};
