//! Operands that lie as the tile unit reads them: a plan step of its own, shared by all who want it.
//!
//! A *panel* is 32 rows of A or 32 columns of B over all steps of the sum, behind a cache line that says
//! whether its numbers could be split.

use super::super::{Kernel, Task, Work};
use super::split::{Floor, PLAIN, Rows, Run, lay, narrow, pair, splits, widen};
use super::tile::{BLOCK, Left, Right, SIDE, Tiles, words, words_mut};

/// f32 elements in front of a panel.
const HEAD: usize = 16;

/// Which operand of the product it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A: panels of 32 rows.
    Left,
    /// B: panels of 32 columns.
    Right,
}

/// An operand as parts. Number (k of step s, line i) is `steps[s].0 + k·along + i·across` of the source,
/// where a line is a row of A or a column of B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planes {
    /// The unit.
    pub tiles: Tiles,
    /// Which operand.
    pub side: Side,
    /// Where each step begins in the source, and its depth, at most 32.
    pub steps: Vec<(usize, usize)>,
    /// From one k to the next.
    pub along: usize,
    /// From one line to the next.
    pub across: usize,
    /// Rows of A or columns of B.
    pub lines: usize,
    /// How small its numbers may be.
    pub(crate) floor: Floor,
    /// Steps that a piece packs: all, or a part of them, so that each thread packs rows that it has moved.
    pub(crate) fit: usize,
}

impl Planes {
    /// A matrix `[lines, depth]`, or `[depth, lines]` if `k_first`.
    pub(crate) fn matrix(
        tiles: Tiles,
        (side, floor): (Side, Floor),
        lines: usize,
        depth: usize,
        k_first: bool,
    ) -> Self {
        let (along, across) = if k_first { (lines, 1) } else { (1, depth) };
        let steps = (0..depth.div_ceil(SIDE)).map(|s| (s * SIDE * along, SIDE.min(depth - s * SIDE)));
        Self {
            tiles,
            side,
            steps: steps.collect(),
            along,
            across,
            lines,
            floor,
            fit: depth.div_ceil(SIDE),
        }
    }

    /// The same in so many parts of the steps, one after the other.
    pub(crate) fn in_parts(self, count: usize) -> Self {
        let fit = self.steps.len().div_ceil(count).max(1);
        Self { fit, ..self }
    }

    /// Parts of the steps.
    pub(crate) fn parts(&self) -> usize {
        self.steps.len().div_ceil(self.fit.max(1)).max(1)
    }

    /// The steps of a part.
    pub(crate) fn part(&self, part: usize) -> std::ops::Range<usize> {
        part * self.fit..((part + 1) * self.fit).min(self.steps.len())
    }

    pub(crate) fn panels(&self) -> usize {
        self.lines.div_ceil(SIDE)
    }

    /// Lines of a panel that are not filling.
    pub(crate) fn lines_of(&self, panel: usize) -> usize {
        SIDE.min(self.lines - panel * SIDE)
    }

    /// f32 elements of a panel.
    pub(crate) fn panel_elements(&self) -> usize {
        HEAD + self.tiles.words(self.fit * BLOCK) / 2
    }

    /// Elements of the whole packed form.
    pub(crate) fn elements(&self) -> usize {
        self.parts() * self.panels() * self.panel_elements()
    }

    /// Writes a piece of `source`, a part of the steps of a panel, [`Planes::panel_elements`] long.
    pub(super) fn write(&self, source: &[f32], piece: usize, to: &mut [f32]) {
        let piece = (
            piece % self.panels().max(1),
            self.part(piece / self.panels().max(1)),
        );
        let mut between = [[0; BLOCK]; 3];
        let (head, body) = to.split_at_mut(HEAD);
        let body = words_mut(body);
        let can_split = write_panel(self, source, &piece, self.tiles.parts, (body, &mut between));
        if !can_split {
            write_panel(self, source, &piece, PLAIN, (body, &mut between));
        }
        head[0] = if can_split { 0.0 } else { 1.0 };
    }

    fn panel<'a>(&self, packed: &'a [f32], panel: usize) -> (&'a [u16], bool) {
        let panel = &packed[panel * self.panel_elements()..][..self.panel_elements()];
        (words(&panel[HEAD..]), panel[0] != 0.0)
    }

    /// Whether all panels could be split.
    pub(crate) fn is_split(&self, packed: &[f32]) -> bool {
        (0..self.parts() * self.panels()).all(|panel| !self.panel(packed, panel).1)
    }

    /// Panel of A; step s starts at element `s·1024`.
    pub(crate) fn left<'a>(&self, packed: &'a [f32], panel: usize) -> Left<'a> {
        let (words, plain) = self.panel(packed, panel);
        Left {
            words,
            plain,
            plane: self.fit * BLOCK,
            row: SIDE,
            at: 0,
        }
    }

    /// A part of the steps of a panel of B.
    pub(crate) fn right_part<'a>(&self, packed: &'a [f32], panel: usize, part: usize) -> Right<'a> {
        self.right(packed, part * self.panels() + panel, 0)
    }

    /// Panel of B from step `first` on.
    pub(crate) fn right<'a>(&self, packed: &'a [f32], panel: usize, first: usize) -> Right<'a> {
        let (words, plain) = self.panel(packed, panel);
        let step = if plain { BLOCK } else { self.tiles.parts * BLOCK };
        Right {
            words,
            plain,
            plane: BLOCK,
            step,
            at: first * step,
        }
    }
}

