//! The form before PyTorch 1.6: magic number, protocol, system, the pickled value, the keys of the storages, and then for
//! each storage how many numbers it has (64 bits) and the numbers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::machine::{Pickle, read as read_pickle};
use super::stream::Stream;
use super::value::Value;
use super::{Fault, Places, placed, state};
use crate::foreign::contents::Stored;
use crate::foreign::numbers::Numbers;

/// 0x1950a86a20f9469cfc6c.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

pub(super) fn read(file: &File, length: u64) -> Result<Vec<Stored>, Fault> {
    let mut stream = Stream::new(BufReader::new(file), 0);
    let magic = read_pickle(&mut stream)?;
    if !matches!(magic.root(), Value::Big(bytes) if bytes[..] == MAGIC) {
        return Err(Fault::broken(
            0,
            "a pickle, but not one that torch.save wrote (no magic number)".into(),
        ));
    }
    let at = stream.position();
    match read_pickle(&mut stream)?.root() {
        Value::Int(PROTOCOL) => {}
        other => {
            return Err(Fault::broken(
                at,
                format!("found protocol {other:?}, expected {PROTOCOL}"),
            ));
        }
    }
    check_system(&mut stream)?;
    let pickle = read_pickle(&mut stream)?;
    let at = stream.position();
    let keys = keys(&read_pickle(&mut stream)?, at)?;
    let places = places(file, length, stream.position(), &keys, &state::storages(&pickle))?;
    placed(state::named_tensors(&pickle)?, &places)
}

/// Big-endian numbers are not read.
fn check_system(stream: &mut Stream<BufReader<&File>>) -> Result<(), Fault> {
    let at = stream.position();
    let system = read_pickle(stream)?;
    let Value::Dict(items) = system.root() else {
        return Err(Fault::broken(
            at,
            "the description of the system is no dictionary".into(),
        ));
    };
    let little = items.iter().any(|&(key, value)| {
        system.values[key] == Value::Text("little_endian".into()) && system.values[value] == Value::Bool(true)
    });
    match little {
        true => Ok(()),
        false => Err(Fault::Refused {
            at,
            what: "numbers that are not little-endian".into(),
        }),
    }
}

fn keys(list: &Pickle, at: u64) -> Result<Vec<String>, Fault> {
    let wrong = || Fault::broken(at, "the keys of the storages are no list of texts".into());
    let Value::List(keys) = list.root() else {
        return Err(wrong());
    };
    let key = |&id: &usize| match &list.values[id] {
        Value::Text(key) => Ok(key.clone()),
        _ => Err(wrong()),
    };
    keys.iter().map(key).collect()
}

/// Goes through the storages behind the pickles.
fn places(
    mut file: &File,
    length: u64,
    mut at: u64,
    keys: &[String],
    known: &HashMap<&str, (Numbers, u64)>,
) -> Result<Places, Fault> {
    let mut places = Places::new();
    for key in keys {
        let Some(&(numbers, expected)) = known.get(key.as_str()) else {
            return Err(Fault::broken(
                at,
                format!("no tensor has the storage `{}`", key.escape_debug()),
            ));
        };
        let mut count = [0; 8];
        let read = file
            .seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut count));
        read.map_err(|_| Fault::short(at))?;
        let count = i64::from_le_bytes(count);
        if u64::try_from(count) != Ok(expected) {
            let what = format!("a storage of {count} numbers; its tensors expect {expected}");
            return Err(Fault::broken(at, what));
        }
        at += 8;
        let bytes = expected.checked_mul(numbers.size() as u64);
        let Some(end) = bytes
            .and_then(|bytes| at.checked_add(bytes))
            .filter(|end| *end <= length)
        else {
            let what =
                format!("the file has {length} bytes, which end within a storage of {expected} numbers");
            return Err(Fault::broken(at, what));
        };
        places.insert(key.clone(), (at, expected));
        at = end;
    }
    Ok(places)
}
