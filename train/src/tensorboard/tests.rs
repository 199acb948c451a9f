use super::*;

/// Takes a TFRecord file apart, checking every length and checksum.
fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<8>().unwrap();
        let (length_crc, after) = after.split_first_chunk::<4>().unwrap();
        assert_eq!(u32::from_le_bytes(*length_crc), masked_crc(length));
        let (body, after) = after.split_at(u64::from_le_bytes(*length) as usize);
        let (body_crc, after) = after.split_first_chunk::<4>().unwrap();
        assert_eq!(u32::from_le_bytes(*body_crc), masked_crc(body));
        found.push(body);
        rest = after;
    }
    found
}

/// One field of a protocol-buffer message: its number, and its bytes (varints are widened to 8).
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                found.push((key >> 3, varint(&mut message).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut message) as usize,
            5 => 4,
            other => panic!("wire type {other}"),
        };
        let (value, rest) = message.split_at(length);
        found.push((key >> 3, value.to_vec()));
        message = rest;
    }
    found
}

fn varint(from: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = from.split_first().unwrap();
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn field(message: &[u8], number: u64) -> Vec<u8> {
    let found = fields(message).into_iter().find(|(n, _)| *n == number);
    found.unwrap_or_else(|| panic!("field {number} is missing")).1
}

#[test]
fn crc_of_the_format_is_castagnoli_masked() {
    // RFC 3720, B.4: CRC-32C of 32 zero bytes is 0x8a9136aa.
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    let rotated = 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8);
    assert_eq!(masked_crc(&[0; 32]), rotated);
}

#[test]
fn scalars_read_back_with_their_step_tag_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut events = EventWriter::create(folder.path(), 1_700_000_000.25).unwrap();
    events.scalar("loss/train", 1, 0.5, 1_700_000_001.5).unwrap();
    events.scalar("accuracy", 300, -0.25, 1_700_000_002.0).unwrap();
    events.flush().unwrap();
    let bytes = std::fs::read(events.path()).unwrap();
    let records = records(&bytes);
    assert_eq!(records.len(), 3);
    assert_eq!(field(records[0], 3), b"brain.Event:2");
    assert_eq!(field(records[0], 1), 1_700_000_000.25_f64.to_le_bytes());
    for (record, tag, step, value, time) in [
        (records[1], "loss/train", 1_u64, 0.5_f32, 1_700_000_001.5_f64),
        (records[2], "accuracy", 300, -0.25, 1_700_000_002.0),
    ] {
        assert_eq!(field(record, 1), time.to_le_bytes());
        assert_eq!(field(record, 2), step.to_le_bytes());
        let value_message = field(&field(record, 5), 1);
        assert_eq!(field(&value_message, 1), tag.as_bytes());
        assert_eq!(field(&value_message, 2), value.to_le_bytes());
    }
}

#[test]
fn a_resumed_run_gets_its_own_later_file_that_starts_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let first = EventWriter::create(folder.path(), 1000.0).unwrap();
    let second = EventWriter::resume(folder.path(), 1000.9, 5).unwrap();
    assert!(first.path() < second.path());
    let bytes = std::fs::read(second.path()).unwrap();
    let records = records(&bytes);
    assert_eq!(field(records[1], 2), 5_u64.to_le_bytes());
    assert_eq!(field(&field(records[1], 7), 1), 1_u64.to_le_bytes());
    assert!(EventWriter::create(&folder.path().join("none"), 0.0).is_err());
}
