//! What was measured, as aligned lines.

use train::Pass;

use super::measure::{LayerTime, Measured, Speed};
use super::{Bench, Machine};
use crate::text::{columns, number, thousands};

/// Layers that take less than this share of the time stand in one line together.
const WORTH_A_LINE: f64 = 0.005;

/// Everything, line by line.
pub fn lines(bench: &Bench) -> Vec<String> {
    let mut lines = vec![machine(&bench.machine), String::new()];
    lines.extend(overview(&bench.networks));
    for network in &bench.networks {
        lines.push(String::new());
        lines.extend(details(network));
    }
    lines
}

fn machine(machine: &Machine) -> String {
    let Machine {
        threads,
        isa,
        peak_gflops,
    } = machine;
    let threads = if *threads == 1 {
        "1 thread".to_string()
    } else {
        format!("{threads} threads")
    };
    format!("{threads}, {isa}, measured peak {} GFLOP/s", number(*peak_gflops))
}

fn overview(networks: &[Measured]) -> Vec<String> {
    let header = [
        "network",
        "input",
        "batch",
        "",
        "ms/step",
        "steps/s",
        "images/s",
        "GFLOP/s",
        "% of peak",
        "MB",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    for network in networks {
        let memory = &network.memory;
        let held = memory.parameters + memory.optimizer + memory.training;
        let shape: Vec<String> = network.input.iter().map(usize::to_string).collect();
        let who = [network.name.clone(), shape.join("×"), network.batch.to_string()];
        rows.push(row(who, "training", &network.training, held));
        let held = memory.parameters + memory.inference;
        rows.push(row(Default::default(), "inference", &network.inference, held));
    }
    columns(&rows)
}

fn row(who: [String; 3], what: &str, speed: &Speed, bytes: usize) -> Vec<String> {
    let mut row = who.to_vec();
    row.extend([
        what.into(),
        format!("{:.3}", speed.milliseconds),
        format!("{:.1}", speed.steps_per_second),
        thousands(speed.images_per_second.round() as usize),
        format!("{:.1}", speed.gflops),
        format!("{:.1}", 100.0 * speed.share_of_peak),
        format!("{:.1}", bytes as f64 / 1e6),
    ]);
    row
}

fn details(network: &Measured) -> Vec<String> {
    let time = &network.time;
    let alone = time.compute + time.memory_moving + time.update;
    let share = |part: f64| format!("{:.0} %", 100.0 * part / alone.max(1e-12));
    let mut lines = vec![
        format!(
            "{}: a training step of {} ms; its parts one by one take {} ms",
            network.name,
            number(network.training.milliseconds),
            number(alone)
        ),
        format!(
            "  products {}, other kernels {}, optimizer {}",
            share(time.compute),
            share(time.memory_moving),
            share(time.update)
        ),
    ];
    let header = ["layer", "pass", "ms", "% of time", "GFLOP/s", "% of peak", "ops"];
    let mut rows = vec![header.map(String::from).to_vec()];
    let seen = |layer: &&LayerTime| layer.share_of_time >= WORTH_A_LINE;
    rows.extend(network.layers.iter().filter(seen).map(layer_row));
    let small: Vec<&LayerTime> = network.layers.iter().filter(|l| !seen(l)).collect();
    if !small.is_empty() {
        let sum = |of: fn(&LayerTime) -> f64| small.iter().map(|l| of(l)).sum::<f64>();
        let share = format!("{:.1}", 100.0 * sum(|l| l.share_of_time));
        let name = format!("{} smaller ones", small.len());
        rows.push(vec![
            name,
            String::new(),
            format!("{:.3}", sum(|l| l.milliseconds)),
            share,
        ]);
    }
    lines.extend(columns(&rows).into_iter().map(|line| format!("  {line}")));
    lines
}

fn layer_row(layer: &LayerTime) -> Vec<String> {
    let pass = match layer.pass {
        Pass::Forward => "forward",
        Pass::Backward => "backward",
        Pass::Weights => "weights",
    };
    vec![
        layer.layer.clone(),
        pass.into(),
        format!("{:.3}", layer.milliseconds),
        format!("{:.1}", 100.0 * layer.share_of_time),
        format!("{:.1}", layer.gflops),
        format!("{:.1}", 100.0 * layer.share_of_peak),
        layer.ops.join(", "),
    ]
}
