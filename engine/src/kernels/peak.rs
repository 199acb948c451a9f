//! The processor's peak: multiply-adds that never leave the registers, as many at a time as it can
//! have on its way. What a kernel reaches is told as a share of this.

use std::hint::black_box;
use std::time::Instant;

use super::Isa;
use super::simd::{Portable, Simd};
use crate::Pool;

/// Multiply-adds of one chain in one call of a worker's loop.
const ROUNDS: usize = 1 << 15;

/// `rounds` times `x ← c + x·a` on `CHAINS` vectors that do not wait for each other; their sum.
#[inline(always)]
unsafe fn chains<S: Simd, const CHAINS: usize>(rounds: usize, a: f32, c: f32) -> f32 {
    // SAFETY: the caller has the instruction set; the stores go to an array of 16 lanes.
    unsafe {
        let (a, c) = (S::splat(a), S::splat(c));
        let mut values = [S::zero(); CHAINS];
        for _ in 0..rounds {
            for value in &mut values {
                *value = c.fma(*value, a);
            }
        }
        let mut lanes = [0.0f32; 16];
        let mut sum = 0.0;
        for value in values {
            value.store(lanes.as_mut_ptr());
            sum += lanes[..S::LANES].iter().sum::<f32>();
        }
        sum
    }
}

/// Chains that hide the latency of a multiply-add on two ports and still fit into the registers.
fn chain_count(isa: Isa) -> usize {
    match isa {
        Isa::Scalar => 6,
        Isa::Avx2 | Isa::Avx512 => 12,
    }
}

macro_rules! loops {
    ($name:ident, $simd:ty, $feature:literal, $chains:literal) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $feature)]
        unsafe fn $name(rounds: usize, a: f32, c: f32) -> f32 {
            // SAFETY: the features are enabled here.
            unsafe { chains::<$simd, $chains>(rounds, a, c) }
        }
    };
}

loops!(avx2_loop, super::simd::x86::Avx2, "avx2,fma", 12);
loops!(avx512_loop, super::simd::x86::Avx512, "avx512f", 12);

fn run_loop(isa: Isa, rounds: usize, a: f32, c: f32) -> f32 {
    // SAFETY: an `Isa` above `Scalar` is only made after the processor was asked for it; the portable
    // vector needs nothing.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512_loop(rounds, a, c),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2_loop(rounds, a, c),
            _ => chains::<Portable, 6>(rounds, a, c),
        }
    }
}

/// Floating-point operations per second of f32 multiply-adds (two each) with `isa`'s vectors on all
/// workers of `pool` together: the best of `repeats` short measurements, so that a disturbance counts
/// for nothing.
///
/// ```
/// use graticule_engine::{Engine, kernels::peak_flops};
/// let engine = Engine::new(1);
/// assert!(peak_flops(engine.isa(), engine.pool(), 3) > 1e6);
/// ```
pub fn peak_flops(isa: Isa, pool: &Pool, repeats: usize) -> f64 {
    let isa = isa.min(Isa::detect());
    let calls = 16;
    let each = 2 * ROUNDS * chain_count(isa) * isa.lanes() * calls;
    let work = |_: usize| {
        for _ in 0..calls {
            black_box(run_loop(
                isa,
                black_box(ROUNDS),
                black_box(0.999),
                black_box(1e-3),
            ));
        }
    };
    let measure = |_| {
        let started = Instant::now();
        pool.run(&work);
        (each * pool.threads()) as f64 / started.elapsed().as_secs_f64().max(1e-9)
    };
    (0..repeats.max(1)).map(measure).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_computes_what_it_says() {
        // The recurrence x ← c + x·a in f64.
        let expected = (0..1000).fold(0.0f64, |x, _| 1e-3 + x * 0.999);
        for isa in Isa::available() {
            let sum = run_loop(isa, 1000, 0.999, 1e-3);
            let one = f64::from(sum) / (chain_count(isa) * isa.lanes()) as f64;
            assert!((one - expected).abs() < 1e-4, "{isa}: {one} is not {expected}");
        }
    }

    #[test]
    fn every_instruction_set_has_a_peak() {
        let pool = Pool::new(2);
        for isa in Isa::available() {
            let flops = peak_flops(isa, &pool, 2);
            assert!(flops.is_finite() && flops > 1e6, "{isa}: {flops}");
        }
    }
}
