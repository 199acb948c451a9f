//! Padding families and output sizes (rows I11–I15).

use ndarray::{Array3, ArrayView3, s};

use super::FilterError;

/// The most values a padded image may have (1 GiB of `f32`).
pub const LARGEST_PADDED: usize = 1 << 28;

/// The longest side a window may have.
pub const LARGEST_WINDOW: usize = 1 << 14;

/// How far a window may reach over the border (rows I11–I13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// The window stays inside: M − k + 1 outputs at stride 1.
    Valid,
    /// Half padding, k − 1 cells in all: as many outputs as inputs at stride 1, ⌈I/S⌉ at stride S.
    /// Of an even window the larger half lies at the bottom and right.
    #[default]
    Same,
    /// k − 1 cells on each side: every position in which window and image share a cell.
    Full,
    /// A count of cells for each side.
    Explicit(Sides),
}

/// Cells that are added on each side of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sides {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the left.
    pub left: usize,
    /// Columns on the right.
    pub right: usize,
}

impl Padding {
    /// The same count of cells on all four sides: the P of (I − F + 2P)/S + 1.
    pub fn explicit(cells: usize) -> Self {
        Self::Explicit(Sides {
            top: cells,
            bottom: cells,
            left: cells,
            right: cells,
        })
    }

    /// Keeps the size for a window anchored at its top-left cell: all padding lies at the bottom and right (row I11).
    pub fn top_left(height: usize, width: usize) -> Self {
        let sides = Sides {
            bottom: height.saturating_sub(1),
            right: width.saturating_sub(1),
            ..Sides::default()
        };
        Self::Explicit(sides)
    }

    /// The cells on each side for a window of `height` × `width`.
    pub fn sides(self, height: usize, width: usize) -> Sides {
        let (rows, columns) = (height.saturating_sub(1), width.saturating_sub(1));
        match self {
            Self::Valid => Sides::default(),
            Self::Same => Sides {
                top: rows / 2,
                bottom: rows - rows / 2,
                left: columns / 2,
                right: columns - columns / 2,
            },
            Self::Full => Sides {
                top: rows,
                bottom: rows,
                left: columns,
                right: columns,
            },
            Self::Explicit(sides) => sides,
        }
    }
}

/// What stands in the padded cells: a parameter, as deck 000 says (row I12).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum PadValue {
    /// 0.
    #[default]
    Zero,
    /// One chosen value.
    Constant(f32),
    /// The image mirrored at its border, the border cell repeated: `c b a | a b c | c b a`.
    Symmetric,
}

/// Where a window goes: padding, what the padding holds, and the stride of both axes (row I14).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// How far the window may reach over the border.
    pub padding: Padding,
    /// What it finds there.
    pub pad_value: PadValue,
    /// Cells between two positions, at least 1.
    pub stride: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            padding: Padding::Same,
            pad_value: PadValue::Zero,
            stride: 1,
        }
    }
}

impl Window {
    /// A window that stays inside the image.
    pub fn valid() -> Self {
        Self {
            padding: Padding::Valid,
            ..Self::default()
        }
    }

