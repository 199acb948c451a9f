//! Figures (SVG, PNG) and the single-file HTML report.
//!
//! This crate knows nothing of networks or data sources: it takes numbers, names and pictures as plain slices
//! and `ndarray` views, and gives back SVG text, PNG bytes, or one HTML file that opens offline.
//!
//! ```
//! use graticule_report::figures::{LineChart, Series, line_chart};
//! use graticule_report::html::Report;
//!
//! let loss = LineChart {
//!     title: "Loss".into(),
//!     x_label: "epoch".into(),
//!     y_label: "cross-entropy".into(),
//!     series: vec![
//!         Series::new("train", vec![(1.0, 0.9), (2.0, 0.4)]),
//!         Series::new("validation", vec![(1.0, 0.8), (2.0, 0.5)]).dashed(),
//!     ],
//!     ..LineChart::default()
//! };
//! let mut report = Report::new("digits-1");
//! report.section("Training").figure(&line_chart(&loss), "Loss after each epoch.");
//! assert!(report.to_html().contains("<svg"));
//! ```

pub mod colour;
mod error;
pub mod figures;
pub mod html;
pub mod png;
mod svg;
mod table;

pub use error::Error;
