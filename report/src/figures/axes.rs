//! Axes: from data ranges to places on the paper, with grid, ticks and labels.

use super::{drawable, ticks};
use crate::svg::{Anchor, Svg, shorten, text_width};

const TICK_SIZE: f64 = 12.0;
const LABEL_SIZE: f64 = 13.0;

/// One axis: a range, linear or logarithmic.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    pub log: bool,
    pub label: String,
    whole: bool,
    least: f64,
}

impl Axis {
    /// An axis that holds all of `values` with a little air; `None` where none of them can be drawn.
    pub fn over(values: impl Iterator<Item = f64>, log: bool, label: &str) -> Option<Self> {
        let (mut low, mut high, mut whole) = (f64::INFINITY, f64::NEG_INFINITY, true);
        for value in values.filter(|&v| drawable(v) && (!log || v > 0.0)) {
            low = low.min(value);
            high = high.max(value);
            whole &= value.fract() == 0.0;
        }
        (low <= high).then(|| Self::padded(low, high, log, whole && !log, label))
    }

    /// An axis over exactly `[low, high]`.
    pub fn exact(low: f64, high: f64, label: &str) -> Self {
        Self {
            low,
            high,
            log: false,
            label: label.to_string(),
            whole: false,
            least: low,
        }
    }

    /// An axis without numbers, for charts whose rows have names.
    pub fn rows() -> Self {
        Self::exact(0.0, 1.0, "")
    }

    /// The same axis with ticks at whole numbers only.
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// The axis cut at zero where all values lie on one side of it, for bars that stand on zero.
    pub fn resting_on_zero(mut self) -> Self {
        if self.least >= 0.0 {
            self.low = 0.0;
        }
        self
    }

    /// The axis over `range` instead, where that is a range this axis can have.
    pub fn limited(mut self, range: Option<(f64, f64)>) -> Self {
        if let Some((low, high)) =
            range.filter(|(low, high)| low < high && self.takes(*low) && self.takes(*high))
        {
            (self.low, self.high) = (low, high);
        }
        self
    }

    fn padded(low: f64, high: f64, log: bool, whole: bool, label: &str) -> Self {
        let least = low;
        let (low, high) = if log {
            let air = if low == high { 2.0 } else { (high / low).powf(0.04) };
            (low / air, high * air)
        } else {
            let size = low.abs().max(high.abs());
            let span = high - low;
            let air = match span <= size * 1e-9 {
                true if size == 0.0 => 1.0,
                true => size * 0.1,
                false => span * 0.04,
            };
            (low - air, high + air)
        };
        Self {
            low,
            high,
            log,
            label: label.to_string(),
            whole,
            least,
        }
    }

    /// The axis begun at zero where the smallest value lies near it, so that small and nothing look alike.
    pub fn zero_based(mut self) -> Self {
        if !self.log && self.least >= 0.0 && self.low < 0.15 * self.high {
            self.low = 0.0;
        }
        self
    }

    /// Place of `value` along the axis: 0 at its start, 1 at its end.
    pub fn place(&self, value: f64) -> f64 {
        if self.log {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        }
    }

    /// Whether `value` can stand on this axis.
    pub fn takes(&self, value: f64) -> bool {
        drawable(value) && (!self.log || value > 0.0)
    }

    /// At most `most` ticks with their labels.
    pub fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        if self.log {
            let at = ticks::logarithmic(self.low, self.high, most);
            return at.into_iter().map(|v| (v, ticks::short(v))).collect();
        }
        let (at, step) = ticks::linear(self.low, self.high, most, self.whole);
        let names = ticks::labels(&at, step);
        at.into_iter().zip(names).collect()
    }

    /// As many ticks as fit side by side into `room` without touching.
    fn ticks_across(&self, room: f64) -> Vec<(f64, String)> {
        for most in (2..=9).rev() {
            let ticks = self.ticks(most);
            let free = ticks.windows(2).all(|pair| {
                let apart = (self.place(pair[1].0) - self.place(pair[0].0)) * room;
                let half = |name: &str| text_width(name, TICK_SIZE) / 2.0;
                apart >= half(&pair[0].1) + half(&pair[1].1) + 10.0
            });
            if free {
                return ticks;
            }
        }
        self.ticks(2).into_iter().take(1).collect()
    }
}

