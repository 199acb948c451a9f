//! The opcodes of Python's pickles (pickletools.py), protocols 0 to 5.

macro_rules! opcodes {
    (read: { $($read:ident = $a:literal,)* } refused: { $($refused:ident = $b:literal,)* }) => {
        /// Those that are followed.
        pub(super) mod op {
            $(pub(in crate::pickle) const $read: u8 = $a;)*
        }

        const NAMES: &[(u8, &str)] = &[$(($a, stringify!($read)),)* $(($b, stringify!($refused)),)*];
    };
}

opcodes! {
    read: {
    MARK = b'(', STOP = b'.', NONE = b'N', NEWTRUE = 0x88, NEWFALSE = 0x89,
    BININT = b'J', BININT1 = b'K', BININT2 = b'M', LONG1 = 0x8a, BINFLOAT = b'G',
    SHORT_BINSTRING = b'U', BINSTRING = b'T', SHORT_BINUNICODE = 0x8c, BINUNICODE = b'X', BINUNICODE8 = 0x8d,
    SHORT_BINBYTES = b'C', BINBYTES = b'B',
    EMPTY_TUPLE = b')', EMPTY_LIST = b']', EMPTY_DICT = b'}', TUPLE = b't', LIST = b'l', DICT = b'd',
    TUPLE1 = 0x85, TUPLE2 = 0x86, TUPLE3 = 0x87,
    APPEND = b'a', APPENDS = b'e', SETITEM = b's', SETITEMS = b'u',
    BINPUT = b'q', LONG_BINPUT = b'r', MEMOIZE = 0x94, BINGET = b'h', LONG_BINGET = b'j',
    GLOBAL = b'c', STACK_GLOBAL = 0x93, REDUCE = b'R', BUILD = b'b', BINPERSID = b'Q',
    PROTO = 0x80, FRAME = 0x95,
    }
    refused: {
    POP = b'0', POP_MARK = b'1', DUP = b'2', FLOAT = b'F', INT = b'I', LONG = b'L', PERSID = b'P', STRING = b'S',
    UNICODE = b'V', GET = b'g', PUT = b'p', INST = b'i', OBJ = b'o',
    NEWOBJ = 0x81, EXT1 = 0x82, EXT2 = 0x83, EXT4 = 0x84, LONG4 = 0x8b, BINBYTES8 = 0x8e, EMPTY_SET = 0x8f,
    ADDITEMS = 0x90, FROZENSET = 0x91, NEWOBJ_EX = 0x92, BYTEARRAY8 = 0x96, NEXT_BUFFER = 0x97,
    READONLY_BUFFER = 0x98,
    }
}

/// The opcode's name in Python's documentation.
pub(super) fn name_of(opcode: u8) -> String {
    match NAMES.iter().find(|(code, _)| *code == opcode) {
        Some((_, name)) => (*name).into(),
        None => format!("0x{opcode:02x}, which does not exist"),
    }
}
