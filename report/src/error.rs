use std::path::PathBuf;

/// What can go wrong while a figure is drawn or a report is written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An array does not have the shape the figure needs.
    #[error("{figure}: found {found}, expected {expected}")]
    Shape {
        /// The figure that was asked for.
        figure: &'static str,
        /// What was passed.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// The picture could not be encoded as PNG.
    #[error("could not encode a {width} × {height} picture as PNG: {source}")]
    Png {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// The encoder's own words.
        source: image::ImageError,
    },
    /// The report could not be written.
    #[error("could not write the report to {}: {source}; check that the folder exists, may be written to and has space left", path.display())]
    Write {
        /// Where the report was to be.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn shape(figure: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Shape {
            figure,
            found: found.into(),
            expected: expected.into(),
        }
    }
}
