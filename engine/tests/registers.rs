//! The accumulators of the matrix micro-kernel must stay in registers: one that the compiler puts on
//! the stack costs a store and a load for every multiplication. This test binary holds the kernels, so
//! its own machine code is read.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

use std::process::Command;

use graticule_engine::Isa;
use graticule_engine::kernels::{Finish, Operands, Start, brgemm};

/// Multiplications in the innermost loop of a tile that is too large for a mistake to hide: full tiles
/// have 28 with AVX-512 and 12 with AVX2.
const WORTH_A_LOOK: usize = 8;

/// One instruction in AT&T's notation.
struct Instruction {
    address: u64,
    text: String,
}

impl Instruction {
    /// `401a2c:`, a tab, `vmovups %zmm3,0x40(%rsp)`.
    fn parse(line: &str) -> Option<Self> {
        let (address, text) = line.trim().split_once(":\t")?;
        let address = u64::from_str_radix(address, 16).ok()?;
        Some(Self {
            address,
            text: text.trim().into(),
        })
    }

    /// Where a jump goes.
    fn target(&self) -> Option<u64> {
        let mut words = self.text.split_whitespace();
        let jump = words.next()?.starts_with('j');
        u64::from_str_radix(words.next()?, 16).ok().filter(|_| jump)
    }

    fn multiplies(&self) -> bool {
        self.text.starts_with("vfmadd") && self.text.contains("ps")
    }

    /// The register that the last operand names.
    fn destination(&self) -> &str {
        self.text.rsplit(',').next().unwrap_or_default()
    }

    /// The vector register that is stored to the stack.
    fn stored(&self) -> Option<&str> {
        let operands = self.text.split_whitespace().nth(1)?;
        let stores = self.text.starts_with("vmov") && operands.ends_with("(%rsp)");
        operands.split(',').next().filter(|_| stores)
    }

    /// A multiplication that adds to a number on the stack. (In the form 231 an operand in memory is a factor:
    /// builds with debug assertions hand factors over on the stack.)
    fn adds_to_the_stack(&self) -> bool {
        self.multiplies() && self.text.contains("(%rsp)") && !self.text.starts_with("vfmadd231")
    }
}

/// A loop without another one in it.
struct Loop<'a> {
    function: &'a str,
    body: &'a [Instruction],
}

impl Loop<'_> {
    fn multiplications(&self, register: &str) -> usize {
        let own = |i: &&Instruction| i.multiplies() && i.text.contains(register);
        self.body.iter().filter(own).count()
    }

    /// What moves sums between registers and stack.
    fn spills(&self) -> Vec<&str> {
        let sums: Vec<&str> = self
            .body
            .iter()
            .filter(|i| i.multiplies())
            .map(Instruction::destination)
            .collect();
        let spills = |i: &&Instruction| {
            i.adds_to_the_stack() || i.stored().is_some_and(|register| sums.contains(&register))
        };
        self.body.iter().filter(spills).map(|i| i.text.as_str()).collect()
    }
}

/// The loops between a backward jump and its target that hold no other backward jump.
fn innermost<'a>(function: &'a str, code: &'a [Instruction]) -> Vec<Loop<'a>> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (end, jump) in code.iter().enumerate() {
        let Some(target) = jump.target().filter(|&t| t <= jump.address) else {
            continue;
        };
        // A jump to before the function is a call of another one.
        if let Ok(start) = code.binary_search_by_key(&target, |i| i.address)
            && !found.iter().any(|&(inner, _)| inner >= start)
        {
            found.push((start, end));
        }
    }
    let body = |(start, end): (usize, usize)| Loop {
        function,
        body: &code[start..=end],
    };
    found.into_iter().map(body).collect()
}

fn disassembly() -> Option<String> {
    let binary = std::env::current_exe().unwrap();
    let found = Command::new("objdump")
        .args(["--disassemble", "--no-show-raw-insn", "--demangle"])
        .arg(binary)
        .output();
    match found {
        Ok(output) if output.status.success() => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        _ => {
            eprintln!("skipped: no objdump here, so the machine code of the kernels was not looked at");
            None
        }
    }
}

/// The functions of the micro-kernel: name and instructions.
fn tiles(text: &str) -> Vec<(&str, Vec<Instruction>)> {
    let blocks = text.split("\n\n").filter_map(|block| {
        let (head, code) = block.trim_start().split_once('\n')?;
        let ours = head.contains("brgemm") && head.contains("_tiles") && !head.contains("scalar");
        ours.then(|| (head, code.lines().filter_map(Instruction::parse).collect()))
    });
    blocks.collect()
}

#[test]
fn accumulators_stay_in_registers() {
    // What is never called would not be in the binary.
    let (a, b, mut c) = ([1.0; 64], [1.0; 64], [0.0; 64]);
    let x = Operands {
        a: &a,
        a_row: 8,
        a_column: 1,
        starts: &Start::ONE,
        depth: 8,
        b: &b,
        b_row: 8,
        bias: None,
        residual: None,
    };
    brgemm(Isa::detect(), 8, 8, &x, &mut c, 8, Finish::default());
    assert_eq!(c[63], 8.0);

    let Some(text) = disassembly() else { return };
    if !text.contains("accumulators_stay_in_registers") {
        eprintln!(
            "skipped: this build has no symbols, as of `--release`, so its functions cannot be told apart"
        );
        return;
    }
    let functions = tiles(&text);
    let loops: Vec<Loop> = functions
        .iter()
        .flat_map(|(name, code)| innermost(name, code))
        .filter(|l| l.multiplications("mm") >= WORTH_A_LOOK)
        .collect();
    let largest = |register: &str| loops.iter().map(|l| l.multiplications(register)).max();
    assert!(
        largest("%zmm") >= Some(24) && largest("%ymm") >= Some(12),
        "the loops of full tiles were not found among {} functions: has the micro-kernel another name?",
        functions.len()
    );
    for found in &loops {
        let spilled = found.spills();
        assert!(
            spilled.is_empty(),
            "{}: a loop of {} multiplications keeps sums on the stack: {spilled:?}; make the tile smaller",
            found.function,
            found.multiplications("mm")
        );
    }
}
