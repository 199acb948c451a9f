//! The header of a safetensors file, without its numbers.

use std::io::Read;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::ForeignError;
use super::contents::{Contents, Stored, open, row_major};
use super::numbers::Numbers;

/// The longest header that is read, as in the format's own reader.
const MAX_HEADER: u64 = 100_000_000;
/// The length of the header stands in the first bytes.
const LENGTH: u64 = 8;

/// Whether a safetensors file begins like this: the header's length, then its brace.
pub(crate) fn begins(first: &[u8]) -> bool {
    first.get(LENGTH as usize) == Some(&b'{')
}

/// The tensors of the file, and whether it is a model file of ours.
pub(crate) fn contents(path: &Path) -> Result<(Contents, bool), ForeignError> {
    let (mut file, bytes) = open(path)?;
    let broken = |reason: String| ForeignError::Broken {
        path: path.into(),
        format: "safetensors",
        reason,
    };
    let io = |source| ForeignError::io("read", path, source);
    let mut length = [0; LENGTH as usize];
    if bytes < LENGTH {
        return Err(broken(format!("it has {bytes} bytes, too few for a header")));
    }
    file.read_exact(&mut length).map_err(io)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER.min(bytes - LENGTH) {
        return Err(broken(format!(
            "its header would have {length} bytes, the file has {bytes}"
        )));
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text).map_err(io)?;
    let header: Metadata = serde_json::from_slice(&text).map_err(|e| broken(e.to_string()))?;
    let expected = (header.data_len() as u64).saturating_add(LENGTH + length);
    if bytes != expected {
        return Err(broken(format!(
            "it has {bytes} bytes, its header asks for {expected}"
        )));
    }
    let ours = header
        .metadata()
        .as_ref()
        .is_some_and(|m| m.contains_key(crate::model_file::KEY));
    let mut tensors = Vec::new();
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else {
            continue;
        };
        let Some(numbers) = numbers(info.dtype) else {
            return Err(broken(format!(
                "`{name}` holds {:?} numbers, which are not read",
                info.dtype
            )));
        };
        tensors.push(Stored {
            strides: row_major(&info.shape),
            shape: info.shape.clone(),
            numbers,
            start: LENGTH + length + info.data_offsets.0 as u64,
            name,
        });
    }
    let path = path.into();
    Ok((Contents { path, file, tensors }, ours))
}

fn numbers(kind: Dtype) -> Option<Numbers> {
    Some(match kind {
        Dtype::F64 => Numbers::F64,
        Dtype::F32 => Numbers::F32,
        Dtype::F16 => Numbers::F16,
        Dtype::BF16 => Numbers::Bf16,
        Dtype::I64 => Numbers::I64,
        Dtype::I32 => Numbers::I32,
        Dtype::I16 => Numbers::I16,
        Dtype::I8 => Numbers::I8,
        Dtype::U8 => Numbers::U8,
        Dtype::BOOL => Numbers::Bool,
        _ => return None,
    })
}
