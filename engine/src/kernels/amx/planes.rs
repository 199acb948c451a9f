//! Operands that lie as the tile unit reads them: a plan step of its own, shared by all who want it.
//!
//! A *panel* is 32 rows of A or 32 columns of B over all steps of the sum, behind a cache line that says
//! whether its numbers could be split.

use super::super::{Kernel, Task, Work};
use super::split::{PLAIN, largest_of, splits, transpose, write_left, write_right};
use super::tile::{BLOCK, Block, Left, Right, SIDE, Tiles, words, words_mut};

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
}

impl Planes {
    /// A matrix `[lines, depth]`, or `[depth, lines]` if `k_first`.
    pub(crate) fn matrix(tiles: Tiles, side: Side, lines: usize, depth: usize, k_first: bool) -> Self {
        let (along, across) = if k_first { (lines, 1) } else { (1, depth) };
        let steps = (0..depth.div_ceil(SIDE)).map(|s| (s * SIDE * along, SIDE.min(depth - s * SIDE)));
        Self {
            tiles,
            side,
            steps: steps.collect(),
            along,
            across,
            lines,
        }
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
        HEAD + self.tiles.words(self.steps.len() * BLOCK) / 2
    }

    /// Elements of the whole packed form.
    pub(crate) fn elements(&self) -> usize {
        self.panels() * self.panel_elements()
    }

    fn panel<'a>(&self, packed: &'a [f32], panel: usize) -> (&'a [u16], bool) {
        let panel = &packed[panel * self.panel_elements()..][..self.panel_elements()];
        (words(&panel[HEAD..]), panel[0] != 0.0)
    }

    /// Whether all panels could be split.
    pub(crate) fn is_split(&self, packed: &[f32]) -> bool {
        (0..self.panels()).all(|panel| !self.panel(packed, panel).1)
    }

    /// Panel of A; step s starts at element `s·1024`.
    pub(crate) fn left<'a>(&self, packed: &'a [f32], panel: usize) -> Left<'a> {
        let (words, plain) = self.panel(packed, panel);
        Left {
            words,
            plain,
            plane: self.steps.len() * BLOCK,
            row: SIDE,
            at: 0,
        }
    }

    /// Panel of B from step `first` on.
    pub(crate) fn right<'a>(&self, packed: &'a [f32], panel: usize, first: usize) -> Right<'a> {
        let (words, plain) = self.panel(packed, panel);
        let each = if plain { 2 } else { self.tiles.parts };
        Right {
            words: &words[first * each * BLOCK..],
            plain,
        }
    }
}

/// 32 × 32 numbers of the source, zeros where it has none: `[k][line]` for B, `[line][k]` for A.
#[inline(always)]
fn gather(from: &Planes, source: &[f32], step: (usize, usize), panel: usize, block: &mut Block) {
    let (depth, lines) = (step.1, from.lines_of(panel));
    let first = step.0 + panel * SIDE * from.across;
    let by_line = from.along == 1;
    let (outer, inner, stride) = match by_line {
        true => (lines, depth, from.across),
        false => (depth, lines, from.along),
    };
    let mut rows = Block::ZERO;
    for i in 0..outer {
        rows.row_mut(i)[..inner].copy_from_slice(&source[first + i * stride..][..inner]);
    }
    if by_line == (from.side == Side::Left) {
        *block = rows;
    } else {
        transpose(from.tiles.isa, &rows, block);
    }
}

/// Writes a panel in `parts`, or as it is; says whether its numbers can be split.
fn write_panel(from: &Planes, source: &[f32], panel: usize, parts: usize, to: &mut [u16]) -> bool {
    let isa = from.tiles.isa;
    let mut block = Block::ZERO;
    let mut largest = 0;
    for (s, &step) in from.steps.iter().enumerate() {
        gather(from, source, step, panel, &mut block);
        largest = largest.max(largest_of(isa, &block.0));
        match from.side {
            Side::Left => {
                let plane = from.steps.len() * BLOCK;
                write_left(isa, parts, &block, to, (s * BLOCK, SIDE), plane);
            }
            Side::Right => {
                let each = if parts == PLAIN { 2 } else { parts };
                write_right(isa, parts, &block, &mut to[s * each * BLOCK..]);
            }
        }
    }
    splits(largest)
}

impl Kernel for Planes {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.panels(),
            elements: self.panel_elements(),
        }
    }

    fn run(&self, task: Task<'_>) {
        let source = task.input(0);
        let panels = task.output.chunks_exact_mut(self.panel_elements());
        for (panel, to) in task.range.clone().zip(panels) {
            let (head, body) = to.split_at_mut(HEAD);
            let body = words_mut(body);
            let can_split = write_panel(self, source, panel, self.tiles.parts, body);
            if !can_split {
                write_panel(self, source, panel, PLAIN, body);
            }
            head[0] = if can_split { 0.0 } else { 1.0 };
        }
    }
}
