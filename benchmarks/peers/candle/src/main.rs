//! Training steps (forward, backward, SGD with momentum) and inference in Candle.
//! Candle's max-pool gradient needs kernel == stride, so its ResNet-18 uses a 2x2 pool in the stem.

#[path = "../../clock.rs"]
mod clock;

use candle_core::{D, DType, Device, IndexOp, Module, ModuleT, Result, Tensor, Var, backprop::GradStore};
use candle_nn::{
    BatchNorm, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig, Linear, VarBuilder, VarMap,
    batch_norm, conv2d, conv2d_no_bias, linear, loss,
};
use clock::{Options, Outcome};

type F = Box<dyn Fn(&Tensor, bool) -> Result<Tensor>>;
fn cfg(p: usize, s: usize) -> Conv2dConfig {
    Conv2dConfig {
        padding: p,
        stride: s,
        ..Default::default()
    }
}

fn mlp(dims: &[usize], tanh: bool, vb: VarBuilder) -> Result<F> {
    let ls: Vec<Linear> = dims
        .windows(2)
        .enumerate()
        .map(|(i, w)| linear(w[0], w[1], vb.pp(format!("l{i}"))))
        .collect::<Result<_>>()?;
    Ok(Box::new(move |x, _| {
        let mut x = x.clone();
        for (i, l) in ls.iter().enumerate() {
            x = l.forward(&x)?;
            if i + 1 < ls.len() {
                x = if tanh { x.tanh()? } else { x.relu()? };
            }
        }
        Ok(x)
    }))
}
fn lenet(vb: VarBuilder) -> Result<F> {
    let (c1, c2) = (
        conv2d(1, 6, 5, cfg(0, 1), vb.pp("c1"))?,
        conv2d(6, 16, 5, cfg(0, 1), vb.pp("c2"))?,
    );
    let m = mlp(&[400, 120, 84, 10], false, vb.pp("m"))?;
    Ok(Box::new(move |x, t| {
        let x = c1.forward(x)?.relu()?.max_pool2d(2)?;
        let x = c2.forward(&x)?.relu()?.max_pool2d(2)?;
        m(&x.flatten_from(1)?, t)
    }))
}
fn cnn64(vb: VarBuilder) -> Result<F> {
    let ch = [(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)];
    let cs: Vec<Conv2d> = ch
        .iter()
        .enumerate()
        .map(|(i, c)| conv2d(c.0, c.1, 3, cfg(1, 1), vb.pp(format!("c{i}"))))
        .collect::<Result<_>>()?;
    let m = mlp(&[128 * 64, 256, 10], false, vb.pp("m"))?;
    Ok(Box::new(move |x, t| {
        let mut x = x.clone();
        for (i, c) in cs.iter().enumerate() {
            x = c.forward(&x)?.relu()?;
            if i % 2 == 1 {
                x = x.max_pool2d(2)?;
            }
        }
        m(&x.flatten_from(1)?, t)
    }))
}
struct Block {
    c1: Conv2d,
    b1: BatchNorm,
    c2: Conv2d,
    b2: BatchNorm,
    d: Option<(Conv2d, BatchNorm)>,
}
impl Block {
    fn new(i: usize, o: usize, s: usize, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            c1: conv2d_no_bias(i, o, 3, cfg(1, s), vb.pp("c1"))?,
            b1: batch_norm(o, 1e-5, vb.pp("b1"))?,
            c2: conv2d_no_bias(o, o, 3, cfg(1, 1), vb.pp("c2"))?,
            b2: batch_norm(o, 1e-5, vb.pp("b2"))?,
            d: if s != 1 || i != o {
                Some((
                    conv2d_no_bias(i, o, 1, cfg(0, s), vb.pp("d"))?,
                    batch_norm(o, 1e-5, vb.pp("db"))?,
                ))
            } else {
                None
            },
        })
    }
    fn f(&self, x: &Tensor, t: bool) -> Result<Tensor> {
        let y = self.b1.forward_t(&self.c1.forward(x)?, t)?.relu()?;
        let y = self.b2.forward_t(&self.c2.forward(&y)?, t)?;
        let r = match &self.d {
            Some((c, b)) => b.forward_t(&c.forward(x)?, t)?,
            None => x.clone(),
        };
        (y + r)?.relu()
    }
}
fn resnet18(classes: usize, vb: VarBuilder) -> Result<F> {
    let c = conv2d_no_bias(3, 64, 7, cfg(3, 2), vb.pp("c"))?;
    let b = batch_norm(64, 1e-5, vb.pp("b"))?;
    let mut bl = vec![];
    for (k, (i, o, s)) in [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        .into_iter()
        .enumerate()
    {
        bl.push(Block::new(i, o, s, vb.pp(format!("s{k}a")))?);
        bl.push(Block::new(o, o, 1, vb.pp(format!("s{k}b")))?);
    }
    let l = linear(512, classes, vb.pp("fc"))?;
    Ok(Box::new(move |x, t| {
        let mut x = b.forward_t(&c.forward(x)?, t)?.relu()?.max_pool2d(2)?;
        for k in &bl {
            x = k.f(&x, t)?;
        }
        l.forward(&x.mean(D::Minus1)?.mean(D::Minus1)?)
    }))
}
fn unet(vb: VarBuilder) -> Result<F> {
    let dc = |i: usize, o: usize, vb: VarBuilder| -> Result<Vec<(Conv2d, BatchNorm)>> {
        Ok(vec![
            (
                conv2d_no_bias(i, o, 3, cfg(1, 1), vb.pp("1"))?,
                batch_norm(o, 1e-5, vb.pp("b1"))?,
            ),
            (
                conv2d_no_bias(o, o, 3, cfg(1, 1), vb.pp("2"))?,
                batch_norm(o, 1e-5, vb.pp("b2"))?,
            ),
        ])
    };
    let ch = [32, 64, 128, 256, 512];
    let enc = (0..4)
        .map(|k| dc(if k == 0 { 3 } else { ch[k - 1] }, ch[k], vb.pp(format!("e{k}"))))
        .collect::<Result<Vec<_>>>()?;
    let mid = dc(256, 512, vb.pp("mid"))?;
    let ups = (0..4)
        .rev()
        .map(|k| {
            candle_nn::conv_transpose2d(
                ch[k + 1],
                ch[k],
                2,
                ConvTranspose2dConfig {
                    stride: 2,
                    ..Default::default()
                },
                vb.pp(format!("u{k}")),
            )
        })
        .collect::<Result<Vec<ConvTranspose2d>>>()?;
    let dec = (0..4)
        .rev()
        .map(|k| dc(2 * ch[k], ch[k], vb.pp(format!("d{k}"))))
        .collect::<Result<Vec<_>>>()?;
    let out = conv2d(32, 1, 1, cfg(0, 1), vb.pp("out"))?;
    Ok(Box::new(move |x, t| {
        let run = |l: &Vec<(Conv2d, BatchNorm)>, x: Tensor| -> Result<Tensor> {
            let mut x = x;
            for (c, b) in l {
                x = b.forward_t(&c.forward(&x)?, t)?.relu()?;
            }
            Ok(x)
        };
        let mut x = x.clone();
        let mut sk = vec![];
        for e in &enc {
            x = run(e, x)?;
            sk.push(x.clone());
            x = x.max_pool2d(2)?;
        }
        x = run(&mid, x)?;
        for (u, d) in ups.iter().zip(&dec) {
            x = run(d, Tensor::cat(&[u.forward(&x)?, sk.pop().unwrap()], 1)?)?;
        }
        out.forward(&x)
    }))
}

struct Sgdm {
    vars: Vec<(Var, Option<Tensor>)>,
    lr: f64,
    mu: f64,
}
impl Sgdm {
    fn step(&mut self, g: &GradStore) -> Result<()> {
        for (v, m) in self.vars.iter_mut() {
            if let Some(gr) = g.get(v.as_tensor()) {
                let nm = match m {
                    Some(m) => ((&*m * self.mu)? + gr)?,
                    None => gr.clone(),
                }
                .detach();
                v.set(&(v.as_tensor() - (&nm * self.lr)?)?.detach())?;
                *m = Some(nm);
            }
        }
        Ok(())
    }
}

const VERSION: &str = "0.11.1+x86-v4";

fn inference(options: &Options, dev: &Device, vb: VarBuilder) -> Outcome {
    let (net, shape): (F, [usize; 4]) = match options.case.as_str() {
        "resnet18_b1" => (resnet18(1000, vb)?, [1, 3, 224, 224]),
        "resnet18_b16" => (resnet18(1000, vb)?, [16, 3, 224, 224]),
        "unet512_b1" => (unet(vb)?, [1, 3, 512, 512]),
        other => return Err(format!("no case {other}").into()),
    };
    let x = Tensor::randn(0f32, 1f32, &shape, dev)?;
    options.measure(VERSION, || {
        net(&x, false)?.i(0)?.sum_all()?.to_scalar::<f32>()?;
        Ok(())
    })
}

fn main() -> Outcome {
    let options = Options::read()?;
    let dev = Device::Cpu;
    let vm = VarMap::new();
    let vb = VarBuilder::from_varmap(&vm, DType::F32, &dev);
    let (net, shape): (F, Vec<usize>) = match options.case.as_str() {
        "tiny" => (mlp(&[2, 4, 4, 1], true, vb)?, vec![10, 2]),
        "mlp" => (mlp(&[784, 256, 128, 10], false, vb)?, vec![128, 784]),
        "lenet64" => (lenet(vb)?, vec![64, 1, 32, 32]),
        "lenet256" => (lenet(vb)?, vec![256, 1, 32, 32]),
        "cnn64" => (cnn64(vb)?, vec![64, 3, 64, 64]),
        "resnet18" => (resnet18(10, vb)?, vec![32, 3, 64, 64]),
        "unet" => (unet(vb)?, vec![4, 3, 256, 256]),
        _ => return inference(&options, &dev, vb),
    };
    let batch = shape[0];
    let x = Tensor::randn(0f32, 1f32, shape.clone(), &dev)?;
    let classes = Tensor::from_vec((0..batch as u32).map(|i| i % 10).collect::<Vec<_>>(), batch, &dev)?;
    let numbers = Tensor::randn(0f32, 1f32, (batch, 1), &dev)?;
    let pixels = match options.case.as_str() {
        "unet" => Some(Tensor::rand(0f32, 1f32, (batch, 1, shape[2], shape[3]), &dev)?.round()?),
        _ => None,
    };
    let vars = vm.all_vars().into_iter().map(|v| (v, None)).collect();
    let mut descent = Sgdm {
        vars,
        lr: 1e-4,
        mu: 0.9,
    };
    options.measure(VERSION, || {
        let y = net(&x, true)?;
        let value = match (&pixels, options.case.as_str()) {
            (Some(pixels), _) => loss::binary_cross_entropy_with_logit(&y, pixels)?,
            (None, "tiny") => loss::mse(&y, &numbers)?,
            _ => loss::cross_entropy(&y, &classes)?,
        };
        Ok(descent.step(&value.backward()?)?)
    })
}
