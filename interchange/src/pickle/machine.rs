//! The pickle machine, without what makes pickles dangerous: it knows the opcodes that tensors and containers of
//! plain values need, and calls nothing. Whatever else a pickle asks for is refused by name.

use std::collections::HashMap;
use std::io::Read;

use super::opcodes::{name_of, op};
use super::stream::Stream;
use super::value::{Global, Id, Value};
use super::{Fault, build};

/// Most values of a pickle; ten thousand tensors need some two hundred thousand.
const MAX_VALUES: usize = 1 << 21;
/// Most entries of the stack and of the memo.
const MAX_STACK: usize = 1 << 20;

/// The values of a pickle and the one that it stands for.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) values: Vec<Value>,
    pub(super) root: Id,
}

impl Pickle {
    pub(super) fn root(&self) -> &Value {
        &self.values[self.root]
    }
}

/// Reads one pickle, to its STOP.
pub(super) fn read<R: Read>(stream: &mut Stream<R>) -> Result<Pickle, Fault> {
    let mut machine = Machine::default();
    loop {
        let at = stream.position();
        let opcode = stream.byte()?;
        if opcode == op::STOP {
            let root = machine.pop(at)?;
            let values = machine.values;
            return Ok(Pickle { values, root });
        }
        machine.at = at;
        machine.step(opcode, stream)?;
    }
}

#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Items that were copied from lists into dictionaries.
    copied: usize,
    /// Where the opcode stands that is being followed.
    pub(super) at: u64,
}

impl Machine {
    fn step<R: Read>(&mut self, opcode: u8, stream: &mut Stream<R>) -> Result<(), Fault> {
        match opcode {
            op::PROTO => self.protocol(stream.byte()?),
            op::FRAME => stream.array::<8>().map(drop),
            op::MARK => self.mark(),
            op::NONE => self.make(Value::None),
            op::NEWTRUE => self.make(Value::Bool(true)),
            op::NEWFALSE => self.make(Value::Bool(false)),
            op::BININT => self.int(i64::from(i32::from_le_bytes(stream.array()?))),
            op::BININT1 => self.int(i64::from(stream.byte()?)),
            op::BININT2 => self.int(i64::from(u16::from_le_bytes(stream.array()?))),
            op::LONG1 => {
                let length = stream.byte()?;
                self.long(stream.bytes(u64::from(length))?)
            }
            op::BINFLOAT => self.make(Value::Float(f64::from_be_bytes(stream.array()?))),
            op::SHORT_BINSTRING | op::SHORT_BINUNICODE => {
                let length = stream.byte()?;
                self.make(Value::Text(stream.text(u64::from(length))?))
            }
            op::BINSTRING | op::BINUNICODE => {
                let length = u32::from_le_bytes(stream.array()?);
                self.make(Value::Text(stream.text(u64::from(length))?))
            }
            op::BINUNICODE8 => {
                let length = u64::from_le_bytes(stream.array()?);
                self.make(Value::Text(stream.text(length)?))
            }
            op::SHORT_BINBYTES => {
                let length = stream.byte()?;
                stream.bytes(u64::from(length))?;
                self.make(Value::Bytes)
            }
            op::BINBYTES => {
                let length = u32::from_le_bytes(stream.array()?);
                stream.bytes(u64::from(length))?;
                self.make(Value::Bytes)
            }
            op::BINPUT => self.put(u32::from(stream.byte()?)),
            op::LONG_BINPUT => self.put(u32::from_le_bytes(stream.array()?)),
            op::MEMOIZE => self.put(self.memo.len() as u32),
            op::BINGET => self.get(u32::from(stream.byte()?)),
            op::LONG_BINGET => self.get(u32::from_le_bytes(stream.array()?)),
            op::GLOBAL => {
                let (module, name) = (stream.line()?, stream.line()?);
                self.global(&module, &name)
            }
            _ => self.structure(opcode),
        }
    }

