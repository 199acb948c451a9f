//! Training steps (forward, backward, SGD with momentum) and inference in Burn, on its CPU backend flex.

#[path = "../../clock.rs"]
mod clock;

use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::{Distribution, activation::relu};
use clock::{Options, Outcome};

#[derive(Module, Debug)]
struct Net {
    c: Vec<Conv2d>,
    b: Vec<BatchNorm>,
    u: Vec<ConvTranspose2d>,
    l: Vec<Linear>,
}

fn conv(i: usize, o: usize, k: usize, p: usize, s: usize, bias: bool, d: &Device) -> Conv2d {
    Conv2dConfig::new([i, o], [k, k])
        .with_stride([s, s])
        .with_bias(bias)
        .with_padding(if p == 0 {
            PaddingConfig2d::Valid
        } else {
            PaddingConfig2d::Explicit(p, p, p, p)
        })
        .init(d)
}
fn fcs(dims: &[usize], d: &Device) -> Vec<Linear> {
    dims.windows(2)
        .map(|w| LinearConfig::new(w[0], w[1]).init(d))
        .collect()
}
const STAGES: [(usize, usize, usize); 4] = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)];
const CH: [usize; 5] = [32, 64, 128, 256, 512];

fn build(case: &str, classes: usize, d: &Device) -> Net {
    let (mut c, mut b, mut u, mut l) = (vec![], vec![], vec![], vec![]);
    match case {
        "tiny" => l = fcs(&[2, 4, 4, 1], d),
        "mlp" => l = fcs(&[784, 256, 128, 10], d),
        "lenet64" | "lenet256" => {
            c = vec![conv(1, 6, 5, 0, 1, true, d), conv(6, 16, 5, 0, 1, true, d)];
            l = fcs(&[400, 120, 84, 10], d)
        }
        "cnn64" => {
            c = [(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
                .iter()
                .map(|k| conv(k.0, k.1, 3, 1, 1, true, d))
                .collect();
            l = fcs(&[8192, 256, 10], d)
        }
        "resnet18" => {
            c.push(conv(3, 64, 7, 3, 2, false, d));
            b.push(BatchNormConfig::new(64).init(d));
            for (i, o, s) in STAGES {
                for (i, s) in [(i, s), (o, 1)] {
                    c.push(conv(i, o, 3, 1, s, false, d));
                    c.push(conv(o, o, 3, 1, 1, false, d));
                    for _ in 0..2 {
                        b.push(BatchNormConfig::new(o).init(d));
                    }
                    if s != 1 || i != o {
                        c.push(conv(i, o, 1, 0, s, false, d));
                        b.push(BatchNormConfig::new(o).init(d));
                    }
                }
            }
            l = fcs(&[512, classes], d);
        }
        "unet" => {
            let mut dc = |i: usize, o: usize| {
                c.push(conv(i, o, 3, 1, 1, false, d));
                c.push(conv(o, o, 3, 1, 1, false, d));
                for _ in 0..2 {
                    b.push(BatchNormConfig::new(o).init(d));
                }
            };
            for k in 0..4 {
                dc(if k == 0 { 3 } else { CH[k - 1] }, CH[k]);
            }
            dc(256, 512);
            for k in (0..4).rev() {
                dc(2 * CH[k], CH[k]);
            }
            for k in (0..4).rev() {
                u.push(
                    ConvTranspose2dConfig::new([CH[k + 1], CH[k]], [2, 2])
                        .with_stride([2, 2])
                        .init(d),
                );
            }
            c.push(conv(32, 1, 1, 0, 1, true, d));
        }
        _ => panic!("case"),
    }
    Net { c, b, u, l }
}
fn pool(x: Tensor<4>, k: usize, s: usize, p: usize) -> Tensor<4> {
    MaxPool2dConfig::new([k, k])
        .with_strides([s, s])
        .with_padding(if p == 0 {
            PaddingConfig2d::Valid
        } else {
            PaddingConfig2d::Explicit(p, p, p, p)
        })
        .init()
        .forward(x)
}
fn mlp(n: &Net, mut x: Tensor<2>, tanh: bool) -> Tensor<2> {
    for (i, l) in n.l.iter().enumerate() {
        x = l.forward(x);
        if i + 1 < n.l.len() {
            x = if tanh { x.tanh() } else { relu(x) };
        }
    }
    x
}
fn features(case: &str, n: &Net, x: Tensor<4>) -> Tensor<4> {
    match case {
        "lenet64" | "lenet256" => {
            let x = pool(relu(n.c[0].forward(x)), 2, 2, 0);
            pool(relu(n.c[1].forward(x)), 2, 2, 0)
        }
        "cnn64" => {
            let mut x = x;
            for i in 0..6 {
                x = relu(n.c[i].forward(x));
                if i % 2 == 1 {
                    x = pool(x, 2, 2, 0);
                }
            }
            x
        }
        "resnet18" => {
            let mut x = pool(relu(n.b[0].forward(n.c[0].forward(x))), 3, 2, 1);
            let (mut ci, mut bi) = (1, 1);
            for (i, o, s) in STAGES {
                for (i, s) in [(i, s), (o, 1)] {
                    let y = relu(n.b[bi].forward(n.c[ci].forward(x.clone())));
                    let y = n.b[bi + 1].forward(n.c[ci + 1].forward(y));
                    ci += 2;
                    bi += 2;
                    let r = if s != 1 || i != o {
                        let r = n.b[bi].forward(n.c[ci].forward(x));
                        ci += 1;
                        bi += 1;
                        r
                    } else {
                        x
                    };
                    x = relu(y + r);
                }
            }
            x.mean_dim(3).mean_dim(2)
        }
        "unet" => {
            let dc = |k: usize, x: Tensor<4>| {
                let x = relu(n.b[2 * k].forward(n.c[2 * k].forward(x)));
                relu(n.b[2 * k + 1].forward(n.c[2 * k + 1].forward(x)))
            };
            let mut sk = vec![];
            let mut x = x;
            for k in 0..4 {
                x = dc(k, x);
                sk.push(x.clone());
                x = pool(x, 2, 2, 0);
            }
            x = dc(4, x);
            for k in 0..4 {
                x = dc(5 + k, Tensor::cat(vec![n.u[k].forward(x), sk.pop().unwrap()], 1));
            }
            n.c[18].forward(x)
        }
        _ => unreachable!(),
    }
}
const VERSION: &str = "0.22.1";

fn noise4(shape: &[usize], device: &Device) -> Tensor<4> {
    Tensor::random(
        [shape[0], shape[1], shape[2], shape[3]],
        Distribution::Default,
        device,
    )
}

fn inference(options: &Options, device: &Device) -> Outcome {
    let (net_name, shape) = match options.case.as_str() {
        "resnet18_b1" => ("resnet18", [1, 3, 224, 224]),
        "resnet18_b16" => ("resnet18", [16, 3, 224, 224]),
        "unet512_b1" => ("unet", [1, 3, 512, 512]),
        other => return Err(format!("no case {other}").into()),
    };
    let net = build(net_name, 1000, device);
    let x = noise4(&shape, device);
    options.measure(VERSION, || {
        let y = features(net_name, &net, x.clone());
        if net_name == "unet" {
            let _ = y.into_data();
        } else {
            let _ = mlp(&net, y.flatten(1, 3), false).into_data();
        }
        Ok(())
    })
}

fn main() -> Outcome {
    let options = Options::read()?;
    let case = options.case.as_str();
    let shape: &[usize] = match case {
        "tiny" => &[10, 2],
        "mlp" => &[128, 784],
        "lenet64" => &[64, 1, 32, 32],
        "lenet256" => &[256, 1, 32, 32],
        "cnn64" => &[64, 3, 64, 64],
        "resnet18" => &[32, 3, 64, 64],
        "unet" => &[4, 3, 256, 256],
        _ => return inference(&options, &Device::flex()),
    };
    let base = Device::flex();
    let device = base.clone().autodiff();
    let batch = shape[0];
    let mut net = Some(build(case, 10, &device));
    let momentum = MomentumConfig {
        momentum: 0.9,
        dampening: 0.0,
        nesterov: false,
    };
    let mut descent = SgdConfig::new().with_momentum(Some(momentum)).init();
    let classes = TensorData::new((0..batch as i64).map(|i| i % 10).collect::<Vec<_>>(), [batch]);
    let classes: Tensor<1, Int> = Tensor::from_data(classes, &device);
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let rows = Tensor::<2>::random([batch, shape[1]], Distribution::Default, &device);
    let images = (shape.len() == 4).then(|| noise4(shape, &device));
    let numbers = Tensor::<2>::random([batch, 1], Distribution::Default, &device);
    let pixels = (case == "unet").then(|| noise4(&[batch, 1, shape[2], shape[3]], &device).round());
    options.measure(VERSION, || {
        let n = net.take().ok_or("the network is gone")?;
        let loss = match (&images, &pixels) {
            (Some(x), Some(target)) => {
                // Binary cross-entropy of logits: max(z, 0) − z·t + ln(1 + exp(−|z|)).
                let z = features(case, &n, x.clone());
                (relu(z.clone()) - z.clone() * target.clone() + (z.abs().neg().exp() + 1.0).log()).mean()
            }
            (Some(x), None) => {
                let y = mlp(&n, features(case, &n, x.clone()).flatten(1, 3), false);
                cross_entropy.forward(y, classes.clone())
            }
            (None, _) if case == "tiny" => {
                let error = mlp(&n, rows.clone(), true) - numbers.clone();
                (error.clone() * error).mean()
            }
            (None, _) => cross_entropy.forward(mlp(&n, rows.clone(), false), classes.clone()),
        };
        let gradients = GradientsParams::from_grads(loss.backward(), &n);
        net = Some(descent.step(1e-4, n, gradients));
        base.sync().map_err(|e| format!("{e:?}"))?;
        Ok(())
    })
}
