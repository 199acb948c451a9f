//! A trial as the command line of `graticule train` that repeats it: what is printed is what is run.

use std::ffi::OsString;
use std::fmt;

use clap::parser::ValueSource;
use clap::{CommandFactory, Parser};

use crate::cli::Cli;
use crate::error::{Failure, Outcome};
use crate::verbs::train;

/// `graticule train SOURCE` with its flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    source: String,
    /// Long names and values; none for a switch.
    flags: Vec<(String, Option<String>)>,
}

/// The command line of `graticule train` alone.
#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct TrainLine {
    #[command(flatten)]
    args: train::Args,
}

impl Line {
    /// The flags of this process's `graticule tune`, without its `own` ones.
    pub fn given(source: &str, own: &[&str]) -> Self {
        Self::of(source, own, std::env::args_os().collect())
    }

    fn of(source: &str, own: &[&str], words: Vec<OsString>) -> Self {
        let mut line = Self {
            source: source.into(),
            flags: Vec::new(),
        };
        let command = Cli::command();
        // The words were read once already: they are sound.
        let Ok(matches) = command.clone().try_get_matches_from(words) else {
            return line;
        };
        let (Some(("tune", given)), Some(tune)) = (matches.subcommand(), command.find_subcommand("tune"))
        else {
            return line;
        };
        for arg in tune.get_arguments() {
            let (id, Some(long)) = (arg.get_id().as_str(), arg.get_long()) else {
                continue;
            };
            if own.contains(&long) || given.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let values = given.get_raw(id).into_iter().flatten();
            let values: Vec<String> = values.map(|v| v.to_string_lossy().into_owned()).collect();
            let value = arg.get_action().takes_values().then(|| values.join(","));
            line.flags.push((long.to_string(), value));
        }
        line
    }

    /// The source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Gives a flag this value, in place of the one it had.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.flags.push((name.into(), Some(value.into())));
    }

    /// Leaves a flag out.
    pub fn remove(&mut self, name: &str) {
        self.flags.retain(|(flag, _)| flag != name);
    }

    /// The words behind `graticule train`.
    fn words(&self) -> Vec<String> {
        let flag = |(name, value): &(String, Option<String>)| match value {
            // One word, so that a value may begin with a dash.
            Some(value) => format!("--{name}={value}"),
            None => format!("--{name}"),
        };
        let mut words: Vec<String> = self.flags.iter().map(flag).collect();
        words.extend(["--".into(), self.source.clone()]);
        words
    }

    /// The arguments of `graticule train`.
    pub fn parse(&self) -> Outcome<train::Args> {
        match TrainLine::try_parse_from(self.words()) {
            Ok(line) => Ok(line.args),
            Err(error) => {
                let text = error.to_string();
                let first = text.split("\n\n").next().unwrap_or_default();
                Err(Failure::usage(first.trim_start_matches("error: ")))
            }
        }
    }
}

impl fmt::Display for Line {
    /// The line as a shell takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "graticule train {}", quoted(&self.source))?;
        for (name, value) in &self.flags {
            write!(f, " --{name}")?;
            if let Some(value) = value {
                write!(f, " {}", quoted(value))?;
            }
        }
        Ok(())
    }
}

/// A word in quotes where a shell would cut or change it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    match word.contains(['"', '$', '`', '\\', '!']) {
        true => format!("'{}'", word.replace('\'', r"'\''")),
        false => format!("\"{word}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_flags_go_on_to_the_trials() {
        let words = "graticule --quiet tune houses.csv --target price --trials 7 --exclude id,name --skip-bad --lr 0.01";
        let words = words.split(' ').map(OsString::from).collect();
        let mut line = Line::of("houses.csv", &["trials"], words);
        assert!(line.parse().is_ok());
        line.set("lr", "0.2");
        line.set("layers", "dense 8 relu, dense classes");
        let told = line.to_string();
        let expected = [
            "graticule train houses.csv ",
            " --target price",
            " --exclude id,name",
            " --skip-bad",
            " --lr 0.2",
            " --layers \"dense 8 relu, dense classes\"",
        ];
        for part in expected {
            assert!(told.contains(part), "`{part}` is missing in {told}");
        }
        assert!(!told.contains("trials") && !told.contains("0.01") && !told.contains("quiet"));
        line.set("optimizer", "best");
        let failure = line.parse().unwrap_err().to_string();
        assert!(
            failure.contains("best") && failure.contains("--optimizer"),
            "{failure}"
        );
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("runs/a-1.csv"), "runs/a-1.csv");
        assert_eq!(quoted("my photos"), "\"my photos\"");
        assert_eq!(quoted("5$ it's"), r"'5$ it'\''s'");
    }
}
