//! What can be wrong with an image operation that was asked for.

/// Why an image operation cannot be done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// The output size (I − F + 2P)/S + 1 is not a whole number, or smaller than one (row I15).
    #[error("{axis}: {formula} = {value} does not fit; choose another window size, padding or stride")]
    DoesNotFit {
        /// `height` or `width`.
        axis: &'static str,
        /// The formula with its numbers, such as `(7 − 3 + 2·0)/3 + 1`.
        formula: String,
        /// The value of the formula, with two decimals where it is not whole.
        value: String,
    },
    /// A window, stride, sigma or factor outside its range.
    #[error("{name} is {found}, expected {expected}")]
    BadParameter {
        /// The parameter's name.
        name: &'static str,
        /// What was given.
        found: String,
        /// The range that makes sense.
        expected: &'static str,
    },
    /// The image has an axis of length zero.
    #[error("the image is empty: {height} × {width} × {channels} (height × width × channels)")]
    Empty {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
    },
    /// The padded image would need more memory than an image operation is allowed to take.
    #[error(
        "the padded image would be {height} × {width} × {channels} (height × width × channels), the limit is {limit} values; use less padding or a smaller window"
    )]
    TooLarge {
        /// Rows with padding.
        height: usize,
        /// Columns with padding.
        width: usize,
        /// Channels.
        channels: usize,
        /// The most values a padded image may have.
        limit: usize,
    },
}
