//! The real unit's machine code, tested on processors that do not know it: each AMX instruction then
//! traps, and a signal handler does what the instruction would have done, on tiles of its own. It reads
//! the instruction's bytes, so that addresses, registers and order are those that were really assembled.
//! Where the processor has AMX nothing traps, and the same tests run on the unit itself.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::Once;

use super::detect::agrees;
use super::tile::Unit;

/// What a thread's tile unit holds.
struct State {
    configured: bool,
    tiles: [[u8; 1024]; 8],
    /// How many instructions trapped.
    count: usize,
}

thread_local! {
    static STATE: RefCell<State> = const {
        RefCell::new(State { configured: false, tiles: [[0; 1024]; 8], count: 0 })
    };
}

/// The beginning of glibc's `ucontext_t` on x86-64, as far as the general registers.
#[repr(C)]
struct Context {
    flags: u64,
    link: *mut c_void,
    stack: [u64; 3],
    registers: [u64; 23],
}

/// Where the machine's registers 0 to 15 stand in `Context::registers`, and the instruction pointer.
const REGISTERS: [usize; 16] = [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7];
const POINTER: usize = 16;

#[repr(C)]
struct Action {
    handler: usize,
    mask: [u64; 16],
    flags: i32,
    restorer: usize,
}

unsafe extern "C" {
    fn sigaction(signal: i32, action: *const Action, old: *mut Action) -> i32;
    fn signal(signal: i32, handler: usize) -> usize;
}

const SIGILL: i32 = 4;
const SA_SIGINFO: i32 = 4;
/// The instructions follow each other closely, and the handler never returns to a trap inside itself.
const SA_NODEFER: i32 = 0x4000_0000;

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let action = Action {
            handler: handle as *const () as usize,
            mask: [0; 16],
            flags: SA_SIGINFO | SA_NODEFER,
            restorer: 0,
        };
        // SAFETY: the structure has glibc's layout, and the handler its signature.
        assert_eq!(unsafe { sigaction(SIGILL, &action, std::ptr::null_mut()) }, 0);
    });
}

extern "C" fn handle(_: i32, _: *mut c_void, context: *mut c_void) {
    // SAFETY: the kernel hands over the interrupted thread's context, which is its to change.
    let registers = unsafe { &mut (*context.cast::<Context>()).registers };
    let done = STATE.with_borrow_mut(|state| {
        state.count += 1;
        // SAFETY: the pointer is at an instruction, and the longest has 15 bytes; shorter reads at
        // the end of a page cannot happen, since the function goes on behind it.
        let code = unsafe { std::slice::from_raw_parts(registers[POINTER] as *const u8, 10) };
        step(state, registers, code)
    });
    match done {
        Some(length) => registers[POINTER] += length as u64,
        // Not one of these instructions: die of it as without a handler.
        None => unsafe {
            // SAFETY: 0 is the default action.
            signal(SIGILL, 0);
        },
    }
}

/// Does the instruction; its length, if it is a known one.
fn step(state: &mut State, registers: &[u64; 23], code: &[u8]) -> Option<usize> {
    // Three-byte VEX: C4, RXB and map, W vvvv L pp, opcode, ModRM.
    if code[0] != 0xc4 || code[1] & 0x1f != 2 || code[2] & 0x84 != 0 {
        return None;
    }
    let (prefix, opcode, modrm) = (code[2] & 3, code[3], code[4]);
    let (form, reg) = (modrm >> 6, usize::from(modrm >> 3 & 7));
    let third = usize::from(!code[2] >> 3 & 15);
    match (prefix, opcode, form) {
        // ldtilecfg, tilerelease
        (0, 0x49, 3) => {
            *state = State {
                configured: false,
                tiles: [[0; 1024]; 8],
                ..*state
            };
            return Some(5);
        }
        (0, 0x49, _) => {
            let (at, length) = address(registers, code, false)?;
            // SAFETY: the instruction reads 64 bytes there.
            let bytes = unsafe { &*(at as *const [u8; 64]) };
            let full =
                (0..8).all(|t| bytes[16 + 2 * t] == 64 && bytes[17 + 2 * t] == 0 && bytes[48 + t] == 16);
            assert!(
                bytes[0] == 1 && full && at % 64 == 0,
                "the configuration is another"
            );
            state.configured = true;
            state.tiles = [[0; 1024]; 8];
            return Some(length);
        }
        _ => assert!(state.configured, "a tile instruction before the configuration"),
    }
    match (prefix, opcode, form) {
        // tilezero
        (3, 0x49, 3) => state.tiles[reg] = [0; 1024],
        // tdpbf16ps: F3 0F38 5C
        (2, 0x5c, 3) => multiply(state, reg, usize::from(modrm & 7), third),
        // tileloadd (F2), tilestored (F3)
        (2 | 3, 0x4b, 0..3) => {
            let (at, length) = address(registers, code, true)?;
            let stride = index(registers, code);
            for row in 0..16 {
                let memory = at.wrapping_add(stride.wrapping_mul(row as u64)) as *mut u8;
                let tile = state.tiles[reg][row * 64..].as_mut_ptr();
                // SAFETY: the instruction would read or write these 64 bytes.
                unsafe {
                    match prefix {
                        3 => std::ptr::copy_nonoverlapping(memory, tile, 64),
                        _ => std::ptr::copy_nonoverlapping(tile, memory, 64),
                    }
                }
            }
            return Some(length);
        }
        _ => return None,
    }
    Some(5)
}

