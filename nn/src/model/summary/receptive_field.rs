//! Receptive fields along the graph: how much of the input image one position depends on (row L25).

use std::collections::HashMap;

use graph::ops::{Op, ResizeMode, Window};
use graph::{Shape, Symbol};

/// What one position of a feature map sees of the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field {
    /// Rows and columns of the image.
    size: [f64; 2],
    /// Image pixels from one position to the next.
    pub(super) jump: [f64; 2],
    /// Rows and columns of the feature map that has not been mixed yet.
    extent: [usize; 2],
}

impl Field {
    fn image(extent: [usize; 2]) -> Self {
        Self {
            size: [1.0; 2],
            jump: [1.0; 2],
            extent,
        }
    }

    /// Size in whole pixels.
    pub(super) fn rounded(&self) -> [usize; 2] {
        self.size.map(|s| s.ceil() as usize)
    }

    /// After a window of `kernel` taps: size + (reach − 1)·jump, jump·stride.
    fn through(mut self, window: &Window, kernel: [usize; 2]) -> Self {
        for (axis, taps) in kernel.into_iter().enumerate() {
            let reach = window.dilation[axis] * taps.saturating_sub(1);
            self.size[axis] += reach as f64 * self.jump[axis];
            self.jump[axis] *= window.stride[axis] as f64;
        }
        self
    }

    /// After a transposed window: each position reads ⌈reach/stride⌉ of the map below.
    fn back_through(mut self, window: &Window, kernel: [usize; 2]) -> Self {
        for (axis, taps) in kernel.into_iter().enumerate() {
            let reach = window.dilation[axis] * taps.saturating_sub(1) + 1;
            let taps = reach.div_ceil(window.stride[axis].max(1));
            self.size[axis] += (taps.saturating_sub(1)) as f64 * self.jump[axis];
            self.jump[axis] /= window.stride[axis].max(1) as f64;
        }
        self
    }

    /// After a resize to `size`: steps shrink as the map grows; bilinear reads a neighbour too.
    fn resized(mut self, mode: ResizeMode, size: Option<&[usize]>) -> Self {
        for (axis, &size) in size.unwrap_or_default().iter().enumerate() {
            if matches!(mode, ResizeMode::Bilinear { .. }) {
                self.size[axis] += self.jump[axis];
            }
            self.jump[axis] *= self.extent[axis] as f64 / size.max(1) as f64;
        }
        self
    }

    /// After something that looks at the whole map: dense layers, global pooling.
    fn whole(mut self) -> Self {
        for axis in 0..2 {
            self.size[axis] += self.extent[axis].saturating_sub(1) as f64 * self.jump[axis];
        }
        self.extent = [1, 1];
        self
    }

    /// Where two paths meet, the wider view.
    fn join(self, other: Self) -> Self {
        let widest = |a: [f64; 2], b: [f64; 2]| [a[0].max(b[0]), a[1].max(b[1])];
        Self {
            size: widest(self.size, other.size),
            jump: widest(self.jump, other.jump),
            extent: self.extent,
        }
    }
}

/// The field of every node that depends on an image input.
pub(super) fn trace(nodes: &[Symbol], shapes: &HashMap<u64, Shape>) -> HashMap<u64, Field> {
    let mut fields: HashMap<u64, Field> = HashMap::new();
    for node in nodes {
        let shape = &shapes[&node.id()];
        let read = node.inputs().iter().filter_map(|i| fields.get(&i.id()).copied());
        let field = match (node.op(), read.reduce(Field::join)) {
            (Op::Input(_), _) if shape.rank() == 4 => Field::image([shape[1], shape[2]]),
            (_, None) => continue,
            (op, Some(field)) => after(op, field, node, shapes),
        };
        let field = match shape.rank() {
            4 => Field {
                extent: [shape[1], shape[2]],
                ..field
            },
            _ => field,
        };
        fields.insert(node.id(), field);
    }
    fields
}

fn after(op: &Op, field: Field, node: &Symbol, shapes: &HashMap<u64, Shape>) -> Field {
    let operand = |i: usize| node.inputs().get(i).map(|s| &shapes[&s.id()]);
    let kernel = || {
        operand(1)
            .filter(|w| w.rank() == 4)
            .map_or([1, 1], |w| [w[0], w[1]])
    };
    match op {
        Op::Conv2d(conv) => field.through(&conv.window, kernel()),
        Op::Conv2dTransposed(t) => field.back_through(&t.conv.window, kernel()),
        Op::Pool2d(pool) => field.through(&pool.window, pool.size),
        Op::LocallyConnected2d(local) => field.through(&local.window, local.size),
        Op::Resize2d(resize) => field.resized(resize.mode, shapes[&node.id()].get(1..3)),
        Op::MatMul(_) => field.whole(),
        Op::Reduce(reduce) if mixes_positions(&reduce.axes) => field.whole(),
        _ => field,
    }
}

fn mixes_positions(axes: &[usize]) -> bool {
    axes.is_empty() || axes.contains(&1) || axes.contains(&2)
}
