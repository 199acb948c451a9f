//! Instruction sets, found once and chosen for every kernel, and the precision of products.

use std::fmt;
use std::str::FromStr;

use super::amx::Unit;
use super::amx::detect::detect;

/// The instruction set that kernels are built for, slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Portable code, as the compiler vectorises it for the baseline target.
    Scalar,
    /// AVX2 with FMA, 8 lanes.
    Avx2,
    /// AVX-512F, 16 lanes.
    Avx512,
}

impl Isa {
    /// The fastest set that this processor has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
            {
                return Isa::Avx512;
            }
            if avx2 {
                return Isa::Avx2;
            }
        }
        Isa::Scalar
    }

    /// Every set that this processor has, slowest first.
    pub fn available() -> Vec<Isa> {
        let best = Self::detect();
        [Isa::Scalar, Isa::Avx2, Isa::Avx512]
            .into_iter()
            .filter(|isa| *isa <= best)
            .collect()
    }

    /// f32 numbers in one vector of the matrix kernels.
    pub fn lanes(self) -> usize {
        match self {
            Isa::Scalar | Isa::Avx2 => 8,
            Isa::Avx512 => 16,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        })
    }
}

/// All that an engine may use of a processor: vectors, and above AVX-512 the tile unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Vectors of this set alone.
    Vectors(Isa),
    /// AVX-512, and AMX for matrix products.
    Amx,
    /// The best vectors there are, and a tile unit in plain Rust: slow, for tests on any processor.
    AmxEmulated,
}

impl Level {
    /// The best that this processor has.
    pub fn detect() -> Self {
        match detect() {
            Ok(_) => Level::Amx,
            Err(_) => Level::Vectors(Isa::detect()),
        }
    }

    /// Everything that this processor has, slowest first.
    pub fn available() -> Vec<Level> {
        let vectors = Isa::available().into_iter().map(Level::Vectors);
        vectors.chain(detect().map(|_| Level::Amx)).collect()
    }

    /// Why there is no tile unit to use, in a person's words.
    pub fn no_tiles() -> Option<&'static str> {
        detect().err()
    }

    /// The instruction set of the vectors.
    pub fn isa(self) -> Isa {
        match self {
            Level::Vectors(isa) => isa,
            Level::Amx | Level::AmxEmulated => Isa::detect(),
        }
    }

    /// This level, or the best there is where the processor lacks it.
    pub(crate) fn or_best(self) -> Self {
        match self {
            Level::Vectors(isa) => Level::Vectors(isa.min(Isa::detect())),
            Level::Amx => Level::detect(),
            Level::AmxEmulated => self,
        }
    }

    /// Who multiplies tiles.
    pub(crate) fn unit(self) -> Option<Unit> {
        match self {
            Level::Vectors(_) => None,
            Level::Amx => detect().ok(),
            Level::AmxEmulated => Some(Unit::Emulated),
        }
    }
}

impl From<Isa> for Level {
    fn from(isa: Isa) -> Self {
        Level::Vectors(isa)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Vectors(isa) => isa.fmt(f),
            Level::Amx => f.write_str("amx"),
            Level::AmxEmulated => f.write_str("amx-emulated"),
        }
    }
}

impl FromStr for Level {
    type Err = String;
    /// The name of a level, whether or not this processor has it.
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "scalar" => Level::Vectors(Isa::Scalar),
            "avx2" => Level::Vectors(Isa::Avx2),
            "avx512" => Level::Vectors(Isa::Avx512),
            "amx" => Level::Amx,
            _ => {
                return Err(format!(
                    "unknown instruction set `{text}`: use scalar, avx2, avx512 or amx"
                ));
            }
        })
    }
}

/// How exact matrix products and convolutions are. All else is f32, and so are parameters, activations
/// and gradients. Without a tile unit all three are f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// As exact as f32 multiply-adds or better: those, or six bf16 products, whichever is faster.
    #[default]
    Highest,
    /// Three bf16 products: 16 to 17 bits of each factor.
    High,
    /// One bf16 product: 8 bits of each factor, summed in f32. Images between layers are kept as bf16 numbers.
    Medium,
}

impl Precision {
    /// Every precision, the most exact first.
    pub const ALL: [Precision; 3] = [Precision::Highest, Precision::High, Precision::Medium];

    /// Into how many bf16 parts an operand is split.
    pub(crate) fn parts(self) -> usize {
        match self {
            Precision::Highest => 3,
            Precision::High => 2,
            Precision::Medium => 1,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Precision::Highest => "highest",
            Precision::High => "high",
            Precision::Medium => "medium",
        })
    }
}

impl FromStr for Precision {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|p| p.to_string() == text);
        found.ok_or_else(|| format!("unknown precision `{text}`: use highest, high or medium"))
    }
}

/// Compiles a function body once per instruction set and picks at run time:
/// `per_isa!(fn name(args…) { body })` makes `name(isa, args…)`. The body is plain Rust that the
/// compiler vectorises with the set's registers.
#[macro_export]
#[doc(hidden)]
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name(isa: $crate::kernels::Isa, $($arg: $ty),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx2($($arg: $ty),*) { body($($arg),*) }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            fn avx512($($arg: $ty),*) { body($($arg),*) }

            match isa {
                // SAFETY: an `Isa` above `Scalar` is only made after the processor was asked for it.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernels::Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => body($($arg),*),
            }
        }
    };
}
