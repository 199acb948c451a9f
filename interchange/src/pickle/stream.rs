//! The bytes of a pickle, counted, and never more than a limit.

use std::io::Read;

use super::Fault;

/// The longest pickle that is read; ten thousand tensors are described in 3 MB.
pub(super) const MAX_BYTES: u64 = 32 << 20;
/// The longest name of a global.
const MAX_LINE: usize = 256;

/// A reader that knows where it is.
pub(super) struct Stream<R> {
    reader: R,
    position: u64,
    /// Where the pickle must have ended.
    limit: u64,
}

impl<R: Read> Stream<R> {
    /// Reads from `position` of the file, where `reader` is.
    pub(super) fn new(reader: R, position: u64) -> Self {
        let limit = position + MAX_BYTES;
        Self {
            reader,
            position,
            limit,
        }
    }

    /// Bytes from the beginning of the file to the next one.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// This many bytes; a count that cannot be is found out before memory is asked for.
    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Fault> {
        let left = self.limit - self.position;
        if count > left {
            let what = format!("a text of {count} bytes; at most {MAX_BYTES} are read in all");
            return Err(Fault::broken(self.position, what));
        }
        let start = self.position;
        let mut bytes = Vec::new();
        let found = self.reader.by_ref().take(count).read_to_end(&mut bytes);
        let found = found.map_err(|e| Fault::broken(start, e.to_string()))? as u64;
        self.position += found;
        match found == count {
            true => Ok(bytes),
            false => Err(Fault::short(self.position)),
        }
    }

    /// Text up to the end of the line.
    pub(super) fn line(&mut self) -> Result<String, Fault> {
        let start = self.position;
        let mut bytes = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                _ if bytes.len() == MAX_LINE => {
                    return Err(Fault::broken(
                        start,
                        format!("a name of more than {MAX_LINE} bytes"),
                    ));
                }
                byte => bytes.push(byte),
            }
        }
        text(start, bytes)
    }

    /// A text of this many bytes.
    pub(super) fn text(&mut self, count: u64) -> Result<String, Fault> {
        let start = self.position;
        let bytes = self.bytes(count)?;
        text(start, bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        if bytes.len() as u64 > self.limit - self.position {
            return Err(Fault::broken(
                self.position,
                format!("no end after {MAX_BYTES} bytes"),
            ));
        }
        let read = self.reader.read_exact(bytes);
        read.map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => Fault::short(self.position),
            _ => Fault::broken(self.position, e.to_string()),
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

fn text(start: u64, bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|_| Fault::broken(start, "a text that is not UTF-8".into()))
}
