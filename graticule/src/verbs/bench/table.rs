//! What was measured, as aligned lines.

use train::Pass;

use super::layers::LayerTime;
use super::measure::{Measured, Shares, Speed, ThreadTime};
use super::{Bench, Machine};
use crate::text::{columns, number, thousands};

/// Layers that take less than this share of the time stand in one line together.
const WORTH_A_LINE: f64 = 0.005;

/// Everything, line by line.
pub fn lines(bench: &Bench) -> Vec<String> {
    let mut lines = vec![machine(&bench.machine), String::new()];
    lines.extend(overview(&bench.networks));
    for network in &bench.networks {
        let details = details(network);
        lines.extend((!details.is_empty()).then(String::new));
        lines.extend(details);
    }
    lines
}

fn machine(machine: &Machine) -> String {
    let threads = match machine.threads {
        1 => "1 thread".to_string(),
        threads => format!("{threads} threads"),
    };
    let peak = machine.peak_gflops.map_or(String::new(), |peak| {
        format!(", measured peak {} GFLOP/s", number(peak))
    });
    format!("{threads}, {}{peak}", machine.isa)
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
        let shape: Vec<String> = network.input.iter().map(usize::to_string).collect();
        let mut who = [network.name.clone(), shape.join("×"), network.batch.to_string()];
        if let Some(speed) = &network.training {
            let held = memory.parameters + memory.optimizer + memory.training;
            rows.push(row(std::mem::take(&mut who), "training", speed, held));
        }
        if let Some(speed) = &network.inference {
            rows.push(row(who, "inference", speed, memory.parameters + memory.inference));
        }
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
        speed
            .gflops
            .map_or(String::new(), |gflops| format!("{gflops:.1}")),
        speed
            .share_of_peak
            .map_or(String::new(), |share| format!("{:.1}", 100.0 * share)),
        format!("{:.1}", bytes as f64 / 1e6),
    ]);
    row
}

fn details(network: &Measured) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(speed), Some(time)) = (&network.training, &network.time) {
        lines.extend(training(network, speed, time));
    }
    if let Some(threads) = &network.threads {
        lines.push(idle(threads));
    }
    lines.extend(layer_table(&network.layers, false));
    if !network.inference_layers.is_empty() && network.training.is_none() {
        lines.push(format!("{}: inference", network.name));
        lines.extend(layer_table(&network.inference_layers, true));
    }
    lines
}

fn training(network: &Measured, speed: &Speed, time: &Shares) -> [String; 2] {
    let alone = time.compute + time.memory_moving + time.update;
    let share = |part: f64| format!("{:.0} %", 100.0 * part / alone.max(1e-12));
    let moved = |bytes: usize, rate: f64| format!("{:.1} MB at {rate:.0} GB/s", bytes as f64 / 1e6);
    [
        format!(
            "{}: a training step of {} ms; its parts one by one take {} ms",
            network.name,
            number(speed.milliseconds),
            number(alone)
        ),
        format!(
            "  products {}, other kernels {} ({}), optimizer {} ({})",
            share(time.compute),
            share(time.memory_moving),
            moved(time.memory_moving_bytes, time.memory_moving_gigabytes_per_second),
            share(time.update),
            moved(time.update_bytes, time.update_gigabytes_per_second)
        ),
    ]
}

fn idle(threads: &ThreadTime) -> String {
    format!(
        "  threads in whole steps: busy {:.0} %, waiting for one another {:.0} %, idle beside one that works alone {:.0} %",
        100.0 * threads.busy,
        100.0 * threads.waiting,
        100.0 * threads.alone
    )
}

fn layer_table(layers: &[LayerTime], inference: bool) -> Vec<String> {
    if layers.is_empty() {
        return Vec::new();
    }
    let pass = if inference { "" } else { "pass" };
    let header = [
        "layer",
        pass,
        "ms",
        "% of time",
        "GFLOP/s",
        "% of peak",
        "GB/s",
        "ops",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    let seen = |layer: &&LayerTime| layer.share_of_time >= WORTH_A_LINE;
    rows.extend(layers.iter().filter(seen).map(layer_row));
    let small: Vec<&LayerTime> = layers.iter().filter(|l| !seen(l)).collect();
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
    columns(&rows)
        .into_iter()
        .map(|line| format!("  {line}"))
        .collect()
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
        format!("{:.0}", layer.gigabytes_per_second),
        layer.ops.join(", "),
    ]
}