    /// The opcodes that read the stack alone.
    fn structure(&mut self, opcode: u8) -> Result<(), Fault> {
        match opcode {
            op::EMPTY_TUPLE => self.make(Value::Tuple(Vec::new())),
            op::EMPTY_LIST => self.make(Value::List(Vec::new())),
            op::EMPTY_DICT => self.make(Value::Dict(Vec::new())),
            op::TUPLE => self.since_mark().and_then(|items| self.make(Value::Tuple(items))),
            op::LIST => self.since_mark().and_then(|items| self.make(Value::List(items))),
            op::DICT => {
                let items = self.since_mark()?;
                let items = self.pairs(&items)?;
                self.make(Value::Dict(items))
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let count = usize::from(opcode - op::TUPLE1) + 1;
                let items = self.last(count)?;
                self.make(Value::Tuple(items))
            }
            op::APPEND => {
                let items = self.last(1)?;
                self.append(items)
            }
            op::APPENDS => self.since_mark().and_then(|items| self.append(items)),
            op::SETITEM => {
                let items = self.last(2)?;
                self.set_items(&items)
            }
            op::SETITEMS => self.since_mark().and_then(|items| self.set_items(&items)),
            op::STACK_GLOBAL => {
                let names = self.last(2)?;
                match (&self.values[names[0]], &self.values[names[1]]) {
                    (Value::Text(module), Value::Text(name)) => {
                        let (module, name) = (module.clone(), name.clone());
                        self.global(&module, &name)
                    }
                    _ => Err(self.broken("STACK_GLOBAL without two texts")),
                }
            }
            op::REDUCE => {
                let operands = self.last(2)?;
                let made = build::reduce(self, operands[0], operands[1])?;
                if let Value::Dict(items) = &made {
                    self.copied += items.len();
                }
                match self.copied > MAX_VALUES {
                    true => Err(self.broken(&format!("more than {MAX_VALUES} items of dictionaries"))),
                    false => self.make(made),
                }
            }
            op::BINPERSID => {
                let id = self.pop(self.at)?;
                let made = build::storage(self, id)?;
                self.make(made)
            }
            // Attributes of an ordered dictionary (`_metadata`) are left.
            op::BUILD => {
                self.pop(self.at)?;
                match self.stack.last().map(|&id| &self.values[id]) {
                    Some(Value::Dict(_)) => Ok(()),
                    _ => Err(self.refused("BUILD of something else than a dictionary")),
                }
            }
            other => Err(self.refused(&format!("the opcode {}", name_of(other)))),
        }
    }

    fn protocol(&self, version: u8) -> Result<(), Fault> {
        match version {
            0..=5 => Ok(()),
            _ => Err(self.broken(&format!("pickle protocol {version}; protocols to 5 are read"))),
        }
    }

    fn int(&mut self, value: i64) -> Result<(), Fault> {
        self.make(Value::Int(value))
    }

    fn long(&mut self, bytes: Vec<u8>) -> Result<(), Fault> {
        if bytes.len() > 8 {
            return self.make(Value::Big(bytes));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 128);
        let mut word = [if negative { 255 } else { 0 }; 8];
        word[..bytes.len()].copy_from_slice(&bytes);
        self.int(i64::from_le_bytes(word))
    }

    fn make(&mut self, value: Value) -> Result<(), Fault> {
        if self.values.len() >= MAX_VALUES {
            return Err(self.broken(&format!("more than {MAX_VALUES} values")));
        }
        self.values.push(value);
        self.push(self.values.len() - 1)
    }

    fn push(&mut self, id: Id) -> Result<(), Fault> {
        if self.stack.len() >= MAX_STACK {
            return Err(self.broken(&format!("a stack of more than {MAX_STACK} values")));
        }
        self.stack.push(id);
        Ok(())
    }

    fn mark(&mut self) -> Result<(), Fault> {
        if self.marks.len() >= MAX_STACK {
            return Err(self.broken(&format!("more than {MAX_STACK} marks")));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// The topmost value, if it stands above the last mark.
    fn pop(&mut self, at: u64) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(Fault::broken(at, "a value is missing on the stack".into()));
        }
        self.stack
            .pop()
            .ok_or_else(|| Fault::broken(at, "the stack is empty".into()))
    }

    fn last(&mut self, count: usize) -> Result<Vec<Id>, Fault> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop(self.at)?);
        }
        items.reverse();
        Ok(items)
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let mark = self.marks.pop().ok_or_else(|| self.broken("no mark was set"))?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn pairs(&self, items: &[Id]) -> Result<Vec<(Id, Id)>, Fault> {
        match items.as_chunks::<2>() {
            (pairs, []) => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            _ => Err(self.broken("a key without a value")),
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), Fault> {
        let list = self.stack.last().copied();
        match list.map(|id| &mut self.values[id]) {
            Some(Value::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.broken("items for something else than a list")),
        }
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), Fault> {
        let pairs = self.pairs(items)?;
        let dict = self.stack.last().copied();
        match dict.map(|id| &mut self.values[id]) {
            Some(Value::Dict(dict)) => {
                dict.extend(pairs);
                Ok(())
            }
            _ => Err(self.broken("items for something else than a dictionary")),
        }
    }

    fn put(&mut self, key: u32) -> Result<(), Fault> {
        let Some(&top) = self.stack.last() else {
            return Err(self.broken("nothing to remember"));
        };
        if self.memo.len() >= MAX_STACK {
            return Err(self.broken(&format!("more than {MAX_STACK} remembered values")));
        }
        self.memo.insert(key, top);
        Ok(())
    }

    fn get(&mut self, key: u32) -> Result<(), Fault> {
        match self.memo.get(&key).copied() {
            Some(id) => self.push(id),
            None => Err(self.broken(&format!("nothing was remembered under {key}"))),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), Fault> {
        match Global::of(module, name) {
            Some(global) => self.make(Value::Global(global)),
            None => {
                let (module, name) = (module.escape_debug(), name.escape_debug());
                Err(self.refused(&format!("`{module}.{name}`")))
            }
        }
    }

    pub(super) fn broken(&self, what: &str) -> Fault {
        Fault::broken(self.at, what.into())
    }

    pub(super) fn refused(&self, what: &str) -> Fault {
        Fault::Refused {
            at: self.at,
            what: what.into(),
        }
    }
}
