//! Inference of the exported ONNX files with tract and rten.

#[path = "../../clock.rs"]
mod clock;

use clock::{Options, Outcome};
use rten_tensor::prelude::*;
use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

fn main() -> Outcome {
    let options = Options::read()?;
    let shape: [usize; 4] = match options.case.as_str() {
        "resnet18_b1" | "squeezenet_b1" => [1, 3, 224, 224],
        "resnet18_b16" => [16, 3, 224, 224],
        "unet512_b1" => [1, 3, 512, 512],
        other => return Err(format!("no case {other}").into()),
    };
    let path = format!("{}/{}.onnx", options.onnx, options.case);
    let elements = shape.iter().product::<usize>();
    let data: Vec<f32> = (0..elements)
        .map(|i| ((i * 37) % 101) as f32 / 50.0 - 1.0)
        .collect();
    match options.mode.as_str() {
        "tract" => tract(&options, &path, shape, data),
        _ => rten(&options, &path, shape, data),
    }
}

fn tract(options: &Options, path: &str, shape: [usize; 4], data: Vec<f32>) -> Outcome {
    if options.threads > 1 {
        set_default_executor(Executor::multithread(options.threads));
    }
    let model = tract_onnx::onnx()
        .model_for_path(path)?
        .with_input_fact(0, f32::fact(shape).into())?
        .into_optimized()?
        .into_runnable()?;
    let [n, c, h, w] = shape;
    let x: Tensor = tract_ndarray::Array4::from_shape_vec((n, c, h, w), data)?.into();
    options.measure("0.23.9", || {
        model.run(tvec!(x.clone().into()))?;
        Ok(())
    })
}

fn rten(options: &Options, path: &str, shape: [usize; 4], data: Vec<f32>) -> Outcome {
    let model = rten::Model::load_file(path)?;
    let x = rten_tensor::NdTensor::from_data(shape, data);
    options.measure("0.27.0", || {
        model.run_one(x.view().into(), None)?;
        Ok(())
    })
}
