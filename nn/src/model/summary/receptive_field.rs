//! Receptive fields along the graph: how much of the input image one position depends on (row L25), and where it lies.

use std::collections::HashMap;
use std::ops::Range;

use graph::ops::{Op, ResizeMode, Window};
use graph::{Binding, GraphError, Shape, Symbol};

use crate::Model;

/// What one position of a feature map sees of the image: position i of an axis sees `size` pixels from
/// start + i·jump on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Rows and columns of the image.
    size: [f64; 2],
    /// Image pixels from one position to the next.
    pub(super) jump: [f64; 2],
    /// First row and column that position 0 sees; negative in the padding.
    start: [f64; 2],
    /// Rows and columns of the feature map that has not been mixed yet.
    extent: [usize; 2],
}

impl Field {
    fn image(extent: [usize; 2]) -> Self {
        Self {
            size: [1.0; 2],
            jump: [1.0; 2],
            start: [0.0; 2],
            extent,
        }
    }

    /// Size in whole pixels.
    pub fn rounded(&self) -> [usize; 2] {
        self.size.map(|s| s.ceil() as usize)
    }

    /// The rows and columns of the image that a position `[row, column]` sees, those in the padding around it included:
    /// below 0, or beyond the image. Windows, pooling and dense layers are exact; behind transposed windows and resizes it
    /// may be a step of the map below too far to either side.
    ///
    /// ```
    /// use graph::Binding;
    /// use graticule_nn::model::receptive_fields;
    /// use graticule_nn::prelude::*;
    /// let image = Symbol::input("image", [9, 9, 1]);
    /// let x = Conv2d::new(2, 3).padding(1).stride(2).on(&image)?;
    /// let model = Model::new("one", &image, &x)?;
    /// let fields = receptive_fields(&model, &Binding::batch(1))?;
    /// assert_eq!(fields[&x.id()].pixels([0, 3]), [-1..2, 5..8]);
    /// # Ok::<(), graph::GraphError>(())
    /// ```
    pub fn pixels(&self, position: [usize; 2]) -> [Range<i64>; 2] {
        [0, 1].map(|axis| {
            let first = self.start[axis] + position[axis] as f64 * self.jump[axis];
            first.floor() as i64..(first + self.size[axis]).ceil() as i64
        })
    }

    /// After a window of `kernel` taps and the rows and columns of padding `before` it: size + (reach − 1)·jump,
    /// start − before·jump, jump·stride.
    fn through(mut self, window: &Window, kernel: [usize; 2], before: [usize; 2]) -> Self {
        for (axis, taps) in kernel.into_iter().enumerate() {
            let reach = window.dilation[axis] * taps.saturating_sub(1);
            self.start[axis] -= before[axis] as f64 * self.jump[axis];
            self.size[axis] += reach as f64 * self.jump[axis];
            self.jump[axis] *= window.stride[axis] as f64;
        }
        self
    }

    /// After a transposed window: each position o reads ⌈reach/stride⌉ of the map below, about (o + before − reach/2)/stride.
    fn back_through(mut self, window: &Window, kernel: [usize; 2], before: [usize; 2]) -> Self {
        for (axis, taps) in kernel.into_iter().enumerate() {
            let reach = window.dilation[axis] * taps.saturating_sub(1) + 1;
            let stride = window.stride[axis].max(1);
            let more = (reach.div_ceil(stride).saturating_sub(1)) as f64;
            let middle = (before[axis] as f64 - (reach - 1) as f64 / 2.0) / stride as f64;
            self.start[axis] += (middle - more / 2.0) * self.jump[axis];
            self.size[axis] += more * self.jump[axis];
            self.jump[axis] /= stride as f64;
        }
        self
    }

    /// After a resize to `size`: steps shrink as the map grows; bilinear reads a neighbour too.
    fn resized(mut self, mode: ResizeMode, size: Option<&[usize]>) -> Self {
        for (axis, &size) in size.unwrap_or_default().iter().enumerate() {
            if matches!(mode, ResizeMode::Bilinear { .. }) {
                self.start[axis] -= self.jump[axis] / 2.0;
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
        let start = [0, 1].map(|axis| self.start[axis].min(other.start[axis]));
        let end = |of: &Self| [0, 1].map(|axis| of.start[axis] + of.size[axis]);
        let ends = widest(end(&self), end(&other));
        Self {
            size: [0, 1].map(|axis| ends[axis] - start[axis]),
            jump: widest(self.jump, other.jump),
            start,
            extent: self.extent,
        }
    }
}

/// What every node of `model` that depends on an image sees of it, by [`Symbol::id`].
///
/// # Errors
/// A shape error when the model cannot take these sizes.
pub fn receptive_fields(model: &Model, binding: &Binding) -> Result<HashMap<u64, Field>, GraphError> {
    Ok(trace(model.nodes(), &binding.shapes(model.nodes())?))
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
    let through = |window: &Window, kernel| field.through(window, kernel, before(window, operand(0), kernel));
    match op {
        Op::Conv2d(conv) => through(&conv.window, kernel()),
        // The padding is that of the convolution which it turns round, whose image is what leaves it.
        Op::Conv2dTransposed(t) => {
            let window = &t.conv.window;
            field.back_through(window, kernel(), before(window, shapes.get(&node.id()), kernel()))
        }
        Op::Pool2d(pool) => through(&pool.window, pool.size),
        Op::LocallyConnected2d(local) => through(&local.window, local.size),
        Op::Resize2d(resize) => field.resized(resize.mode, shapes[&node.id()].get(1..3)),
        Op::MatMul(_) => field.whole(),
        Op::Reduce(reduce) if mixes_positions(&reduce.axes) => field.whole(),
        _ => field,
    }
}

/// Rows and columns of padding before an image of `shape`.
fn before(window: &Window, shape: Option<&Shape>, kernel: [usize; 2]) -> [usize; 2] {
    let image = shape.filter(|s| s.rank() == 4).map(|s| [s[1], s[2]]);
    let bound = image.and_then(|image| window.bind("window", image, kernel).ok());
    bound.map_or([0; 2], |bound| [bound.padding[0], bound.padding[2]])
}

fn mixes_positions(axes: &[usize]) -> bool {
    axes.is_empty() || axes.contains(&1) || axes.contains(&2)
}
