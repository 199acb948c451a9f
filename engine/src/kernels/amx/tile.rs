//! The tile unit behind one small interface: products of 32 × 32 blocks from operands split into bf16
//! parts, by the processor's own unit ([`Unit::Real`]) or by plain Rust that computes the same
//! ([`Unit::Emulated`], which is how every kernel here is tested on processors without one).

use std::marker::PhantomData;

use super::super::Isa;
pub(crate) use super::super::short::{words, words_mut};
use super::{emulated, fallback};

/// Rows and columns of a block of C, and depth of one step of the sum.
pub(crate) const SIDE: usize = 32;
/// Elements of a block.
pub(crate) const BLOCK: usize = SIDE * SIDE;

/// One block of C, row-major; or 32 × 32 numbers on their way into parts.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Block(pub [f32; BLOCK]);

impl Block {
    pub(crate) const ZERO: Self = Self([0.0; BLOCK]);

    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.0[row * SIDE..][..SIDE]
    }
}

/// Who multiplies tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// The processor's AMX unit; only made after it was found, permitted and checked.
    Real,
    /// The same arithmetic in plain Rust: slow, for tests.
    Emulated,
}

/// The tile unit as the kernels of one engine use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// Who multiplies.
    pub unit: Unit,
    /// Into how many bf16 parts each f32 operand is split: 1, 2 or 3.
    pub parts: usize,
    /// Vectors for the work around the products.
    pub isa: Isa,
}

impl Tiles {
    /// Words (u16) in which `elements` f32 numbers have room, as parts or as they are.
    pub(crate) fn words(&self, elements: usize) -> usize {
        elements * self.parts.max(2)
    }
}

/// Pairs (part of A, part of B) in the order in which their products are added: the small ones lie
/// early in each step, and neighbours share an operand that is already loaded.
pub(crate) fn products(parts: usize) -> &'static [(usize, usize)] {
    match parts {
        1 => &[(0, 0)],
        2 => &[(0, 1), (0, 0), (1, 0)],
        _ => &[(0, 2), (0, 1), (0, 0), (2, 0), (1, 0), (1, 1)],
    }
}

/// 32 rows of A. Element (row, k) of a step that starts at `s` is element `at + s + row·self.row + k`:
/// of each part, the parts `plane` words apart, or of f32 numbers if `plain`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub words: &'a [u16],
    /// The words are f32 numbers, two words each, that cannot be split.
    pub plain: bool,
    pub plane: usize,
    pub row: usize,
    pub at: usize,
}

/// 32 columns of B. Element (k, column) of step s is element `at + s·step + k/2·64 + column·2 + k mod 2`: of each
/// part, the parts `plane` words apart, or of f32 numbers, two words each, if `plain`.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub words: &'a [u16],
    /// The words are f32 numbers that cannot be split.
    pub plain: bool,
    pub plane: usize,
    pub step: usize,
    pub at: usize,
}

/// Where the steps of a sum begin in A, and which step of B each takes.
#[derive(Debug, Clone)]
pub(crate) struct Starts {
    list: Vec<[usize; 2]>,
    last: [usize; 2],
}

impl Starts {
    /// Steps of B one after the other.
    pub(crate) fn new(list: Vec<usize>) -> Self {
        let numbered = list.into_iter().enumerate();
        Self::paired(numbered.map(|(step, start)| [start, step]).collect())
    }

    pub(crate) fn paired(list: Vec<[usize; 2]>) -> Self {
        let last = |k: usize| list.iter().map(|pair| pair[k]).max().unwrap_or(0);
        let last = [last(0), last(1)];
        Self { list, last }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn list(&self) -> &[[usize; 2]] {
        &self.list
    }
}

/// The unit made ready on this thread until the value is dropped.
pub(crate) struct Session {
    tiles: Tiles,
    /// The unit's configuration belongs to the thread.
    thread: PhantomData<*const ()>,
}

impl Session {
    pub(crate) fn open(tiles: Tiles) -> Self {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if tiles.unit == Unit::Real {
            // SAFETY: `Unit::Real` stands for a unit that was found and that the system permits.
            unsafe { super::real::configure() };
        }
        Self {
            tiles,
            thread: PhantomData,
        }
    }

