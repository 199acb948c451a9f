//! How long explanations of pictures take: `benchmarks/explain.py` runs this beside Captum.
//!
//!     cargo run --release -p graticule-explain --example speed -- METHOD PICTURES THREADS
//!
//! Prints the seconds of each of three rounds: `cnn-small` on made-up pictures of 64×64×3 in memory, ten classes.

use std::error::Error;
use std::time::Instant;

use engine::{Engine, Parameters};
use graph::Symbol;
use graph::ndarray::ArrayD;
use graticule_explain::{Method, Reading, Subject, Target, explain};

const USAGE: &str = "speed METHOD PICTURES THREADS";

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let [method, pictures, threads] = &given[..] else {
        return Err(USAGE.into());
    };
    let method = Method::named(method).ok_or(USAGE)?;
    let model = zoo::build("cnn-small", &[64, 64, 3], 10)?;
    let named: Vec<(String, Symbol)> = model
        .parameters()
        .iter()
        .map(|p| (p.name.clone(), p.symbol.clone()))
        .collect();
    let mut parameters = Parameters::new(&named);
    for (ordinal, (name, symbol)) in named.iter().enumerate() {
        if let Some(p) = symbol.as_parameter() {
            parameters.set(name, &nn::fill(p.init, &p.shape, 1, ordinal as u64))?;
        }
    }
    let mut number = 0.0f32;
    let inputs = ArrayD::from_shape_simple_fn(vec![pictures.parse::<usize>()?, 64, 64, 3], || {
        number += 0.37;
        number.sin()
    });
    let engine = Engine::new(threads.parse()?);
    let mut subject = Subject::new(&engine, &model, &parameters, Reading::Classes)?;
    for _ in 0..3 {
        let began = Instant::now();
        explain(&mut subject, &inputs, &Target::output(0), &method)?;
        println!("{:.4}", began.elapsed().as_secs_f64());
    }
    Ok(())
}
