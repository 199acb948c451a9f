//! The messages of an ONNX file, declared by hand after `onnx.proto` (IR version 14), field by field.
//!
//! What a network never holds is left out (training information, devices, quantisation annotations,
//! opaque types); a reader of protocol buffers skips fields it does not know. Scalars whose absence
//! means nothing but their default are plain; the others are options, because a checker asks whether they are set.

use prost::{Enumeration, Message, Oneof};

/// A whole file: one graph and the operator sets its nodes are written in.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// The version of the format itself (10 is read by every ONNX Runtime since 1.18).
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// Which program wrote the file.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// A reversed domain name of whoever made the model.
    #[prost(string, tag = "4")]
    pub domain: String,
    /// The version of the model, counted by its maker.
    #[prost(int64, tag = "5")]
    pub model_version: i64,
    /// Words for people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// The network.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// The operator sets that nodes may come from, with their versions.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Named values that mean nothing to the format.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Functions that nodes of the graph may call by name.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionProto>,
}

/// An operator set: the empty domain is ONNX's own.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// The empty string or `ai.onnx` for ONNX's own operators.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// The version of the set.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A named value.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// Its name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Nodes in an order in which each reads only what was made before it, initialisers, inputs and outputs.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// The nodes, in topological order.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// The graph's name, which must not be empty.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Tensors with numbers: weights and constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Words for people.
    #[prost(string, tag = "10")]
    pub doc_string: String,
    /// The values a caller gives (before IR version 4: and every initialiser).
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// The values a caller gets.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types and shapes of values between.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
    /// Sparse initialisers.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<SparseTensorProto>,
    /// Named values that mean nothing to the format.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// One operator, with the names of what it reads and makes.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of operands; an empty name is an optional operand left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of results; an empty name is an optional result left out.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// The node's own name, which may be empty.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator, `Conv` for example.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// The operator's attributes.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// Words for people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// The operator set the operator belongs to.
    #[prost(string, tag = "7")]
    pub domain: String,
    /// Which of several functions of one name is called.
    #[prost(string, tag = "8")]
    pub overload: String,
    /// Named values that mean nothing to the format.
    #[prost(message, repeated, tag = "9")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A named value fixed when the graph is written. Exactly the field that `kind` names is set.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// The attribute's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A number.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// A whole number.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// Text.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// A graph inside the graph, which `If`, `Loop` and `Scan` run.
    #[prost(message, optional, tag = "6")]
    pub g: Option<GraphProto>,
    /// Numbers.
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    /// Whole numbers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Several texts.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    /// Several tensors.
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<TensorProto>,
    /// Several graphs.
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<GraphProto>,
    /// Words for people.
    #[prost(string, tag = "13")]
    pub doc_string: String,
    /// A type.
    #[prost(message, optional, tag = "14")]
    pub tp: Option<TypeProto>,
    /// Which field holds the value, one of [`AttributeType`]; absent in files of IR version 1.
    #[prost(enumeration = "AttributeType", tag = "20")]
    pub r#type: i32,
    /// In a function: the attribute of the function whose value this one takes.
    #[prost(string, tag = "21")]
    pub ref_attr_name: String,
    /// A sparse tensor.
    #[prost(message, optional, tag = "22")]
    pub sparse_tensor: Option<SparseTensorProto>,
}

/// Which field of an [`AttributeProto`] is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum AttributeType {
    Undefined = 0,
    Float = 1,
    Int = 2,
    String = 3,
    Tensor = 4,
    Graph = 5,
    Floats = 6,
    Ints = 7,
    Strings = 8,
    Tensors = 9,
    Graphs = 10,
    SparseTensor = 11,
    SparseTensors = 12,
    TypeProto = 13,
    TypeProtos = 14,
}

/// Numbers in row-major order, in `raw_data` (little-endian) or in the field of their type.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// The shape; no dimensions mean one number.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// The element type, one of [`DataType`].
    #[prost(enumeration = "DataType", tag = "2")]
    pub data_type: i32,
    /// Numbers of `Float` and the parts of `Complex64`.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Numbers of every type of at most 32 bits but `Float`; half-precision ones by their bits.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Texts.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Numbers of `Int64`.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// The tensor's name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// All numbers as bytes, little-endian.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Numbers of `Double` and the parts of `Complex128`.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Numbers of `Uint32` and `Uint64`.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Words for people.
    #[prost(string, tag = "12")]
    pub doc_string: String,
    /// Where the bytes lie in another file: `location`, `offset`, `length`.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// 1 where the bytes lie in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum DataType {
    Undefined = 0,
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Uint16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    Uint32 = 12,
    Uint64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    Bfloat16 = 16,
    Float8e4m3fn = 17,
    Float8e4m3fnuz = 18,
    Float8e5m2 = 19,
    Float8e5m2fnuz = 20,
    Uint4 = 21,
    Int4 = 22,
    Float4e2m1 = 23,
    Float8e8m0 = 24,
    Uint2 = 25,
    Int2 = 26,
}

