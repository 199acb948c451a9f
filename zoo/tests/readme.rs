//! The README's table of the networks is what they are.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use graph::Binding;
use graticule_zoo::{NAMES, build};
use nn::model::summary;
use nn::model::summary::thousands;

const START: &str = "<!-- networks -->\n";
const END: &str = "<!-- end of networks -->";

/// One row a network: for what it was published, trainable parameters, multiply-accumulates, source.
fn table() -> String {
    let mut text =
        String::from("| name | input | outputs | parameters | MACs | source |\n|---|---|---|---|---|---|\n");
    for network in NAMES {
        let model = build(network.name, network.input, network.outputs).unwrap();
        let table = summary(&model, &Binding::batch(1)).unwrap();
        let input: Vec<String> = network.input.iter().map(usize::to_string).collect();
        text += &format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            network.name,
            input.join("×"),
            network.outputs,
            thousands(table.trainable as u64),
            thousands(table.macs),
            network.source
        );
    }
    text
}

/// With the environment variable `UPDATE_README` set, the table is written anew instead of compared.
#[test]
fn the_table_of_networks_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(START).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let expected = format!("\n{}\n", table());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(path, format!("{before}{START}{expected}{END}{after}")).unwrap();
        return;
    }
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}
