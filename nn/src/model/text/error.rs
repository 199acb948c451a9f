//! Errors that point into the text.

use std::fmt;
use std::ops::Range;

use super::MAX_TEXT;

/// What is wrong with a network written as text, and where.
///
/// `Display` shows the line with the place marked:
///
/// ```text
/// unknown layer `cnov`; did you mean `conv`?
///   cnov 6 5, dense 10
///   ^^^^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// What was found and what is allowed.
    pub message: String,
    /// The line in the text, from 1.
    pub line: usize,
    /// The column of the place, in characters from 1.
    pub column: usize,
    /// The part of the line that is shown.
    excerpt: String,
    /// Characters of the excerpt before the mark, and under it.
    mark: [usize; 2],
    /// Whether the text has one line only.
    single: bool,
}

impl std::error::Error for TextError {}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.single {
            write!(f, "line {}: ", self.line)?;
        }
        write!(f, "{}", self.message)?;
        if self.excerpt.is_empty() {
            return Ok(());
        }
        let [before, under] = self.mark;
        write!(
            f,
            "\n  {}\n  {}{}",
            self.excerpt,
            " ".repeat(before),
            "^".repeat(under)
        )
    }
}

/// The text being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
}

/// Characters shown of one line.
const SHOWN: usize = 100;

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, TextError> {
        let source = Self { text };
        if text.len() > MAX_TEXT {
            let message = format!("the text has {} bytes; at most {MAX_TEXT} are read", text.len());
            return Err(source.error(0..0, message));
        }
        Ok(source)
    }

    /// An error at these bytes of the text.
    pub(super) fn error(&self, at: Range<usize>, message: impl Into<String>) -> TextError {
        let start = floor(self.text, at.start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line_end = self.text[start..]
            .find('\n')
            .map_or(self.text.len(), |i| start + i);
        let end = floor(self.text, at.end.clamp(start, line_end));
        let line = self.text[line_start..line_end].trim_end();
        let column = self.text[line_start..start].chars().count();
        let skipped = column.saturating_sub(SHOWN / 2);
        // Tabs become single blanks, so that the mark stands right.
        let excerpt = line
            .chars()
            .skip(skipped)
            .take(SHOWN)
            .map(|c| if c.is_control() { ' ' } else { c });
        let mut excerpt: String = excerpt.collect();
        let skipped = match skipped {
            0 => 0,
            // One character for the ellipsis in front.
            _ => {
                excerpt.insert(0, '…');
                skipped - 1
            }
        };
        let room = excerpt.chars().count().saturating_sub(column - skipped).max(1);
        let under = self.text[start..end.max(start)].chars().count().clamp(1, room);
        TextError {
            message: message.into(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            mark: [column - skipped, under],
            excerpt,
            single: !self.text.trim_end().contains('\n'),
        }
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}
