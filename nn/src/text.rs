//! Rules written as text: `name` or `name:number:number`, for command lines and settings files.

use thiserror::Error;

/// A text that names no rule, or a rule with other numbers than it takes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// No rule has this name.
    #[error("`{found}` is not {what}; expected one of: {expected}")]
    Unknown {
        /// What was looked for, for example `an optimizer`.
        what: &'static str,
        /// The text found.
        found: String,
        /// The names that exist.
        expected: &'static str,
    },
    /// The rule exists, its numbers are wrong.
    #[error("`{found}`: {message}; write it as `{form}`")]
    Numbers {
        /// The whole text found.
        found: String,
        /// What is wrong with it.
        message: String,
        /// How it is written.
        form: &'static str,
    },
}

/// A text cut at its colons, read one number at a time.
pub(crate) struct Parts<'a> {
    whole: &'a str,
    form: &'static str,
    rest: std::str::Split<'a, char>,
}

/// The name before the first colon in lower case without `_`, `-` and spaces.
pub(crate) fn name_of(text: &str) -> String {
    let name = text.split(':').next().unwrap_or_default();
    name.trim().to_lowercase().replace(['_', '-', ' '], "")
}

impl<'a> Parts<'a> {
    /// The parts behind the name of `text`, which is written as `form`.
    pub(crate) fn new(text: &'a str, form: &'static str) -> Self {
        let mut rest = text.split(':');
        rest.next();
        Self {
            whole: text,
            form,
            rest,
        }
    }

    fn wrong(&self, message: String) -> ParseError {
        ParseError::Numbers {
            found: self.whole.into(),
            message,
            form: self.form,
        }
    }

    /// The next part as a number, or `default` where the text ends.
    pub(crate) fn number<T: std::str::FromStr>(&mut self, default: Option<T>) -> Result<T, ParseError> {
        match (self.rest.next(), default) {
            (Some(text), _) => text
                .trim()
                .parse()
                .map_err(|_| self.wrong(format!("`{text}` is not such a number"))),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.wrong("a number is missing".into())),
        }
    }

    /// A number that must satisfy `fits`.
    pub(crate) fn number_that<T: std::str::FromStr + Copy + std::fmt::Display>(
        &mut self,
        default: Option<T>,
        fits: impl Fn(T) -> bool,
        condition: &str,
    ) -> Result<T, ParseError> {
        let value = self.number(default)?;
        if fits(value) {
            Ok(value)
        } else {
            Err(self.wrong(format!("{value} is not {condition}")))
        }
    }

    /// Everything that has not been read yet, as one text.
    pub(crate) fn remainder(&mut self) -> String {
        self.rest.by_ref().collect::<Vec<_>>().join(":")
    }

    /// Checks that nothing is left over.
    pub(crate) fn end(mut self) -> Result<(), ParseError> {
        match self.rest.next() {
            Some(extra) => Err(self.wrong(format!("`{extra}` is too much"))),
            None => Ok(()),
        }
    }
}
