//! Whether there is a tile unit that may be used: found, permitted, and seen to compute what it should.

use std::sync::OnceLock;

use super::super::Isa;
use super::split::{Rows, Run, lay, pair};
use super::tile::{BLOCK, Block, Left, Right, SIDE, Session, Starts, Tiles, Unit};

/// The unit of this processor, asked for once; or why there is none, in a person's words.
pub fn detect() -> Result<Unit, &'static str> {
    static FOUND: OnceLock<Result<Unit, &'static str>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        if Isa::detect() != Isa::Avx512 || !processor::has_tiles() {
            return Err("this processor has no AMX unit with bf16");
        }
        if !processor::permitted() {
            return Err("the operating system does not permit this processor's AMX unit");
        }
        if !agrees(Unit::Real) {
            return Err("this processor's AMX unit does not compute what its definition says");
        }
        Ok(Unit::Real)
    })
}

/// Whether `unit` gives the emulated unit's numbers, within one unit in the last place of the
/// largest, for each number of parts.
pub(super) fn agrees(unit: Unit) -> bool {
    (1..=3).all(|parts| {
        let isa = Isa::detect();
        let tiles = |unit| Tiles { unit, parts, isa };
        let (real, emulated) = (small_product(tiles(unit)), small_product(tiles(Unit::Emulated)));
        let largest = emulated.0.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let last_place = largest * f32::EPSILON;
        let pairs = real.0.iter().zip(&emulated.0);
        largest > 1.0 && pairs.into_iter().all(|(r, e)| (r - e).abs() <= last_place)
    })
}

/// A product over three steps, out of order, with rows further apart than they are long; and the same added to it.
fn small_product(tiles: Tiles) -> Block {
    let numbers = |seed: u32| {
        let mut state = seed;
        Block(std::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        }))
    };
    let (steps, row, isa) = (3, SIDE + 8, tiles.isa);
    let each = SIDE * row;
    let plane = steps * each + 16;
    let mut a = vec![0; tiles.parts * plane];
    let mut b = vec![0; steps * tiles.parts * BLOCK];
    for step in 0..steps {
        let (from, to) = (numbers(step as u32), numbers(step as u32 + 7));
        for (line, from) in from.0.chunks_exact(SIDE).enumerate() {
            let run = Run {
                count: 1,
                stride: SIDE,
                channels: SIDE,
            };
            lay(
                isa,
                tiles.parts,
                from,
                run,
                &mut a,
                (step * each + line * row, plane),
            );
        }
        pair(
            isa,
            tiles.parts,
            &to.0,
            Rows::BLOCK,
            &mut b,
            (step * tiles.parts * BLOCK, BLOCK),
        );
    }
    let left = Left {
        words: &a,
        plain: false,
        plane,
        row,
        at: 0,
    };
    let right = Right {
        words: &b,
        plain: false,
        plane: BLOCK,
        step: tiles.parts * BLOCK,
        at: 0,
    };
    let mut block = Block::ZERO;
    let (session, starts) = (Session::open(tiles), Starts::new(vec![2 * each, 0, each]));
    session.product(&left, &starts, &right, &mut block);
    session.add(&left, &starts, &right, &mut block.0);
    block
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod processor {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    /// AMX-TILE and AMX-BF16, tiles of 16 rows of 64 bytes, and the state switched on by the system.
    pub(super) fn has_tiles() -> bool {
        let most = __cpuid(0).eax;
        let extended_state = __cpuid(1).ecx & 1 << 27 != 0;
        if most < 0x1d || !extended_state {
            return false;
        }
        let features = __cpuid_count(7, 0).edx;
        let palette = __cpuid_count(0x1d, 1);
        let shape = palette.ebx & 0xffff == 64 && palette.ebx >> 16 >= 8 && palette.ecx & 0xffff == 16;
        features & 1 << 22 != 0 && features & 1 << 24 != 0 && shape && enabled_state() & 0x60000 == 0x60000
    }

    /// XCR0.
    fn enabled_state() -> u64 {
        let (low, high): (u32, u32);
        // SAFETY: the caller saw that the system switched XGETBV on; it only writes these registers.
        unsafe {
            asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
        }
        u64::from(high) << 32 | u64::from(low)
    }

    /// Asks Linux for the tiles' state, for all threads of this process:
    /// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
    pub(super) fn permitted() -> bool {
        let answer: isize;
        // SAFETY: the call takes two numbers and no memory; a system that does not know it answers with an error.
        unsafe {
            asm!(
                "syscall",
                inout("rax") 158isize => answer,
                in("rdi") 0x1023,
                in("rsi") 18,
                out("rcx") _,
                out("r11") _,
                options(nostack),
            );
        }
        answer == 0
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod processor {
    pub(super) fn has_tiles() -> bool {
        false
    }

    pub(super) fn permitted() -> bool {
        false
    }
}