    /// The same window with another stride.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same window with another padding.
    pub fn padding(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// The same window with another value in the padding.
    pub fn pad_value(self, pad_value: PadValue) -> Self {
        Self { pad_value, ..self }
    }
}

/// The output size (I − F + 2P)/S + 1 of one axis (row I15): I cells in, window F, P cells of padding a side, stride S.
///
/// ```
/// use graticule_data::filter::output_size;
/// assert_eq!(output_size(7, 3, 1, 3).unwrap(), 3);
/// let error = output_size(7, 3, 0, 3).unwrap_err().to_string();
/// assert!(error.contains("(7 − 3 + 2·0)/3 + 1 = 2.33 does not fit"));
/// ```
///
/// # Errors
/// When the formula gives no whole number of at least one, or window or stride is 0.
pub fn output_size(input: usize, window: usize, padding: usize, stride: usize) -> Result<usize, FilterError> {
    axis_size("axis", input, window, (padding, padding), stride)
}

/// The output height and width of a window on an image of height × width (`[H, W]`).
///
/// [`Padding::Same`] always fits: ⌈I/S⌉.
///
/// # Errors
/// As [`output_size`], with the axis named.
pub fn output_shape(
    image: [usize; 2],
    window: [usize; 2],
    place: &Window,
) -> Result<[usize; 2], FilterError> {
    check_at_least_one("stride", place.stride)?;
    check_at_least_one("window height", window[0])?;
    check_at_least_one("window width", window[1])?;
    if place.padding == Padding::Same {
        return Ok(image.map(|cells| cells.div_ceil(place.stride)));
    }
    let sides = place.padding.sides(window[0], window[1]);
    Ok([
        axis_size(
            "height",
            image[0],
            window[0],
            (sides.top, sides.bottom),
            place.stride,
        )?,
        axis_size(
            "width",
            image[1],
            window[1],
            (sides.left, sides.right),
            place.stride,
        )?,
    ])
}

pub(super) fn check_at_least_one(name: &'static str, found: usize) -> Result<(), FilterError> {
    if found == 0 {
        return Err(FilterError::BadParameter {
            name,
            found: "0".into(),
            expected: "at least 1",
        });
    }
    Ok(())
}

/// A window's side that is used to reserve memory or counted squared.
pub(super) fn check_size(name: &'static str, found: usize) -> Result<(), FilterError> {
    if (1..=LARGEST_WINDOW).contains(&found) {
        return Ok(());
    }
    Err(FilterError::BadParameter {
        name,
        found: found.to_string(),
        expected: "1 to 16384",
    })
}

pub(super) fn check_image(image: &ArrayView3<f32>) -> Result<(), FilterError> {
    let (height, width, channels) = image.dim();
    if image.is_empty() {
        return Err(FilterError::Empty {
            height,
            width,
            channels,
        });
    }
    Ok(())
}

fn axis_size(
    axis: &'static str,
    input: usize,
    window: usize,
    (before, after): (usize, usize),
    stride: usize,
) -> Result<usize, FilterError> {
    check_at_least_one("stride", stride)?;
    check_at_least_one("window", window)?;
    let padded = input.saturating_add(before).saturating_add(after);
    if padded >= window && (padded - window).is_multiple_of(stride) {
        return Ok((padded - window) / stride + 1);
    }
    let around = if before == after {
        format!("2·{before}")
    } else {
        format!("{before} + {after}")
    };
    let value = (padded as f64 - window as f64) / stride as f64 + 1.0;
    Err(FilterError::DoesNotFit {
        axis,
        formula: format!("({input} − {window} + {around})/{stride} + 1"),
        value: if value.fract() == 0.0 {
            format!("{value}")
        } else {
            format!("{value:.2}")
        },
    })
}

/// Adds cells around an image `[H, W, C]`.
///
/// # Errors
/// When the image is empty or the result would have more than [`LARGEST_PADDED`] values.
pub fn pad(image: ArrayView3<f32>, sides: Sides, value: PadValue) -> Result<Array3<f32>, FilterError> {
    check_image(&image)?;
    let (height, width, channels) = image.dim();
    let rows = height.saturating_add(sides.top).saturating_add(sides.bottom);
    let columns = width.saturating_add(sides.left).saturating_add(sides.right);
    if rows.saturating_mul(columns).saturating_mul(channels) > LARGEST_PADDED {
        return Err(FilterError::TooLarge {
            height: rows,
            width: columns,
            channels,
            limit: LARGEST_PADDED,
        });
    }
    let fill = match value {
        PadValue::Constant(value) => value,
        PadValue::Zero | PadValue::Symmetric => 0.0,
    };
    let mut padded = Array3::from_elem((rows, columns, channels), fill);
    if value == PadValue::Symmetric {
        for ((y, x, c), cell) in padded.indexed_iter_mut() {
            *cell = image[[mirror(y, sides.top, height), mirror(x, sides.left, width), c]];
        }
    } else {
        let inside = s![sides.top..sides.top + height, sides.left..sides.left + width, ..];
        padded.slice_mut(inside).assign(&image);
    }
    Ok(padded)
}

/// The image cell that the padded position shows; the mirrored pattern repeats every 2·len cells.
fn mirror(position: usize, before: usize, len: usize) -> usize {
    let period = 2 * len;
    let phase = (position + period - before % period) % period;
    if phase < len { phase } else { period - 1 - phase }
}
