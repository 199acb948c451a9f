//! Windows that slide over an image: padding, stride, dilation and the size of what comes out
//! (curriculum rows I11–I15, X14–X16).

use serde::{Deserialize, Serialize};

use crate::GraphError;

/// How many rows and columns of zeros (or of nothing, for pooling) stand around the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// `[top, bottom, left, right]`.
    Explicit([usize; 4]),
    /// Just as much that the output has ⌈size/stride⌉ rows and columns; an odd one goes below and right.
    Same,
}

/// What happens when the windows do not end flush with the padded image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// It is an error that says the formula with its numbers.
    #[default]
    Exact,
    /// The rows that are left over are not looked at.
    Floor,
}

/// The geometry of a sliding window, height before width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// Distance of neighbouring taps inside the window.
    pub dilation: [usize; 2],
    /// Padding around the image.
    pub padding: Padding,
    /// What happens to left-over rows and columns.
    pub fit: Fit,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::Explicit([0; 4]),
            fit: Fit::Exact,
        }
    }
}

/// A window bound to an image size and a kernel size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundWindow {
    /// Image rows and columns.
    pub image: [usize; 2],
    /// Kernel rows and columns.
    pub kernel: [usize; 2],
    /// Output rows and columns.
    pub output: [usize; 2],
    /// Padding `[top, bottom, left, right]`.
    pub padding: [usize; 4],
    /// Stride.
    pub stride: [usize; 2],
    /// Dilation.
    pub dilation: [usize; 2],
}

impl Window {
    /// Sizes and padding for an image of `[height, width]` and a kernel of `[rows, columns]`:
    /// output = (I − (d·(F − 1) + 1) + P)/S + 1 along each axis.
    ///
    /// # Errors
    /// [`GraphError::DoesNotFit`] with the formula when the output size is not a positive integer
    /// (with [`Fit::Floor`]: not positive).
    pub fn bind(&self, op: &str, image: [usize; 2], kernel: [usize; 2]) -> Result<BoundWindow, GraphError> {
        let mut padding = [0; 4];
        let mut output = [0; 2];
        for axis in 0..2 {
            if self.stride[axis] == 0 || self.dilation[axis] == 0 || kernel[axis] == 0 {
                return Err(GraphError::shape(
                    op,
                    "stride, dilation and kernel size must be at least 1",
                ));
            }
            let reach = self.dilation[axis] * (kernel[axis] - 1) + 1;
            let (before, after) = self.around(axis, image[axis], reach);
            padding[2 * axis] = before;
            padding[2 * axis + 1] = after;
            output[axis] = self.along(op, axis, image[axis], reach, before + after)?;
        }
        Ok(BoundWindow {
            image,
            kernel,
            output,
            padding,
            stride: self.stride,
            dilation: self.dilation,
        })
    }

    fn around(&self, axis: usize, size: usize, reach: usize) -> (usize, usize) {
        match self.padding {
            Padding::Explicit(p) => (p[2 * axis], p[2 * axis + 1]),
            Padding::Same => {
                let stride = self.stride[axis];
                let needed = (size.div_ceil(stride).saturating_sub(1) * stride + reach).saturating_sub(size);
                (needed / 2, needed - needed / 2)
            }
        }
    }

    fn along(
        &self,
        op: &str,
        axis: usize,
        size: usize,
        reach: usize,
        padding: usize,
    ) -> Result<usize, GraphError> {
        let stride = self.stride[axis];
        let room = (size + padding).checked_sub(reach);
        match room {
            Some(room) if room % stride == 0 || self.fit == Fit::Floor || self.padding == Padding::Same => {
                Ok(room / stride + 1)
            }
            _ => {
                let value = (size as f64 - reach as f64 + padding as f64) / stride as f64 + 1.0;
                let around = if padding.is_multiple_of(2) {
                    format!("2·{}", padding / 2)
                } else {
                    padding.to_string()
                };
                Err(GraphError::DoesNotFit {
                    op: op.into(),
                    axis: ["height", "width"][axis],
                    formula: format!("({size} − {reach} + {around})/{stride} + 1 = {}", short(value)),
                })
            }
        }
    }
}

/// Two decimals at most.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

impl BoundWindow {
    /// The image row (axis 0) or column (axis 1) under tap `tap` of output position `at`, if inside.
    pub fn source(&self, axis: usize, at: usize, tap: usize) -> Option<usize> {
        let position =
            (at * self.stride[axis] + tap * self.dilation[axis]).checked_sub(self.padding[2 * axis])?;
        (position < self.image[axis]).then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(size: usize, kernel: usize, stride: usize, padding: usize) -> Result<usize, GraphError> {
        let window = Window {
            stride: [stride; 2],
            padding: Padding::Explicit([padding; 4]),
            ..Window::default()
        };
        window.bind("conv2d", [size; 2], [kernel; 2]).map(|b| b.output[0])
    }

    #[test]
    fn x14_seven_by_seven() {
        assert_eq!(output(7, 3, 1, 0), Ok(5));
        assert_eq!(output(7, 3, 2, 0), Ok(3));
        assert_eq!(output(7, 3, 3, 1), Ok(3));
        let message = output(7, 3, 3, 0).unwrap_err().to_string();
        assert!(message.contains("(7 − 3 + 2·0)/3 + 1 = 2.33"), "{message}");
    }

    #[test]
    fn x16_padding_families() {
        assert_eq!(output(4, 3, 1, 0), Ok(2));
        assert_eq!(output(5, 4, 1, 2), Ok(6));
        assert_eq!(output(5, 3, 1, 1), Ok(5));
        assert_eq!(output(5, 3, 1, 2), Ok(7));
    }

    #[test]
    fn x24_valid_size_is_34() {
        assert_eq!(output(1000, 967, 1, 0), Ok(34));
    }

    #[test]
    fn same_padding_rounds_up_and_puts_the_odd_row_below() {
        let window = Window {
            stride: [2; 2],
            padding: Padding::Same,
            ..Window::default()
        };
        let bound = window.bind("conv2d", [224, 5], [3, 3]).unwrap();
        assert_eq!((bound.output, bound.padding), ([112, 3], [0, 1, 1, 1]));
    }

    #[test]
    fn a_kernel_larger_than_the_image_does_not_fit() {
        let window = Window {
            fit: Fit::Floor,
            ..Window::default()
        };
        let message = window.bind("max_pool", [2, 5], [3, 3]).unwrap_err().to_string();
        assert!(message.contains("(2 − 3 + 2·0)/1 + 1 = 0"), "{message}");
    }
}