/// A block's parts on their way.
type Between = [[u16; BLOCK]; 3];

/// Writes a panel in `parts`, or as it is; says whether its numbers can be split.
fn write_panel(
    from: &Planes,
    source: &[f32],
    (panel, steps): &(usize, std::ops::Range<usize>),
    parts: usize,
    (to, between): (&mut [u16], &mut Between),
) -> bool {
    let lines = from.lines_of(*panel);
    // Elements from step to step, and words from part to part.
    let (step, plane) = match (from.side, parts) {
        (Side::Left, _) => (BLOCK, from.fit * BLOCK),
        (Side::Right, PLAIN) => (BLOCK, 0),
        (Side::Right, _) => (parts * BLOCK, BLOCK),
    };
    let mut largest = 0;
    for (s, &(first, depth)) in from.steps[steps.clone()].iter().enumerate() {
        let source = &source[first + panel * SIDE * from.across..];
        let place = (s * step, plane);
        let bits = match from.along {
            1 => write_lines(from, source, (lines, depth), parts, (to, between), place),
            _ => write_rows(from, source, (lines, depth), parts, (to, between), place),
        };
        largest = largest.max(bits);
    }
    splits(largest, from.floor)
}

/// A step whose source is `[line][k]`.
fn write_lines(
    from: &Planes,
    source: &[f32],
    (lines, depth): (usize, usize),
    parts: usize,
    (to, between): (&mut [u16], &mut Between),
    (at, plane): (usize, usize),
) -> u32 {
    let isa = from.tiles.isa;
    let run = Run {
        count: lines,
        stride: from.across,
        channels: depth,
    };
    let missing = (lines * SIDE, (SIDE - lines) * SIDE);
    match (from.side, parts) {
        (Side::Left, _) => {
            zero(parts, to, (at + missing.0, missing.1), plane);
            lay(isa, parts, source, run, to, (at, plane))
        }
        (Side::Right, PLAIN) => {
            let turned = |k: usize, line: usize| match line < lines && k < depth {
                true => source[line * from.across + k],
                false => 0.0,
            };
            let block: [f32; BLOCK] = std::array::from_fn(|i| turned(i / SIDE, i % SIDE));
            pair(isa, PLAIN, &block, Rows::BLOCK, to, (at, plane))
        }
        (Side::Right, _) => {
            let laid = between.as_flattened_mut();
            zero(parts, laid, missing, BLOCK);
            let largest = lay(isa, parts, source, run, laid, (0, BLOCK));
            for (p, laid) in between[..parts].iter().enumerate() {
                widen(isa, laid, part_of(to, at + p * plane));
            }
            largest
        }
    }
}

/// A step whose source is `[k][line]`.
fn write_rows(
    from: &Planes,
    source: &[f32],
    (lines, depth): (usize, usize),
    parts: usize,
    (to, between): (&mut [u16], &mut Between),
    (at, plane): (usize, usize),
) -> u32 {
    let isa = from.tiles.isa;
    let rows = Rows {
        count: depth,
        columns: lines,
        stride: from.along,
    };
    match (from.side, parts) {
        (Side::Right, _) => pair(isa, parts, source, rows, to, (at, plane)),
        (Side::Left, PLAIN) => {
            let turned = |line: usize, k: usize| match line < lines && k < depth {
                true => source[k * from.along + line],
                false => 0.0,
            };
            let block: [f32; BLOCK] = std::array::from_fn(|i| turned(i / SIDE, i % SIDE));
            let run = Run {
                count: SIDE,
                stride: SIDE,
                channels: SIDE,
            };
            lay(isa, PLAIN, &block, run, to, (at, plane))
        }
        (Side::Left, _) => {
            let largest = pair(isa, parts, source, rows, between.as_flattened_mut(), (0, BLOCK));
            for (p, paired) in between[..parts].iter().enumerate() {
                narrow(isa, paired, part_of(to, at + p * plane));
            }
            largest
        }
    }
}

/// One part of a step's block.
fn part_of(to: &mut [u16], at: usize) -> &mut [u16; BLOCK] {
    &mut to[at..].as_chunks_mut::<BLOCK>().0[0]
}

/// Zeros in place of `count` elements from element `at` on.
fn zero(parts: usize, to: &mut [u16], (at, count): (usize, usize), plane: usize) {
    if parts == PLAIN {
        to[2 * at..2 * (at + count)].fill(0);
    }
    (0..parts).for_each(|p| to[p * plane + at..][..count].fill(0));
}

impl Kernel for Planes {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.parts() * self.panels(),
            elements: self.panel_elements(),
        }
    }

    fn run(&self, task: Task<'_>) {
        let source = task.input(0);
        let panels = task.output.chunks_exact_mut(self.panel_elements());
        for (panel, to) in task.range.clone().zip(panels) {
            self.write(source, panel, to);
        }
    }
}