    /// C = Σ over the steps of A·B: as bf16 products that are summed in f32, or in f32 alone where one
    /// of the operands could not be split.
    ///
    /// # Panics
    /// When an operand is shorter than the steps need, which is an error of the caller.
    pub(crate) fn product(&self, left: &Left, starts: &Starts, right: &Right, block: &mut Block) {
        let Tiles { unit, parts, isa } = self.tiles;
        if starts.len() == 0 {
            *block = Block::ZERO;
            return;
        }
        if left.plain || right.plain {
            return fallback::product(isa, parts, left, starts, right, block);
        }
        check(parts, left, starts, right);
        match unit {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Unit::Real => {
                // SAFETY: `check` proved the reach of every load; the session configured the unit.
                unsafe { super::real::product(parts, left, starts, right, block) }
            }
            _ => emulated::product(isa, parts, left, starts, right, block),
        }
    }

    /// C += Σ over the steps of A·B, of operands that are split.
    ///
    /// # Panics
    /// As of [`Session::product`], and when an operand is plain.
    pub(crate) fn add(&self, left: &Left, starts: &Starts, right: &Right, block: &mut [f32; BLOCK]) {
        let Tiles { unit, parts, isa } = self.tiles;
        if starts.len() == 0 {
            return;
        }
        assert!(!left.plain && !right.plain, "tiles: numbers that are not split");
        check(parts, left, starts, right);
        match unit {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Unit::Real => {
                // SAFETY: as in `product`.
                unsafe { super::real::add(parts, left, starts, right, block) }
            }
            _ => emulated::add(isa, parts, left, starts, right, block),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if self.tiles.unit == Unit::Real {
            // SAFETY: as in `open`; a thread that keeps tiles makes each switch of context dearer.
            unsafe { super::real::release() };
        }
    }
}

/// Products one after the other: each is handed on while the unit works on the next one.
pub(crate) struct Turns<P> {
    blocks: [Block; 2],
    /// Which block the next product goes to.
    now: usize,
    /// What the last product is for.
    pending: Option<P>,
}

impl<P> Turns<P> {
    pub(crate) fn new() -> Self {
        Self {
            blocks: [Block::ZERO; 2],
            now: 0,
            pending: None,
        }
    }

    /// Makes a product, as [`Session::product`], for `place`. The one before and what it is for.
    pub(crate) fn next(
        &mut self,
        session: &Session,
        (left, starts, right): (&Left, &Starts, &Right),
        place: P,
    ) -> Option<(P, &Block)> {
        session.product(left, starts, right, &mut self.blocks[self.now]);
        self.now ^= 1;
        let before = self.pending.replace(place)?;
        Some((before, &self.blocks[self.now]))
    }

    /// The same of a sum whose steps lie in parts.
    pub(crate) fn next_of_parts<'a>(
        &mut self,
        session: &Session,
        left: &Left,
        parts: impl Iterator<Item = (&'a Starts, Right<'a>)>,
        place: P,
    ) -> Option<(P, &Block)> {
        let block = &mut self.blocks[self.now];
        for (number, (starts, right)) in parts.enumerate() {
            if number == 0 {
                session.product(left, starts, &right, block);
            } else if left.plain || right.plain {
                let mut more = Block::ZERO;
                session.product(left, starts, &right, &mut more);
                block.0.iter_mut().zip(&more.0).for_each(|(sum, x)| *sum += x);
            } else {
                session.add(left, starts, &right, &mut block.0);
            }
        }
        self.now ^= 1;
        let before = self.pending.replace(place)?;
        Some((before, &self.blocks[self.now]))
    }

    /// The last product and what it is for.
    pub(crate) fn last(&mut self) -> Option<(P, &Block)> {
        let last = self.pending.take()?;
        Some((last, &self.blocks[self.now ^ 1]))
    }
}

fn check(parts: usize, left: &Left, starts: &Starts, right: &Right) {
    let reach = left.at + (SIDE - 1) * left.row + SIDE + (parts - 1) * left.plane;
    assert!(
        starts.last[0] + reach <= left.words.len(),
        "tiles: A has {} words, needs {}",
        left.words.len(),
        starts.last[0] + reach
    );
    let needed = right.at + starts.last[1] * right.step + (parts - 1) * right.plane + BLOCK;
    assert!(
        needed <= right.words.len(),
        "tiles: B has {} words, needs {needed}",
        right.words.len()
    );
}
