//! The AMX unit itself. The whole sum of a block is one `asm!` block, so that nothing is handed from
//! one to the next in tile registers, of which the compiler knows nothing.

use std::arch::asm;

use super::tile::{Block, Left, Right, Starts};

/// Palette 1, all eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration([u8; 64]);

const CONFIGURATION: Configuration = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = 16;
        tile += 1;
    }
    Configuration(bytes)
};

/// Makes the unit ready on this thread.
///
/// # Safety
/// The processor has AMX, and the system permits it to this process.
pub(super) unsafe fn configure() {
    // SAFETY: by the contract; it reads 64 bytes and changes no register that the compiler uses.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION, options(nostack, preserves_flags, readonly)) };
}

/// Gives the tiles back.
///
/// # Safety
/// As [`configure`].
pub(super) unsafe fn release() {
    // SAFETY: by the contract; it touches no memory.
    unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
}

/// Loads both tiles of A that begin at `{at}`.
macro_rules! load_left {
    () => {
        "tileloadd tmm4, [{at} + {row}]
         lea {low}, [{at} + {row}*8]
         lea {low}, [{low} + {row}*8]
         tileloadd tmm5, [{low} + {row}]"
    };
}

/// Loads both tiles of B that begin at a place.
macro_rules! load_right {
    ($at:literal) => {
        concat!(
            "tileloadd tmm6, [",
            $at,
            " + {line}]\n tileloadd tmm7, [",
            $at,
            " + {line} + 64]"
        )
    };
}

/// Multiplies each tile of A with each of B: four sums that do not wait for each other.
macro_rules! multiply {
    () => {
        "tdpbf16ps tmm0, tmm4, tmm6
         tdpbf16ps tmm1, tmm4, tmm7
         tdpbf16ps tmm2, tmm5, tmm6
         tdpbf16ps tmm3, tmm5, tmm7"
    };
}

/// Everything that the loop needs to know, in bytes.
struct Loop {
    a: *const u16,
    starts: *const [usize; 2],
    steps: usize,
    row: usize,
    plane: usize,
    b: *const u16,
    b_plane: usize,
    b_step: usize,
    c: *mut f32,
}

macro_rules! loops {
    ($name:ident, [$($line:expr),*]) => {
        #[inline(always)]
        unsafe fn $name(x: &Loop) {
            // SAFETY: by the contract of `product`; all registers and the memory that change are declared.
            unsafe {
                asm!(
                    "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                    "2:",
                    "mov {at}, qword ptr [{starts}]",
                    "lea {at}, [{a} + {at}*2]",
                    "mov {bt}, qword ptr [{starts} + 8]",
                    "imul {bt}, {b_step}",
                    "add {bt}, {b}",
                    $($line,)*
                    "add {starts}, 16",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{c} + {line}], tmm0",
                    "tilestored [{c} + {line} + 64], tmm1",
                    "tilestored [{c} + {line} + 2048], tmm2",
                    "tilestored [{c} + {line} + 2112], tmm3",
                    starts = inout(reg) x.starts => _,
                    steps = inout(reg) x.steps => _,
                    b = in(reg) x.b,
                    a = in(reg) x.a,
                    row = in(reg) x.row,
                    plane = in(reg) x.plane,
                    b_plane = in(reg) x.b_plane,
                    b_step = in(reg) x.b_step,
                    line = in(reg) 128usize,
                    c = in(reg) x.c,
                    at = out(reg) _,
                    bt = out(reg) _,
                    low = out(reg) _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

// The orders of `tile::products`. One part does not need the distances of the parts, but all loops
// share their operands.
loops!(
    one_part,
    [
        load_left!(),
        load_right!("{bt}"),
        multiply!(),
        "/* {plane} {b_plane} */"
    ]
);
loops!(
    two_parts,
    [
        load_left!(),
        "lea {low}, [{bt} + {b_plane}]",
        load_right!("{low}"),
        multiply!(),
        load_right!("{bt}"),
        multiply!(),
        "add {at}, {plane}",
        load_left!(),
        multiply!()
    ]
);
loops!(
    three_parts,
    [
        load_left!(),
        "lea {low}, [{bt} + {b_plane}*2]",
        load_right!("{low}"),
        multiply!(),
        "lea {low}, [{bt} + {b_plane}]",
        load_right!("{low}"),
        multiply!(),
        load_right!("{bt}"),
        multiply!(),
        "lea {at}, [{at} + {plane}*2]",
        load_left!(),
        multiply!(),
        "sub {at}, {plane}",
        load_left!(),
        multiply!(),
        "lea {low}, [{bt} + {b_plane}]",
        load_right!("{low}"),
        multiply!()
    ]
);

/// C = Σ over the steps, at least one.
///
/// # Safety
/// [`configure`] was called on this thread; the operands are as long as the steps reach.
pub(super) unsafe fn product(parts: usize, left: &Left, starts: &Starts, right: &Right, block: &mut Block) {
    let x = Loop {
        a: left.words.as_ptr().wrapping_add(left.at),
        starts: starts.list().as_ptr(),
        steps: starts.len(),
        row: left.row * 2,
        plane: left.plane * 2,
        b: right.words.as_ptr().wrapping_add(right.at),
        b_plane: right.plane * 2,
        b_step: right.step * 2,
        c: block.0.as_mut_ptr(),
    };
    // SAFETY: handed on from the caller.
    unsafe {
        match parts {
            1 => one_part(&x),
            2 => two_parts(&x),
            _ => three_parts(&x),
        }
    }
}
