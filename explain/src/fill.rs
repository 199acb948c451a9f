//! What stands where something is hidden.

use crate::ExplainError;

/// The encoded value of each band where a picture is hidden, or of a baseline. Encoded inputs have mean 0 over the
/// training samples, so that the usual fill, 0, is their mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Fill(pub Vec<f32>);

impl Default for Fill {
    fn default() -> Self {
        Self(vec![0.0])
    }
}

impl Fill {
    /// One number for each of `bands`.
    pub(crate) fn bands(&self, bands: usize) -> Result<Vec<f32>, ExplainError> {
        let finite = self.0.iter().all(|v| v.is_finite());
        match self.0.len() {
            1 if finite => Ok(vec![self.0[0]; bands]),
            n if n == bands && finite => Ok(self.0.clone()),
            _ => Err(ExplainError::setting(
                "fill",
                format!("{:?}", self.0),
                format!("one finite number, or one for each of the {bands} bands"),
            )),
        }
    }
}
