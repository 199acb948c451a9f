//! A whole batch's image or gradient as the strips of a sum over pixels: a plan step of its own, so that no piece of
//! the sum lays what another one has laid.

use super::super::short::Numbers;
use super::super::{Kernel, Shorts, Task, Work};
use super::strips::{Strip, Strips};
use super::tile::{words, words_mut};

/// f32 elements in front of a strip; the first says whether its numbers could be split.
const HEAD: usize = 16;

/// Which operand of the sum it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The gradient, as A.
    Gradient,
    /// The image.
    Image,
}

/// An operand as strips, one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laid {
    strips: Strips,
    whose: Whose,
    /// Whether the operand is bf16 numbers.
    short: bool,
}

impl Laid {
    pub(super) fn new(strips: &Strips, whose: Whose) -> Self {
        Self {
            strips: strips.clone(),
            whose,
            short: false,
        }
    }

    fn words(&self) -> usize {
        self.strips.words()[self.whose as usize]
    }

    /// f32 elements of a strip.
    fn each(&self) -> usize {
        HEAD + self.words().div_ceil(2).next_multiple_of(HEAD)
    }

    fn all(&self) -> impl Iterator<Item = Strip> {
        let sizes = &self.strips.sizes;
        self.strips.of(0..sizes.batch, 0..sizes.window.output[0])
    }

    /// Elements of the laid form.
    pub(crate) fn elements(&self) -> usize {
        self.all().count() * self.each()
    }

    /// A strip's words, if they could be split.
    pub(super) fn strip<'a>(&self, laid: &'a [f32], number: usize) -> Option<&'a [u16]> {
        let strip = &laid[number * self.each()..][..self.each()];
        (strip[0] == 0.0).then(|| &words(&strip[HEAD..])[..self.words()])
    }
}

impl Kernel for Laid {
    fn work(&self) -> Work {
        Work::Pieces {
            count: self.all().count(),
            elements: self.each(),
        }
    }

    fn scratch(&self) -> usize {
        match self.whose {
            Whose::Gradient => self.strips.scratch().div_ceil(2),
            Whose::Image => 0,
        }
    }

    fn shorts(&self) -> Shorts {
        Shorts::of([0], false)
    }

    fn shorten(&mut self, shorts: Shorts) {
        self.short = shorts.has(0);
    }

    fn run(&self, task: Task<'_>) {
        let from = Numbers::new(task.input(0), self.short);
        let scratch = words_mut(&mut task.scratch[..self.scratch()]);
        let pieces = task.output.chunks_exact_mut(self.each());
        for (strip, to) in self.all().skip(task.range.start).zip(pieces) {
            let (head, to) = to.split_at_mut(HEAD);
            let to = &mut words_mut(to)[..self.words()];
            let split = match self.whose {
                Whose::Gradient => self.strips.lay_gradient(from, &strip, scratch, to),
                Whose::Image => self.strips.lay_image(from, &strip, to),
            };
            head.fill(if split { 0.0 } else { 1.0 });
        }
    }
}
