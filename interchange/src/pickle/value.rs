//! What a pickle may hold, and nothing else.

use crate::foreign::numbers::Numbers;

/// The place of a value among all values of a pickle. Values know each other by it, as Python's do by reference,
/// so that a dictionary may get its items after others have come to know it.
pub(super) type Id = usize;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, little-endian.
    Big(Vec<u8>),
    Float(f64),
    Text(String),
    /// Bytes, which no weights need: not kept.
    Bytes,
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(Tensor),
}

/// The functions and classes that may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`, whose first four arguments are the same.
    RebuildTensor,
    RebuildParameter,
    Storage(Numbers),
}

impl Global {
    pub(super) fn of(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch" | "torch.storage" | "torch.cuda", _) => Self::Storage(storage_of(name)?),
            _ => return None,
        })
    }
}

fn storage_of(name: &str) -> Option<Numbers> {
    Some(match name {
        "DoubleStorage" => Numbers::F64,
        "FloatStorage" => Numbers::F32,
        "HalfStorage" => Numbers::F16,
        "BFloat16Storage" => Numbers::Bf16,
        "LongStorage" => Numbers::I64,
        "IntStorage" => Numbers::I32,
        "ShortStorage" => Numbers::I16,
        "CharStorage" => Numbers::I8,
        "ByteStorage" => Numbers::U8,
        "BoolStorage" => Numbers::Bool,
        _ => return None,
    })
}

/// A run of numbers that lies outside of the pickle.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) numbers: Numbers,
    /// How many there are, as the pickle says.
    pub(super) count: u64,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}