/// The plot area with its two axes.
pub(super) struct Frame {
    pub x: Axis,
    pub y: Axis,
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Frame {
    /// Fits the plot area into `[left, right] × [top, bottom]`, leaving room for ticks and labels.
    pub fn fit(x: Axis, y: Axis, [left, top, right, bottom]: [f64; 4]) -> Self {
        let below = if x.label.is_empty() { 22.0 } else { 42.0 };
        let height = (bottom - top - below).max(40.0);
        let names = y.ticks(most_rows(height));
        let widest = names
            .iter()
            .map(|(_, name)| text_width(name, TICK_SIZE))
            .fold(0.0, f64::max);
        let beside = widest + 10.0 + if y.label.is_empty() { 0.0 } else { 22.0 };
        Self {
            x,
            y,
            left: left + beside,
            top,
            width: (right - left - beside).max(40.0),
            height,
        }
    }

    /// Horizontal place of `value` on the paper.
    pub fn px(&self, value: f64) -> f64 {
        self.left + self.x.place(value) * self.width
    }

    /// Vertical place of `value` on the paper.
    pub fn py(&self, value: f64) -> f64 {
        self.top + (1.0 - self.y.place(value)) * self.height
    }

    /// Place of a point on the paper; what lies far above or below the plot is brought nearer, still outside.
    pub fn near(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            self.px(x),
            self.py(y).clamp(self.top - 500.0, self.top + self.height + 500.0),
        )
    }

    /// Whether a point can be drawn on both axes.
    pub fn takes(&self, (x, y): (f64, f64)) -> bool {
        self.x.takes(x) && self.y.takes(y)
    }

    /// Grid lines, tick labels, axis line and axis labels.
    pub fn draw(&self, svg: &mut Svg) {
        self.draw_rows(svg);
        self.draw_columns(svg, true);
        let base = self.top + self.height;
        let axis = r#"stroke="currentColor" stroke-opacity="0.55""#;
        svg.line((self.left, base), (self.left + self.width, base), axis);
        self.draw_labels(svg);
    }

    /// The names of both axes.
    pub fn draw_labels(&self, svg: &mut Svg) {
        let base = self.top + self.height;
        let soft = r#"fill-opacity="0.8""#;
        if !self.x.label.is_empty() {
            let at = (self.left + self.width / 2.0, base + 36.0);
            svg.text(
                at,
                LABEL_SIZE,
                Anchor::Middle,
                soft,
                &shorten(&self.x.label, LABEL_SIZE, self.width),
            );
        }
        if !self.y.label.is_empty() {
            let (x, y) = (18.0, self.top + self.height / 2.0);
            let turn = format!(r#"{soft} transform="rotate(-90 {x} {y})""#);
            svg.text(
                (x, y),
                LABEL_SIZE,
                Anchor::Middle,
                &turn,
                &shorten(&self.y.label, LABEL_SIZE, self.height),
            );
        }
    }

    /// Horizontal grid lines with the labels of the vertical axis.
    pub fn draw_rows(&self, svg: &mut Svg) {
        for (value, name) in self.y.ticks(most_rows(self.height)) {
            let y = self.py(value);
            svg.line(
                (self.left, y),
                (self.left + self.width, y),
                r#"stroke="currentColor" stroke-opacity="0.13""#,
            );
            let at = (self.left - 7.0, y + 4.2);
            svg.text(at, TICK_SIZE, Anchor::End, r#"fill-opacity="0.8""#, &name);
        }
    }

    /// Ticks and labels of the horizontal axis, with vertical grid lines if `grid`.
    pub fn draw_columns(&self, svg: &mut Svg, grid: bool) {
        let base = self.top + self.height;
        for (value, name) in self.x.ticks_across(self.width) {
            let x = self.px(value);
            if grid {
                svg.line(
                    (x, self.top),
                    (x, base),
                    r#"stroke="currentColor" stroke-opacity="0.07""#,
                );
            }
            svg.line(
                (x, base),
                (x, base + 4.0),
                r#"stroke="currentColor" stroke-opacity="0.55""#,
            );
            svg.text(
                (x, base + 17.0),
                TICK_SIZE,
                Anchor::Middle,
                r#"fill-opacity="0.8""#,
                &name,
            );
        }
    }
}

fn most_rows(height: f64) -> usize {
    ((height / 34.0) as usize).clamp(2, 8)
}
