//! The AMX unit itself. The whole sum of a block is one `asm!` block, so that nothing is handed from
//! one to the next in tile registers, of which the compiler knows nothing.

use std::arch::asm;

use super::tile::{BLOCK, Block, Left, Right, Starts};

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

/// Asks for a KiB of the next step of B, which would otherwise be waited for where it comes from beyond the first cache.
macro_rules! ahead {
    ($kib:literal) => {
        concat!(
            "prefetcht0 [{bt} + {b_step} + 0 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 64 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 128 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 192 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 256 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 320 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 384 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 448 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 512 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 576 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 640 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 704 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 768 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 832 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 896 + ",
            $kib,
            " * 1024]\n",
            "prefetcht0 [{bt} + {b_step} + 960 + ",
            $kib,
            " * 1024]\n"
        )
    };
}

/// Nothing in its place, where B is in the first cache.
macro_rules! at_hand {
    ($kib:literal) => {
        ""
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

impl Loop {
    fn new(left: &Left, starts: &Starts, right: &Right, block: &mut [f32; BLOCK]) -> Self {
        Self {
            a: left.words.as_ptr().wrapping_add(left.at),
            starts: starts.list().as_ptr(),
            steps: starts.len(),
            row: left.row * 2,
            plane: left.plane * 2,
            b: right.words.as_ptr().wrapping_add(right.at),
            b_plane: right.plane * 2,
            b_step: right.step * 2,
            c: block.as_mut_ptr(),
        }
    }
}

/// Sums that begin with nothing, and those that go on with what is there.
macro_rules! begin {
    (new) => {
        "tilezero tmm0\n tilezero tmm1\n tilezero tmm2\n tilezero tmm3"
    };
    (onto) => {
        "tileloadd tmm0, [{c} + {line}]
         tileloadd tmm1, [{c} + {line} + 64]
         tileloadd tmm2, [{c} + {line} + 2048]
         tileloadd tmm3, [{c} + {line} + 2112]"
    };
}

macro_rules! loops {
    ($name:ident, $begin:ident, [$($line:expr),*]) => {
        #[inline(always)]
        unsafe fn $name(x: &Loop) {
            // SAFETY: by the contract of `product`; all registers and the memory that change are declared.
            unsafe {
                asm!(
                    begin!($begin),
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
macro_rules! orders {
    ($one:ident, $two:ident, $three:ident, $begin:ident, $next:ident) => {
        loops!(
            $one,
            $begin,
            [
                load_left!(),
                load_right!("{bt}"),
                $next!(0),
                $next!(1),
                multiply!(),
                "/* {plane} {b_plane} */"
            ]
        );
        loops!(
            $two,
            $begin,
            [
                load_left!(),
                "lea {low}, [{bt} + {b_plane}]",
                load_right!("{low}"),
                $next!(0),
                multiply!(),
                load_right!("{bt}"),
                $next!(1),
                $next!(2),
                multiply!(),
                "add {at}, {plane}",
                load_left!(),
                $next!(3),
                multiply!()
            ]
        );
        loops!(
            $three,
            $begin,
            [
                load_left!(),
                "lea {low}, [{bt} + {b_plane}*2]",
                load_right!("{low}"),
                $next!(0),
                multiply!(),
                "lea {low}, [{bt} + {b_plane}]",
                load_right!("{low}"),
                $next!(1),
                multiply!(),
                load_right!("{bt}"),
                $next!(2),
                multiply!(),
                "lea {at}, [{at} + {plane}*2]",
                load_left!(),
                $next!(3),
                multiply!(),
                "sub {at}, {plane}",
                load_left!(),
                $next!(4),
                multiply!(),
                "lea {low}, [{bt} + {b_plane}]",
                load_right!("{low}"),
                $next!(5),
                multiply!()
            ]
        );
    };
}

orders!(one_part, two_parts, three_parts, new, at_hand);
orders!(one_part_ahead, two_parts_ahead, three_parts_ahead, new, ahead);
orders!(one_part_onto, two_parts_onto, three_parts_onto, onto, at_hand);

/// Bytes of B that stay in the first cache from one block to the next.
const NEAR: usize = 16 * 1024;

/// C = Σ over the steps, at least one.
///
/// # Safety
/// [`configure`] was called on this thread; the operands are as long as the steps reach.
pub(super) unsafe fn product(parts: usize, left: &Left, starts: &Starts, right: &Right, block: &mut Block) {
    let x = Loop::new(left, starts, right, &mut block.0);
    let near = x.steps * parts * size_of::<u16>() * BLOCK <= NEAR;
    // SAFETY: handed on from the caller; what is asked for ahead is not read, wherever it lies.
    unsafe {
        match (parts, near) {
            (1, true) => one_part(&x),
            (2, true) => two_parts(&x),
            (_, true) => three_parts(&x),
            (1, false) => one_part_ahead(&x),
            (2, false) => two_parts_ahead(&x),
            (_, false) => three_parts_ahead(&x),
        }
    }
}

/// C += Σ over the steps, at least one.
///
/// # Safety
/// As of [`product`].
pub(super) unsafe fn add(
    parts: usize,
    left: &Left,
    starts: &Starts,
    right: &Right,
    block: &mut [f32; BLOCK],
) {
    let x = Loop::new(left, starts, right, block);
    // SAFETY: handed on from the caller.
    unsafe {
        match parts {
            1 => one_part_onto(&x),
            2 => two_parts_onto(&x),
            _ => three_parts_onto(&x),
        }
    }
}