/// The scaled index register, which is the stride of a tile's rows.
fn index(registers: &[u64; 23], code: &[u8]) -> u64 {
    let sib = code[5];
    let number = usize::from(sib >> 3 & 7) | if code[1] & 0x40 == 0 { 8 } else { 0 };
    assert_ne!(number, 4, "a tile's address without a stride");
    registers[REGISTERS[number]] << (sib >> 6)
}

/// The address without the index, and the instruction's length.
fn address(registers: &[u64; 23], code: &[u8], tile: bool) -> Option<(u64, usize)> {
    let (form, low) = (code[4] >> 6, code[4] & 7);
    let extension = if code[1] & 0x20 == 0 { 8 } else { 0 };
    let (base, at) = match low {
        4 => (usize::from(code[5] & 7), 6),
        _ if tile => return None,
        _ => (usize::from(low), 5),
    };
    if form == 0 && base == 5 {
        // Without a base: relative to the next instruction, as constants are addressed.
        let offset = i32::from_le_bytes(code[at..at + 4].try_into().ok()?);
        let next = registers[POINTER] + (at + 4) as u64;
        return (low == 5).then(|| (next.wrapping_add_signed(i64::from(offset)), at + 4));
    }
    let (offset, length) = match form {
        0 => (0, at),
        1 => (i64::from(code[at] as i8), at + 1),
        _ => (
            i64::from(i32::from_le_bytes(code[at..at + 4].try_into().ok()?)),
            at + 4,
        ),
    };
    let base = registers[REGISTERS[base | extension]];
    Some((base.wrapping_add_signed(offset), length))
}

/// TDPBF16PS as its definition states it, element by element.
fn multiply(state: &mut State, c: usize, a: usize, b: usize) {
    let flush = |x: f32| if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x };
    let bf16 = |tile: &[u8; 1024], at: usize| {
        flush(f32::from_bits(u32::from_le_bytes([0, 0, tile[at], tile[at + 1]])))
    };
    for m in 0..16 {
        for n in 0..16 {
            let mut sums = [0.0f32; 2];
            for k in 0..16 {
                for (odd, sum) in sums.iter_mut().enumerate() {
                    let (x, y) = (
                        bf16(&state.tiles[a], m * 64 + k * 4 + odd * 2),
                        bf16(&state.tiles[b], k * 64 + n * 4 + odd * 2),
                    );
                    *sum = flush(x.mul_add(y, *sum));
                }
            }
            let at = m * 64 + n * 4;
            let old = f32::from_le_bytes(state.tiles[c][at..at + 4].try_into().unwrap_or_default());
            let new = flush(old + flush(sums[0] + sums[1]));
            state.tiles[c][at..at + 4].copy_from_slice(&new.to_le_bytes());
        }
    }
}

#[test]
fn the_assembled_loops_compute_what_the_emulated_unit_does() {
    install();
    // Where there is a unit the system must permit it first.
    let real = super::detect::detect().is_ok();
    assert!(agrees(Unit::Real));
    let count = STATE.with_borrow(|state| state.count);
    // For each number of parts: configuration, four zeros and four stores of a product, four loads and four stores of
    // what is added to it, release; in three steps of both the loads and products.
    let steps = 2 * 3 * ((4 + 4) + (8 + 12) + (14 + 24));
    assert_eq!(count, if real { 0 } else { 3 * 18 + steps });
}
