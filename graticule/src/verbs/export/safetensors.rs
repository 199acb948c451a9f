//! Parameters as PyTorch has them.

use std::path::Path;

use interchange::{ModelFile, foreign};

use crate::error::Outcome;
use crate::text::thousands;

/// Writes the file, and says what is in it.
pub(super) fn write(file: &ModelFile, path: &Path) -> Outcome<String> {
    let model = file.model()?;
    foreign::write(&model, &file.tensors, path)?;
    let (tensors, numbers) = (file.tensors.len(), thousands(model.parameter_count()));
    Ok(format!("{tensors} tensors, {numbers} numbers"))
}
