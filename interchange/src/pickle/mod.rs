//! Files that `torch.save` wrote, read without running anything of what they say.
//!
//! Both forms are known: the zip (since PyTorch 1.6) with `data.pkl` and a file for each storage, and the older one, five
//! pickles and then the storages (`older.rs`). A pickle is a program; `machine.rs` follows the part of it that tensors and
//! containers of plain values need. `state.rs` finds the named tensors in what comes out.

mod archive;
mod build;
mod machine;
mod older;
mod opcodes;
mod state;
mod stream;
mod value;

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::foreign::ForeignError;
use crate::foreign::contents::{Contents, Stored, extent, open};
use value::Tensor;

/// What a zip begins with.
const ZIP: &[u8] = b"PK\x03\x04";

/// What is wrong with a pickle, and where; the path is added above.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// Damaged, or not of the format.
    Broken { at: u64, what: String },
    /// Sound, but it asks for something that is not done.
    Refused { at: u64, what: String },
}

impl Fault {
    fn broken(at: u64, what: String) -> Self {
        Self::Broken { at, what }
    }

    fn short(at: u64) -> Self {
        Self::broken(at, "the file ends in the middle".into())
    }

    fn told(self, path: &Path) -> ForeignError {
        let path = path.into();
        match self {
            Self::Broken { at, what } => ForeignError::Broken {
                path,
                format: "PyTorch",
                reason: format!("at byte {at}: {what}"),
            },
            Self::Refused { at, what } => ForeignError::Refused { path, at, what },
        }
    }
}

/// Whether a file of PyTorch's begins like this.
pub(crate) fn is_pytorch(first: &[u8]) -> bool {
    first.starts_with(ZIP)
        || (first.first() == Some(&opcodes::op::PROTO) && first.get(1).is_some_and(|&v| v <= 5))
}

/// The named tensors of a file that `torch.save` wrote.
pub(crate) fn contents(path: &Path) -> Result<Contents, ForeignError> {
    let (mut file, length) = open(path)?;
    let mut first = [0; ZIP.len()];
    let io = |source| ForeignError::io("read", path, source);
    let zipped = length >= ZIP.len() as u64 && file.read_exact(&mut first).is_ok() && first == *ZIP;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let read = if zipped {
        archive::read(&file, length)
    } else {
        older::read(&file, length)
    };
    let tensors = read.map_err(|fault| fault.told(path))?;
    let path = path.into();
    Ok(Contents { path, file, tensors })
}

/// Where a storage lies in the file, in bytes from its beginning, and how many numbers it has.
type Places = HashMap<String, (u64, u64)>;

/// Tensors with their place in the file, each checked to lie inside its storage.
fn placed(named: Vec<(String, &Tensor)>, places: &Places) -> Result<Vec<Stored>, Fault> {
    let place = |(name, tensor): (String, &Tensor)| {
        let key = &tensor.storage.key;
        let Some(&(start, count)) = places.get(key) else {
            return Err(Fault::broken(
                0,
                format!("the numbers of `{name}` (storage `{key}`) are missing"),
            ));
        };
        let end = extent(&tensor.shape, &tensor.strides).and_then(|n| tensor.offset.checked_add(n as u64));
        if end.is_none_or(|end| end > count) {
            return Err(Fault::broken(
                start,
                format!(
                    "`{name}` of shape {:?}, strides {:?} and offset {} does not lie inside its {count} numbers",
                    tensor.shape, tensor.strides, tensor.offset
                ),
            ));
        }
        let numbers = tensor.storage.numbers;
        Ok(Stored {
            name,
            shape: tensor.shape.clone(),
            strides: tensor.strides.clone(),
            numbers,
            start: start + tensor.offset * numbers.size() as u64,
        })
    };
    named.into_iter().map(place).collect()
}
