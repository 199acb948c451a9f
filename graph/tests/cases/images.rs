//! Cases of ops on images: convolution, pooling, padding, resizing, locally connected layers.

use graticule_graph::Symbol;
use graticule_graph::ops::{
    Conv2d, Conv2dTransposed, Conv2dWeightGradient, Fit, LocallyConnected2d, LocallyConnected2dInputGradient,
    LocallyConnected2dWeightGradient, Pad2d, Pad2dGradient, PadMode, Padding, Pool2d, Pool2dGradient,
    PoolKind, Resize2d, Resize2dGradient, ResizeMode, ResizeTo, Window,
};

use super::Table;

pub fn add(table: &mut Table) {
    convolutions(table);
    pools(table);
    pads(table);
    resizes(table);
    locally_connected(table);
}

fn windows() -> [Window; 4] {
    let plain = Window::default();
    [
        plain,
        Window {
            stride: [2, 1],
            padding: Padding::Explicit([2, 0, 0, 1]),
            fit: Fit::Floor,
            ..plain
        },
        Window {
            dilation: [2, 3],
            padding: Padding::Explicit([1, 2, 0, 1]),
            ..plain
        },
        Window {
            stride: [2, 3],
            padding: Padding::Same,
            ..plain
        },
    ]
}

fn convolutions(t: &mut Table) {
    for window in windows() {
        for groups in [1, 2] {
            let conv = Conv2d { window, groups };
            t.case("conv2d", |l| {
                Symbol::apply(conv, &[&l.x(&[7, 6, 4]), &l.p(&[3, 2, 4 / groups, 6])])
            });
        }
        let conv = Conv2d { window, groups: 4 };
        t.case("conv2d_transposed", |l| {
            let (x, w) = (l.fixed(&[7, 6, 4], |_| 0.0), l.p(&[3, 2, 1, 4]));
            let y = Symbol::apply(conv, &[&x, &w])?;
            let g = l.x(&y.shape()[1..]);
            let output_padding = [0, 0];
            Symbol::apply(Conv2dTransposed { conv, output_padding }, &[&g, &w, &x])
        });
        t.case("conv2d_weight_gradient", |l| {
            let (x, w) = (l.x(&[7, 6, 4]), l.p(&[3, 2, 1, 4]));
            let y = Symbol::apply(conv, &[&x, &w])?;
            let g = l.x(&y.shape()[1..]);
            Symbol::apply(Conv2dWeightGradient { conv }, &[&x, &g, &w])
        });
    }
    t.case("transposed convolution as a layer", |l| {
        let conv = Conv2d {
            window: Window {
                stride: [2, 2],
                padding: Padding::Explicit([1; 4]),
                ..Window::default()
            },
            groups: 1,
        };
        let output_padding = [1, 0];
        let layer = Conv2dTransposed { conv, output_padding };
        Symbol::apply(layer, &[&l.x(&[3, 4, 2]), &l.p(&[3, 3, 5, 2])])
    });
}

fn pools(t: &mut Table) {
    let kinds = [
        PoolKind::Max,
        PoolKind::Min,
        PoolKind::Average { count_padding: true },
        PoolKind::Average { count_padding: false },
        PoolKind::L2,
    ];
    for kind in kinds {
        for window in windows() {
            let size = [3, 2];
            let pool = Pool2d { kind, size, window };
            t.case("pool2d", |l| Symbol::apply(pool, &[&l.x(&[7, 6, 3])]));
        }
    }
    t.case("pool2d_gradient of an average", |l| {
        let pool = Pool2d {
            kind: kinds[3],
            size: [3, 2],
            window: windows()[1],
        };
        let x = l.fixed(&[7, 6, 3], |_| 0.0);
        let y = Symbol::apply(pool, &[&x])?;
        let g = l.x(&y.shape()[1..]);
        Symbol::apply(Pool2dGradient { pool }, &[&g, &x, &y])
    });
}

fn pads(t: &mut Table) {
    for mode in [
        PadMode::Constant(0.5),
        PadMode::Symmetric,
        PadMode::Reflect,
        PadMode::Edge,
    ] {
        let padding = [2, 1, 0, 3];
        let pad = Pad2d { padding, mode };
        t.case("pad2d", |l| Symbol::apply(pad, &[&l.x(&[3, 5, 2])]));
        t.case("pad2d_gradient", |l| {
            let (g, like) = (l.x(&[6, 8, 2]), l.fixed(&[3, 5, 2], |_| 0.0));
            Symbol::apply(Pad2dGradient { pad }, &[&g, &like])
        });
    }
}

fn resizes(t: &mut Table) {
    let modes = [
        ResizeMode::Nearest,
        ResizeMode::Bilinear { align_corners: false },
        ResizeMode::Bilinear { align_corners: true },
    ];
    for mode in modes {
        for to in [
            ResizeTo::Size([7, 2]),
            ResizeTo::Size([1, 8]),
            ResizeTo::Scale([2, 3]),
        ] {
            let resize = Resize2d { mode, to };
            t.case("resize2d", |l| Symbol::apply(resize, &[&l.x(&[3, 5, 2])]));
        }
        t.case("resize2d_gradient", |l| {
            let to = ResizeTo::Size([7, 2]);
            let resize = Resize2d { mode, to };
            let (g, like) = (l.x(&[7, 2, 2]), l.fixed(&[3, 5, 2], |_| 0.0));
            Symbol::apply(Resize2dGradient { resize }, &[&g, &like])
        });
    }
}

fn locally_connected(t: &mut Table) {
    for window in windows() {
        let layer = LocallyConnected2d { window, size: [3, 2] };
        let [oh, ow] = window.bind("test", [7, 6], [3, 2]).unwrap().output;
        let weights = [oh, ow, 3 * 2 * 2, 3];
        t.case("locally_connected2d", |l| {
            Symbol::apply(layer, &[&l.x(&[7, 6, 2]), &l.p(&weights)])
        });
        t.case("locally_connected2d_input_gradient", |l| {
            let (g, w, like) = (l.x(&[oh, ow, 3]), l.p(&weights), l.fixed(&[7, 6, 2], |_| 0.0));
            Symbol::apply(LocallyConnected2dInputGradient { layer }, &[&g, &w, &like])
        });
        t.case("locally_connected2d_weight_gradient", |l| {
            let (x, g, like) = (l.x(&[7, 6, 2]), l.x(&[oh, ow, 3]), l.state(&weights, 0.0, 1.0));
            Symbol::apply(LocallyConnected2dWeightGradient { layer }, &[&x, &g, &like])
        });
    }
}
