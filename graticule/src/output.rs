//! Where a verb's words go: results on stdout (lines, or one JSON object), notes on stderr.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::error::{Failure, Outcome};

/// The two voices of a verb, as the user chose them with `--json` and `--quiet`.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    quiet: bool,
}

// Verbs pick what they need; not each method has a user in every version.
#[allow(dead_code)]
impl Output {
    /// `json`: one JSON object on stdout in place of lines; `quiet`: no notes on stderr.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// True when stdout belongs to the one JSON object.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// True when notes and progress are to be left out.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A line for people on stdout; nothing under `--json`.
    pub fn line(&self, text: impl AsRef<str>) -> Outcome {
        if self.json {
            Ok(())
        } else {
            write_line(&mut io::stdout().lock(), text.as_ref())
        }
    }

    /// The verb's whole result: the JSON object under `--json`, else nothing. Call it once, at the end.
    pub fn object(&self, result: &impl Serialize) -> Outcome {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(result)?;
        write_line(&mut io::stdout().lock(), &text)
    }

    /// A note or plain progress line on stderr; nothing under `--quiet`.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.quiet {
            // A closed stderr must not stop the work.
            let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
        }
    }
}

fn write_line(to: &mut impl Write, text: &str) -> Outcome {
    let written = to
        .write_all(text.as_bytes())
        .and_then(|()| to.write_all(b"\n"))
        .and_then(|()| to.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::reader_left(),
        _ => Failure::from(error).at("stdout"),
    })
}
