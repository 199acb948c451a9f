//! The `graticule` binary: reads the command line, runs one verb, turns its outcome into an exit code.

mod attacking;
mod cli;
mod clock;
mod compute;
mod error;
mod evaluation;
mod explaining;
mod output;
mod published;
mod report;
mod run_file;
mod source;
mod text;
mod verbs;

use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use error::Exit;
use output::Output;

fn main() -> ExitCode {
    panic::set_hook(Box::new(report_fault));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => return leave_usage(&told),
    };
    let out = Output::new(cli.global.json, cli.global.quiet);
    let ran = panic::catch_unwind(AssertUnwindSafe(|| cli.verb.run(&out)));
    match ran {
        Ok(Ok(())) => Exit::Done.into(),
        Ok(Err(failure)) => {
            failure.print();
            failure.exit().into()
        }
        // The hook has already told the user.
        Err(_) => Exit::Failed.into(),
    }
}

/// Prints clap's answer (help, version or a usage error); a reader that has gone is not an error.
fn leave_usage(told: &clap::Error) -> ExitCode {
    let _ = told.print();
    if told.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Done.into()
    }
}

/// One clear line for a fault of ours, in place of the runtime's panic message.
fn report_fault(fault: &PanicHookInfo<'_>) {
    use std::io::Write;
    let payload = fault.payload();
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown fault");
    let place = fault
        .location()
        .map(|at| format!(" ({}:{})", at.file(), at.line()))
        .unwrap_or_default();
    let line = format!(
        "error: graticule made a mistake of its own: {}{place}\n  help: please report this line with the command you ran\n",
        what.replace('\n', " ")
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
}
