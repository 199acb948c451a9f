//! What a verb tells the user when it cannot go on: cause, place, remedy, exit code.

use std::error::Error;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The work was done.
    Done,
    /// The work could not be done.
    Failed,
    /// The command line asks for something impossible.
    Usage,
    /// The user stopped it (Ctrl-C).
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Interrupted => 130,
        })
    }
}

/// A verb's result; `?` on any library error makes a [`Failure`] from its message and its sources.
pub type Outcome<T = ()> = Result<T, Failure>;

/// An error told to a person: printed as `error: PLACE: cause`, then one `help:` line per remedy.
///
/// It does not implement [`Error`] itself, so that every library error converts into it with `?`.
#[derive(Debug)]
pub struct Failure {
    cause: String,
    place: Option<String>,
    remedies: Vec<String>,
    exit: Exit,
}

// Verbs pick what they need from this vocabulary; not each word has a user in every version.
#[allow(dead_code)]
impl Failure {
    /// A failure (exit code 1) with its cause.
    pub fn new(cause: impl Into<String>) -> Self {
        let cause = lines_that_matter(&cause.into());
        Self {
            cause,
            place: None,
            remedies: Vec::new(),
            exit: Exit::Failed,
        }
    }

    /// A wrong command line (exit code 2) that only the verb could notice.
    pub fn usage(cause: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            ..Self::new(cause)
        }
    }

    /// The user pressed Ctrl-C (exit code 130); the cause says what was saved.
    pub fn interrupted(cause: impl Into<String>) -> Self {
        Self {
            exit: Exit::Interrupted,
            ..Self::new(cause)
        }
    }

    /// The reader of stdout has left (`graticule … | head`): end quietly.
    pub fn reader_left() -> Self {
        Self {
            exit: Exit::Done,
            ..Self::new("")
        }
    }

    /// Says where: a file, a line, a flag. The outermost place comes first.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(match self.place {
            None => place.to_string(),
            Some(inner) => format!("{place}: {inner}"),
        });
        self
    }

    /// Adds a remedy: what the user can do now.
    pub fn help(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// A file that could not be read, where `--skip-bad` would have left it out.
    pub fn not_skipped(error: data::DataError) -> Self {
        let failure = Self::from(error);
        match failure.remedies.iter().any(|told| told.contains("--skip-bad")) {
            true => failure,
            false => failure.help("--skip-bad leaves such files out"),
        }
    }

    /// What is wrong, without place and remedy.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// The exit code this failure ends the process with.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Writes the failure to stderr; nothing for a reader that has left.
    pub fn print(&self) {
        if self.exit != Exit::Done {
            let _ = std::io::stderr().write_all(self.to_string().as_bytes());
        }
    }
}

/// A cause is one line, however a library broke it; but an excerpt with a mark under it (`  ^^^`) keeps
/// its lines, and so does a list of names (``  `conv1.weight` is missing``).
fn lines_that_matter(text: &str) -> String {
    let is_mark = |line: &str| !line.trim().is_empty() && line.trim().chars().all(|c| c == '^');
    let is_item = |line: &str| line.starts_with("  `");
    if text.lines().any(|line| is_mark(line) || is_item(line)) {
        return text.to_string();
    }
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(" ;", ";")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => writeln!(f, "error: {place}: {}", self.cause)?,
            None => writeln!(f, "error: {}", self.cause)?,
        }
        self.remedies
            .iter()
            .try_for_each(|remedy| writeln!(f, "  help: {remedy}"))
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        // This wing's errors hold place and remedy apart; a blanket conversion leaves no other way to them.
        let error_ref = &error as &dyn Error;
        let wrapped = match error_ref.downcast_ref::<train::TrainError>() {
            Some(train::TrainError::Data(inner)) => Some(inner),
            _ => None,
        };
        if let Some(told) = error_ref.downcast_ref::<data::DataError>().or(wrapped) {
            let cause = format!("found {}; expected {}", told.found, told.expected);
            return Self::new(cause).at(&told.place).help(&told.remedy);
        }
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            let text = inner.to_string();
            // Many libraries already repeat the source inside their own message.
            if !cause.contains(&text) {
                cause = format!("{cause}: {text}");
            }
            source = inner.source();
        }
        Self::new(cause)
    }
}

/// Adds place and remedy to any result on its way up.
#[allow(dead_code)]
pub trait Context<T> {
    /// Says where it happened.
    fn at(self, place: impl fmt::Display) -> Outcome<T>;
    /// Says what to do about it.
    fn help(self, remedy: impl Into<String>) -> Outcome<T>;
}

impl<T, E: Into<Failure>> Context<T> for Result<T, E> {
    fn at(self, place: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| error.into().at(place))
    }

    fn help(self, remedy: impl Into<String>) -> Outcome<T> {
        self.map_err(|error| error.into().help(remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_prints_place_cause_and_remedies() {
        let failure = Failure::new("label 11 found, classes go to 9")
            .at("line 4")
            .at("train.csv")
            .help("correct the cell")
            .help("or raise --classes");
        let expected = "error: train.csv: line 4: label 11 found, classes go to 9\n  help: correct the cell\n  help: or raise --classes\n";
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.exit(), Exit::Failed);
    }

    #[test]
    fn a_marked_excerpt_keeps_its_lines() {
        let text = "unknown layer `blub`\n  conv 6 5, blub 3\n            ^^^^";
        assert!(
            Failure::new(text)
                .to_string()
                .ends_with("blub 3\n            ^^^^\n")
        );
    }

    #[test]
    fn a_cause_is_one_line() {
        assert_eq!(
            Failure::new("bytes missing\n; expected  more\n").to_string(),
            "error: bytes missing; expected more\n"
        );
    }

    #[test]
    fn data_errors_keep_place_and_remedy_apart() {
        let error = data::DataError::new(data::ErrorKind::Cell, "a.csv, row 7")
            .found("the text `many`")
            .expected("a number")
            .remedy("Correct the cell.");
        let expected =
            "error: a.csv, row 7: found the text `many`; expected a number\n  help: Correct the cell.\n";
        assert_eq!(Failure::from(error).to_string(), expected);
    }

    #[test]
    fn library_errors_keep_their_sources_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the table")]
        struct Outer(#[source] std::num::ParseIntError);
        let Err(parse) = "x".parse::<i32>() else {
            unreachable!()
        };
        let text = Failure::from(Outer(parse)).to_string();
        assert_eq!(
            text,
            "error: cannot read the table: invalid digit found in string\n"
        );
    }
}
