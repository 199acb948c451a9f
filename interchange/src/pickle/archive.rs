//! The zip form: `NAME/data.pkl`, `NAME/byteorder`, and the numbers of each storage in `NAME/data/KEY`. Entries are never
//! compressed, so that their bytes can be read where they lie.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::{CompressionMethod, ZipArchive};

use super::machine::read as read_pickle;
use super::stream::Stream;
use super::{Fault, Places, placed, state};
use crate::foreign::contents::Stored;

/// Where an entry lies in the file, and how many bytes it has.
type Entry = (u64, u64);

pub(super) fn read(file: &File, length: u64) -> Result<Vec<Stored>, Fault> {
    let broken = |e: zip::result::ZipError| {
        Fault::broken(
            0,
            format!("the zip is cut short or damaged ({e}); copy or download it again"),
        )
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let mut name = None;
    for index in 0..archive.len() {
        let found = archive.name_for_index(index).transpose().map_err(broken)?;
        if let Some(prefix) = found.as_deref().and_then(|f| f.strip_suffix("data.pkl")) {
            name = Some(prefix.to_string());
        }
    }
    let Some(name) = name else {
        return Err(Fault::broken(
            0,
            "a zip without `data.pkl`: torch.save did not write it".into(),
        ));
    };
    if archive.index_for_name(&format!("{name}constants.pkl")).is_some() {
        let what = "a TorchScript program".into();
        return Err(Fault::Refused { at: 0, what });
    }
    check_order(&mut archive, &name, file, length)?;
    let (start, _) = entry(&mut archive, &format!("{name}data.pkl"), length)?;
    let mut at_pickle = file;
    at_pickle
        .seek(SeekFrom::Start(start))
        .map_err(|e| Fault::broken(start, e.to_string()))?;
    let pickle = read_pickle(&mut Stream::new(BufReader::new(file), start))?;
    let mut places = Places::new();
    for (key, (numbers, count)) in state::storages(&pickle) {
        let (start, bytes) = entry(&mut archive, &format!("{name}data/{key}"), length)?;
        let expected = count.checked_mul(numbers.size() as u64);
        if expected != Some(bytes) {
            let what = format!(
                "storage `{key}` has {bytes} bytes; its tensors expect {count} numbers of {}",
                numbers.size()
            );
            return Err(Fault::broken(start, what));
        }
        places.insert(key.to_string(), (start, count));
    }
    placed(state::named_tensors(&pickle)?, &places)
}

type Archive<'a> = ZipArchive<BufReader<&'a File>>;

fn entry(archive: &mut Archive, name: &str, length: u64) -> Result<Entry, Fault> {
    let shown = name.escape_debug();
    let Some(index) = archive.index_for_name(name) else {
        return Err(Fault::broken(0, format!("the zip has no `{shown}`")));
    };
    let found = archive.by_index_raw(index);
    let found = found.map_err(|e| Fault::broken(0, format!("`{shown}` in the zip cannot be read: {e}")))?;
    if found.compression() != CompressionMethod::Stored || found.encrypted() {
        let what = format!(
            "`{shown}` is compressed or encrypted, which torch.save never does; unpack and save it again"
        );
        return Err(Fault::Refused { at: 0, what });
    }
    let (start, bytes) = (found.data_start().unwrap_or(u64::MAX), found.size());
    match start.checked_add(bytes).filter(|end| *end <= length) {
        Some(_) => Ok((start, bytes)),
        None => Err(Fault::broken(
            start,
            format!("`{shown}` does not lie inside of the file"),
        )),
    }
}

/// Big-endian numbers are not read. Files before PyTorch 2.1 do not say; they are little-endian.
fn check_order(archive: &mut Archive, name: &str, mut file: &File, length: u64) -> Result<(), Fault> {
    let name = format!("{name}byteorder");
    if archive.index_for_name(&name).is_none() {
        return Ok(());
    }
    let (start, bytes) = entry(archive, &name, length)?;
    let mut order = vec![0; bytes.min(16) as usize];
    let read = file
        .seek(SeekFrom::Start(start))
        .and_then(|_| file.read_exact(&mut order));
    read.map_err(|_| Fault::short(start))?;
    match &order[..] {
        b"little" => Ok(()),
        _ => Err(Fault::Refused {
            at: start,
            what: "numbers that are not little-endian".into(),
        }),
    }
}
