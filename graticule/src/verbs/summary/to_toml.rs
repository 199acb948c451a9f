//! `--to-toml`: the network as a text, to be edited and trained.

use std::path::Path;

use graph::ops::Init;
use interchange::write_atomically;
use nn::Model;
use nn::model::text::{self, MAX_TEXT};

use crate::error::{Context, Failure, Outcome};
use crate::output::Output;

/// Says early that the file cannot be written.
pub(super) fn check_target(path: &Path) -> Outcome {
    if path.is_dir() {
        return Err(Failure::new("is a folder; name a file, such as my.toml").at(path.display()));
    }
    match path.exists() {
        true => Err(Failure::new("exists already")
            .at(path.display())
            .help("choose another name, or move the file away")),
        false => Ok(()),
    }
}

/// Writes the network; `stored` tells that it came from a file with numbers.
pub(super) fn write(model: &Model, stored: bool, path: &Path, out: &Output) -> Outcome {
    let written = text::to_toml(model).at(model.name())?;
    if written.len() > MAX_TEXT {
        let cause = format!(
            "needs {} bytes; a model in TOML has at most {MAX_TEXT}",
            written.len()
        );
        return Err(Failure::new(cause).at(model.name()));
    }
    text::from_toml(&written, None, None)
        .map_err(|error| Failure::new(format!("cannot be said in TOML: {error}")))
        .at(model.name())?;
    write_atomically(path, written.as_bytes()).at(path.display())?;
    out.note(format!(
        "wrote {}: edit it, then `graticule train DATA --model {}`",
        path.display(),
        path.display()
    ));
    if stored {
        tell_lost(model, out);
    }
    Ok(())
}

/// What a stored network had and a text has not.
fn tell_lost(model: &Model, out: &Output) {
    out.note("it holds the network, not its numbers: training begins anew");
    let parameters = || {
        model
            .parameters()
            .iter()
            .filter_map(|p| Some((p, p.symbol.as_parameter()?)))
    };
    let weight = |p: &graph::ops::Parameter| p.shape.rank() > 1 || p.role == "weight";
    let zero = |p: &graph::ops::Parameter| p.trainable && p.init == Init::Constant(0.0);
    match parameters().filter(|(_, p)| weight(p) && zero(p)).count() {
        0 => {}
        n => out.note(format!(
            "{n} weights begin at zero, because an imported network says no rule for them: \
             write `init = \"he_normal\"` there, and `init = \"constant:1\"` for the scales of norms"
        )),
    }
    let statistics = ["running_mean", "running_var"];
    let fixed = parameters().filter(|(_, p)| !p.trainable && !statistics.contains(&p.role.as_str()));
    match fixed.count() {
        0 => {}
        n => out.note(format!(
            "{n} constants of the file, which training does not change, are zero in the new network"
        )),
    }
}
