//! The verbs of the binary, one file each.
//!
//! A verb's file has `pub struct Args` (its flags; the doc comment is its help, `after_help` an example)
//! and `pub fn run(args: Args, out: &Output) -> Outcome`.

pub mod attack;
pub mod bench;
pub mod data;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod filter;
pub mod import;
pub mod predict;
pub mod summary;
pub mod train;
pub mod tune;

use clap::Subcommand;

use crate::error::Outcome;
use crate::output::Output;

macro_rules! verbs {
    ($($variant:ident => $module:ident,)+) => {
        /// What the user asks for.
        // Parsed once a run: its size does not matter.
        #[allow(clippy::large_enum_variant)]
        #[derive(Debug, Subcommand)]
        pub enum Verb {
            $(#[allow(missing_docs)] $variant(Box<$module::Args>),)+
        }

        impl Verb {
            /// Runs the verb to its end.
            pub fn run(self, out: &Output) -> Outcome {
                match self {
                    $(Verb::$variant(args) => $module::run(*args, out),)+
                }
            }
        }
    };
}

// One line a verb, in the order of `graticule --help`; its module stands above, where tools see it.
verbs! {
    Train => train,
    Evaluate => evaluate,
    Predict => predict,
    Explain => explain,
    Attack => attack,
    Data => data,
    Summary => summary,
    Filter => filter,
    Tune => tune,
    Bench => bench,
    Import => import,
    Export => export,
}
