//! The one error type of this wing: what was found, what was expected, where, and what to do next.

use std::fmt::Display;
use std::path::Path;

/// What kind of thing is wrong, for callers that branch on it; the text of the error is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source names nothing: no such file, folder, embedded or synthetic set.
    NotFound,
    /// The operating system refused a read or a write.
    Io,
    /// There is nothing to learn from: no image, no row.
    Empty,
    /// A classification set with fewer than two classes.
    OneClass,
    /// A file that cannot be decoded: truncated, damaged, or of another format.
    Unreadable,
    /// Images of different sizes, or of another size than the model takes.
    ImageSize,
    /// Images with another number of channels than the model takes.
    Channels,
    /// A table cell that is not what its column holds.
    Cell,
    /// A column that is not in the table.
    MissingColumn,
    /// A target that is missing or not a number.
    Target,
    /// A class label outside the range of the others.
    LabelRange,
    /// A file larger than the limits allow.
    Limit,
    /// An archive entry whose name would leave its folder, or that is encrypted.
    UnsafeArchive,
    /// A split that overlaps, names unknown samples or leaves a role empty.
    Split,
    /// An option or argument that makes no sense here.
    Option,
}

/// An error with four parts: place, finding, expectation, remedy.
///
/// ```
/// use graticule_data::{DataError, ErrorKind};
/// let error = DataError::new(ErrorKind::Cell, "houses.csv, row 7, column `rooms`")
///     .found("the text `many`")
///     .expected("a number")
///     .remedy("Correct the cell.");
/// assert_eq!(error.to_string(),
///     "houses.csv, row 7, column `rooms`: found the text `many`; expected a number. Correct the cell.");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{place}: found {found}; expected {expected}. {remedy}")]
pub struct DataError {
    /// What kind of error it is.
    pub kind: ErrorKind,
    /// The file and the place in it.
    pub place: String,
    /// What was found there.
    pub found: String,
    /// What was expected instead.
    pub expected: String,
    /// What to do next.
    pub remedy: String,
}

impl DataError {
    /// An error of `kind` at `place`; fill in the rest with the methods below.
    pub fn new(kind: ErrorKind, place: impl Display) -> Self {
        Self {
            kind,
            place: place.to_string(),
            found: "something unusable".into(),
            expected: "usable data".into(),
            remedy: String::new(),
        }
    }

    /// Says what was found.
    pub fn found(mut self, found: impl Display) -> Self {
        self.found = found.to_string();
        self
    }

    /// Says what was expected.
    pub fn expected(mut self, expected: impl Display) -> Self {
        self.expected = expected.to_string();
        self
    }

    /// Says what to do next, as a sentence.
    pub fn remedy(mut self, remedy: impl Display) -> Self {
        self.remedy = remedy.to_string();
        self
    }

    /// A failed read or write of `path`.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, path.display())
            .found(format!("the system error `{error}`"))
            .expected("a file that can be read and written")
            .remedy("Check that the path exists, that you may use it, and that the disk is not full.")
    }
}
