//! The command line: flags that every verb shares, and the verbs.

use clap::{Args, Parser};

use crate::verbs::Verb;

/// Trains neural networks on images and tables, and shows what came out.
#[derive(Debug, Parser)]
#[command(
    name = "graticule",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.\n\
                  `graticule VERB --help` shows a verb's options and an example."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb understands, before or after the verb.
#[derive(Debug, Clone, Copy, Args)]
pub struct Global {
    /// Print one JSON object on stdout instead of lines for people
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress and no notes on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_has_an_example_in_its_help() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let call = format!("graticule {}", verb.get_name());
            assert!(help.contains(&call), "`{call} --help` shows no example");
        }
    }
}