/// A tensor of which only some numbers are written.
#[derive(Clone, PartialEq, Message)]
pub struct SparseTensorProto {
    /// The numbers written; its name is the tensor's.
    #[prost(message, optional, tag = "1")]
    pub values: Option<TensorProto>,
    /// Where they stand.
    #[prost(message, optional, tag = "2")]
    pub indices: Option<TensorProto>,
    /// The shape of the whole.
    #[prost(int64, repeated, packed = "false", tag = "3")]
    pub dims: Vec<i64>,
}

/// A value's name and type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its type, with its shape where that is known.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    /// Words for people.
    #[prost(string, tag = "3")]
    pub doc_string: String,
}

/// What kind of thing a value is.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// The kind.
    #[prost(oneof = "type_proto::Value", tags = "1, 4, 5, 8, 9")]
    pub value: Option<type_proto::Value>,
    /// What the value means, `IMAGE` for example.
    #[prost(string, tag = "6")]
    pub denotation: String,
}

/// The kinds of [`TypeProto`].
pub mod type_proto {
    use super::{Message, Oneof, TensorShapeProto, TypeProto};

    /// The kind of a value.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Value {
        /// A tensor.
        #[prost(message, tag = "1")]
        TensorType(Tensor),
        /// A list of values of one type.
        #[prost(message, tag = "4")]
        SequenceType(Box<Element>),
        /// A map.
        #[prost(message, tag = "5")]
        MapType(Box<Map>),
        /// A sparse tensor.
        #[prost(message, tag = "8")]
        SparseTensorType(Tensor),
        /// A value that may be missing.
        #[prost(message, tag = "9")]
        OptionalType(Box<Element>),
    }

    /// The type of a tensor, dense or sparse.
    #[derive(Clone, PartialEq, Message)]
    pub struct Tensor {
        /// The element type, one of [`DataType`](super::DataType).
        #[prost(enumeration = "super::DataType", tag = "1")]
        pub elem_type: i32,
        /// The shape; absent where even the number of dimensions is unknown.
        #[prost(message, optional, tag = "2")]
        pub shape: Option<TensorShapeProto>,
    }

    /// The type of what a list or an optional value holds.
    #[derive(Clone, PartialEq, Message)]
    pub struct Element {
        /// The type.
        #[prost(message, optional, boxed, tag = "1")]
        pub elem_type: Option<Box<TypeProto>>,
    }

    /// The types of a map's keys and values.
    #[derive(Clone, PartialEq, Message)]
    pub struct Map {
        /// The element type of the keys.
        #[prost(int32, tag = "1")]
        pub key_type: i32,
        /// The type of the values.
        #[prost(message, optional, boxed, tag = "2")]
        pub value_type: Option<Box<TypeProto>>,
    }
}

/// A shape whose dimensions may be unknown.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// The dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// One dimension of a shape.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// Its size or its name; neither where it is unknown.
    #[prost(oneof = "dimension::Value", tags = "1, 2")]
    pub value: Option<dimension::Value>,
    /// What the axis means, `DATA_BATCH` for example.
    #[prost(string, tag = "3")]
    pub denotation: String,
}

/// What is known of a [`Dimension`].
pub mod dimension {
    use super::Oneof;

    /// A size, or a name that stands for one.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Value {
        /// A size.
        #[prost(int64, tag = "1")]
        DimValue(i64),
        /// A name; axes of one name have one size.
        #[prost(string, tag = "2")]
        DimParam(String),
    }
}

/// A function: nodes that a node of the graph may call by the function's name.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionProto {
    /// Its name, which nodes give as their operator.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Names of its operands.
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    /// Names of its results.
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    /// Names of its attributes without defaults.
    #[prost(string, repeated, tag = "6")]
    pub attribute: Vec<String>,
    /// Its nodes, in topological order.
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<NodeProto>,
    /// Words for people.
    #[prost(string, tag = "8")]
    pub doc_string: String,
    /// The operator sets its nodes are written in.
    #[prost(message, repeated, tag = "9")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// The domain its name belongs to.
    #[prost(string, tag = "10")]
    pub domain: String,
    /// Its attributes with defaults.
    #[prost(message, repeated, tag = "11")]
    pub attribute_proto: Vec<AttributeProto>,
    /// Which of several functions of one name it is.
    #[prost(string, tag = "13")]
    pub overload: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let node = NodeProto {
            op_type: "Relu".into(),
            input: vec!["x".into(), String::new()],
            attribute: vec![AttributeProto {
                name: "k".into(),
                i: Some(0),
                ints: vec![1, 2],
                r#type: AttributeType::Ints as i32,
                ..AttributeProto::default()
            }],
            ..NodeProto::default()
        };
        // Field 1 twice (an empty name is written too), field 4, then the attribute: a set zero and unpacked integers.
        let expected =
            b"\x0a\x01x\x0a\x00\x22\x04Relu\x2a\x0c\x0a\x01k\x18\x00\x40\x01\x40\x02\xa0\x01\x07".as_slice();
        assert_eq!(node.encode_to_vec(), expected);
        assert_eq!(NodeProto::decode(expected), Ok(node));
    }
}
