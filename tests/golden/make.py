"""Makes the golden values of this folder again: what PyTorch computes for each layer, loss,
optimizer and schedule of `nn`, in float64, with tensors in Graticule's layouts.

    pip install torch numpy
    python tests/golden/make.py
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
HERE = Path(__file__).parent
RANDOM = torch.Generator().manual_seed(20)


def draw(*shape, scale=1.0):
    """Gaussian numbers of three decimals, which JSON holds exactly and short."""
    return (torch.randn(*shape, generator=RANDOM) * scale * 1000).round() / 1000


def tensor(t):
    values = [float(f"{v:.10g}") for v in t.detach().reshape(-1).tolist()]
    return {"shape": list(t.shape), "data": [int(v) if v == int(v) else v for v in values]}


def case(name, function, inputs, parameters=None, indices=()):
    """Output and gradients of `function(**inputs, **parameters)` under a random upstream gradient."""
    parameters = parameters or {}
    leaves = {k: v.clone().requires_grad_(k not in indices) for k, v in {**inputs, **parameters}.items()}
    y = function(**leaves)
    upstream = draw(*y.shape)
    (y * upstream).sum().backward()
    return {
        "name": name,
        "inputs": {k: tensor(v) for k, v in inputs.items()},
        "parameters": {k: tensor(v) for k, v in parameters.items()},
        "output": tensor(y),
        "upstream": tensor(upstream),
        "gradients": {k: tensor(v.grad) for k, v in leaves.items() if v.grad is not None},
    }


def write(name, cases):
    text = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    (HERE / f"{name}.json").write_text(f"[\n{text}\n]\n")


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def images(function):
    """A function of NCHW images as one of NHWC images."""
    return lambda x, **p: nhwc(function(nchw(x), **p))


def kernel(weight):
    """[KH, KW, C/groups, O] to PyTorch's [O, C/groups, KH, KW]."""
    return weight.permute(3, 2, 0, 1)


def same(x, size, stride=(1, 1), dilation=(1, 1), value=0.0):
    """Padding to ceil(size/stride), an odd row below and right."""
    sides = []
    for axis in (3, 2):
        n, s = x.shape[axis], stride[axis - 2]
        reach = dilation[axis - 2] * (size[axis - 2] - 1) + 1
        total = max((math.ceil(n / s) - 1) * s + reach - n, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides, value=value)


def symmetric(x, t, b, l, r):
    x = torch.cat([x[:, :, :t].flip(2), x, x[:, :, x.shape[2] - b:].flip(2)], 2)
    return torch.cat([x[..., :l].flip(3), x, x[..., x.shape[3] - r:].flip(3)], 3)


def conv(name, x, weight, bias=True, pad=None, **options):
    def function(x, weight, bias=None):
        return F.conv2d(pad(x) if pad else x, kernel(weight), bias, **options)

    parameters = {"weight": draw(*weight, scale=0.4)}
    if bias:
        parameters["bias"] = draw(weight[-1])
    return case(name, images(function), {"x": draw(*x)}, parameters)


def convolutions():
    yield conv("conv2d_valid", (2, 7, 6, 3), (3, 2, 3, 5))
    yield conv("conv2d_stride", (2, 9, 8, 2), (3, 4, 2, 3), stride=(2, 1))
    yield conv("conv2d_explicit", (1, 5, 6, 2), (3, 3, 2, 3), pad=lambda x: F.pad(x, (0, 3, 1, 2)))
    yield conv("conv2d_dilation", (1, 9, 10, 2), (3, 3, 2, 3), dilation=(2, 3), padding=1)
    yield conv("conv2d_groups", (2, 5, 5, 6), (3, 3, 2, 9), groups=3, padding=1)
    yield conv("conv2d_same_stride", (2, 7, 10, 2), (4, 3, 2, 3), pad=lambda x: same(x, (4, 3), (2, 3)), stride=(2, 3))
    yield conv("conv2d_full", (1, 4, 5, 2), (3, 2, 2, 3), padding=(2, 1), bias=False)
    yield conv("conv2d_round_down", (1, 8, 9, 2), (3, 3, 2, 2), stride=(3, 4))
    yield conv("conv2d_1x1", (2, 3, 5, 4), (1, 1, 4, 7))
    yield conv("conv2d_pad_constant", (1, 5, 5, 2), (3, 3, 2, 2), pad=lambda x: F.pad(x, (1, 1, 1, 1), value=0.5))
    yield conv("conv2d_pad_symmetric", (1, 5, 6, 2), (5, 4, 2, 2), pad=lambda x: symmetric(x, 2, 2, 1, 2))
    yield conv("depthwise_conv2d", (2, 5, 6, 3), (3, 3, 1, 6), groups=3, padding=1)

    def along(x, weight, bias):
        return F.conv1d(x.transpose(1, 2), weight[0].permute(2, 1, 0), bias, stride=2, dilation=2, padding=1).transpose(1, 2)

    yield case("conv1d", along, {"x": draw(2, 11, 3)}, {"weight": draw(1, 3, 3, 4), "bias": draw(4)})
    for name, options in {
        "conv_transpose2d": dict(stride=(2, 3), padding=(1, 0), output_padding=(1, 0)),
        "conv_transpose2d_groups": dict(stride=1, padding=1, dilation=2, groups=2),
    }.items():
        groups = options.get("groups", 1)

        def transposed(x, weight, bias, options=options):
            return F.conv_transpose2d(x, kernel(weight), bias, **options)

        parameters = {"weight": draw(3, 3, 6 // groups, 4, scale=0.4), "bias": draw(6)}
        yield case(name, images(transposed), {"x": draw(2, 4, 5, 4)}, parameters)

    def local(x, weight, bias):
        rows, columns = weight.shape[:2]
        patches = [[x[:, 2 * i:2 * i + 3, j:j + 2].reshape(len(x), -1) for j in range(columns)] for i in range(rows)]
        patches = torch.stack([torch.stack(row, 1) for row in patches], 1)
        return torch.einsum("nijk,ijko->nijo", patches, weight) + bias

    parameters = {"weight": draw(3, 4, 3 * 2 * 2, 3, scale=0.4), "bias": draw(3, 4, 3)}
    yield case("locally_connected2d", local, {"x": draw(2, 7, 5, 2)}, parameters)


def dense():
    def linear(x, weight, bias=None):
        return x @ weight + (0 if bias is None else bias)

    yield case("dense", linear, {"x": draw(3, 5)}, {"weight": draw(5, 4), "bias": draw(4)})
    yield case("dense_no_bias", linear, {"x": draw(3, 5)}, {"weight": draw(5, 1)})
    yield case("dense_rows", linear, {"x": draw(2, 3, 5)}, {"weight": draw(5, 4), "bias": draw(4)})
    yield case(
        "maxout",
        lambda x, weight, bias: (x @ weight + bias).reshape(len(x), 3, 4).amax(1),
        {"x": draw(5, 6)},
        {"weight": draw(6, 12), "bias": draw(12)},
    )
    words = torch.tensor([[0.0, 3, 3], [6, 1, 0]])
    yield case("embedding", lambda words, weight: F.embedding(words.long(), weight), {"words": words}, {"weight": draw(7, 5)}, ("words",))


def pools():
    x = lambda: {"x": draw(2, 6, 7, 3)}
    infinite = float("inf")
    yield case("max_pool2d", images(lambda x: F.max_pool2d(x, 2)), x())
    yield case("max_pool2d_overlapping", images(lambda x: F.max_pool2d(x, (3, 2), 1)), x())
    yield case("max_pool2d_padded", images(lambda x: F.max_pool2d(x, 3, 2, 1)), x())
    yield case("max_pool2d_same", images(lambda x: F.max_pool2d(same(x, (3, 3), (2, 2), value=-infinite), 3, 2)), x())
    yield case("min_pool2d", images(lambda x: -F.max_pool2d(-x, 2)), x())
    yield case("avg_pool2d", images(lambda x: F.avg_pool2d(x, 2)), x())
    yield case("avg_pool2d_padded", images(lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)), x())
    yield case("avg_pool2d_count_padding", images(lambda x: F.avg_pool2d(x, 3, 2, 1)), x())
    yield case("l2_pool2d", images(lambda x: F.lp_pool2d(x, 2.0, 2)), x())
    for name, function in {"max_pool1d": F.max_pool1d, "avg_pool1d": F.avg_pool1d}.items():
        yield case(name, lambda x, f=function: f(x.transpose(1, 2), 3, 2).transpose(1, 2), {"x": draw(2, 9, 3)})
    yield case("global_avg_pool2d", lambda x: x.mean((1, 2)), x())
    yield case("global_max_pool2d", lambda x: x.amax((1, 2)), x())


def shaping():
    yield case("flatten", lambda x: x.flatten(1), {"x": draw(2, 3, 2, 2)})
    yield case("reshape", lambda x: x.reshape(2, 2, 6), {"x": draw(2, 3, 4)})
    pair = lambda: {"a": draw(2, 3, 2), "b": draw(2, 3, 4)}
    yield case("concat", lambda a, b: torch.cat([a, b], -1), pair())
    yield case("add", lambda a, b: a + b, {"a": draw(2, 5), "b": draw(2, 5)})
    yield case("slice", lambda x: x[:, 1:8:3], {"x": draw(2, 9, 2)})
    yield case("zero_pad2d", images(lambda x: F.pad(x, (2, 0, 1, 3))), {"x": draw(2, 3, 4, 2)})
    yield case("pad2d_reflect", images(lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect")), {"x": draw(2, 3, 4, 2)})
    yield case("pad2d_edge", images(lambda x: F.pad(x, (2, 1, 1, 2), mode="replicate")), {"x": draw(2, 3, 4, 2)})
    yield case("pad2d_symmetric", images(lambda x: symmetric(x, 1, 2, 3, 0)), {"x": draw(2, 3, 4, 2)})
    small = lambda: {"x": draw(1, 4, 5, 2)}
    yield case("upsample_nearest", images(lambda x: F.interpolate(x, scale_factor=(2, 3))), small())
    yield case("resize_nearest", images(lambda x: F.interpolate(x, (7, 3))), small())
    yield case("resize_bilinear", images(lambda x: F.interpolate(x, (9, 3), mode="bilinear")), small())
    yield case(
        "resize_bilinear_corners",
        images(lambda x: F.interpolate(x, (7, 8), mode="bilinear", align_corners=True)),
        small(),
    )


def norms():
    def layer(x, weight, bias):
        return F.layer_norm(x, (x.shape[-1],), weight, bias)

    yield case("layer_norm", layer, {"x": draw(2, 3, 7)}, {"weight": draw(7), "bias": draw(7)})
    yield case(
        "local_response_norm",
        images(lambda x: F.local_response_norm(x, 5, alpha=0.5, beta=0.75, k=2.0)),
        {"x": draw(2, 2, 3, 7)},
    )
    yield case("local_response_norm_even", images(lambda x: F.local_response_norm(x, 4, alpha=0.5)), {"x": draw(1, 2, 2, 6)})


def activations():
    x = lambda: {"x": draw(4, 9, scale=3.0)}
    functions = {
        "linear": lambda x: x * 1,
        "relu": F.relu,
        "leaky_relu": lambda x: F.leaky_relu(x, 0.125),
        "elu": lambda x: F.elu(x, 1.5),
        "relu6": F.relu6,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "scaled_tanh": lambda x: torch.tanh(x) / 2 + 0.5,
        "softmax": lambda x: F.softmax(x, -1),
        "gelu": F.gelu,
        "silu": F.silu,
        "softplus": F.softplus,
    }
    for name, function in functions.items():
        yield case(name, lambda x, f=function: f(x), x())
    yield case("prelu", lambda x, weight: F.prelu(x, weight), x(), {"weight": draw(9)})


def loss(name, function, output, target):
    y = output.clone().requires_grad_()
    value = function(y, target)
    value.backward()
    return {"name": name, "output": tensor(output), "target": tensor(target), "loss": value.item(), "gradient": tensor(y.grad)}


def losses():
    y, t = draw(4, 3), draw(4, 3)
    yield loss("squared_error", F.mse_loss, y, t)
    yield loss("absolute_error", F.l1_loss, y, t)
    yield loss("huber", lambda y, t: F.huber_loss(y, t, delta=0.75), 2 * y, t)
    yes = torch.tensor([[1.0, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 1]])
    yield loss("binary_cross_entropy", F.binary_cross_entropy_with_logits, 20 * y, yes)
    yield loss("perceptron", lambda y, t: F.relu(-(2 * t - 1) * y).mean(), y, yes)
    logits, classes = draw(6, 5, scale=2.0), torch.tensor([0.0, 4, 2, 1, 2, 3])
    weights = torch.tensor([0.5, 1.0, 2.0, 0.25, 1.5])

    def entropy(**options):
        return lambda y, t: F.cross_entropy(y, t.long(), **options)

    yield loss("cross_entropy", entropy(), logits, classes)
    yield loss("cross_entropy_weights", entropy(weight=weights), logits, classes)
    yield loss("cross_entropy_smoothing", entropy(label_smoothing=0.25), logits, classes)
    yield loss("cross_entropy_ignore", entropy(ignore_index=2), logits, classes)
    all_of_them = entropy(weight=weights, label_smoothing=0.25, ignore_index=2)
    yield loss("cross_entropy_all", all_of_them, logits, classes)
    pixels = torch.tensor([[[0.0, 4, 2], [1, 255, 3]]])
    per_pixel = lambda y, t: F.cross_entropy(y.permute(0, 3, 1, 2), t.long(), weight=weights, ignore_index=255)
    yield loss("cross_entropy_pixels", per_pixel, draw(1, 2, 3, 5), pixels)
    soft = F.softmax(draw(6, 5), -1)
    yield loss("cross_entropy_soft", F.cross_entropy, logits, soft)
    both = lambda y, t: F.cross_entropy(y, t, weight=weights, label_smoothing=0.25)
    yield loss("cross_entropy_soft_all", both, logits, soft)


def batch_norm():
    """Five steps in training, then one inference."""
    norm = torch.nn.BatchNorm2d(3, momentum=0.25)
    weight, bias = draw(3), draw(3)
    with torch.no_grad():
        norm.weight.copy_(weight)
        norm.bias.copy_(bias)
    steps = []
    for _ in range(5):
        step = case("step", images(lambda x, **_: norm(x)), {"x": draw(2, 3, 4, 3, scale=2.0) + 0.5})
        step["gradients"].update(weight=tensor(norm.weight.grad), bias=tensor(norm.bias.grad))
        norm.zero_grad()
        step["running_mean"], step["running_var"] = tensor(norm.running_mean), tensor(norm.running_var)
        steps.append(step)
    norm.eval()
    infer = case("infer", images(lambda x: norm(x)), {"x": draw(2, 3, 4, 3)})
    yield {"name": "batch_norm", "weight": tensor(weight), "bias": tensor(bias), "steps": steps, "infer": infer}


def optimizers():
    start, gradients = draw(7), [draw(7) for _ in range(10)]
    o = torch.optim
    variants = {
        "sgd": lambda p: o.SGD(p, 0.05),
        "sgd_decay": lambda p: o.SGD(p, 0.05, weight_decay=0.125),
        "sgd_momentum": lambda p: o.SGD(p, 0.05, momentum=0.9, dampening=0.25, weight_decay=0.125),
        "sgd_nesterov": lambda p: o.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=0.125),
        "adagrad": lambda p: o.Adagrad(p, 0.05),
        "adagrad_decay": lambda p: o.Adagrad(p, 0.05, lr_decay=0.1, weight_decay=0.125),
        "adadelta": lambda p: o.Adadelta(p, 0.5, weight_decay=0.125),
        "rmsprop": lambda p: o.RMSprop(p, 0.05, weight_decay=0.125),
        "rmsprop_momentum": lambda p: o.RMSprop(p, 0.05, momentum=0.9),
        "rmsprop_centered": lambda p: o.RMSprop(p, 0.05, centered=True),
        "rmsprop_centered_momentum": lambda p: o.RMSprop(p, 0.05, alpha=0.9, momentum=0.9, centered=True),
        "adam": lambda p: o.Adam(p, 0.05),
        "adam_decay": lambda p: o.Adam(p, 0.05, betas=(0.8, 0.95), weight_decay=0.125),
        "adamw": lambda p: o.AdamW(p, 0.05, weight_decay=0.125),
    }
    for name, make in variants.items():
        p = start.clone().requires_grad_()
        optimizer, path = make([p]), []
        for g in gradients:
            p.grad = g.clone()
            optimizer.step()
            path.append(tensor(p)["data"])
        yield {"name": name, "start": tensor(start)["data"], "gradients": [tensor(g)["data"] for g in gradients], "path": path}
    g = draw(5)
    g.grad = draw(5, scale=3.0)
    before = g.grad.clone()
    norm = torch.nn.utils.clip_grad_norm_([g], 1.5)
    yield {"name": "clip", "start": tensor(before)["data"], "gradients": [[norm.item()]], "path": [tensor(g.grad)["data"]]}


def schedules():
    """40 steps, 4 per epoch, learning rate 0.1."""
    s = torch.optim.lr_scheduler

    def run(name, make):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
        scheduler, rates = make(optimizer), []
        for _ in range(40):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return {"name": name, "rates": rates}

    yield run("constant", lambda o: s.ConstantLR(o, 1.0))
    yield run("step:3:0.5", lambda o: s.StepLR(o, 12, 0.5))
    yield run("cosine", lambda o: s.CosineAnnealingLR(o, 40))
    yield run("cosine:0.05", lambda o: s.CosineAnnealingLR(o, 40, 0.005))
    yield run("onecycle", lambda o: s.OneCycleLR(o, 0.1, 40))
    yield run("onecycle:0.45", lambda o: s.OneCycleLR(o, 0.1, 40, pct_start=0.45))
    warm = lambda o: s.SequentialLR(o, [s.LinearLR(o, 1 / 8, 1.0, 7), s.CosineAnnealingLR(o, 32)], [8])
    yield run("warmup:2:cosine", warm)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    plateau, rates = s.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, cooldown=1), []
    observed = [1, 0.9, 0.95, 0.91, 0.9, 0.89, 0.89, 0.89, 0.89, 0.889999, 0.9, 0.9, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6]
    for value in observed:
        plateau.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    yield {"name": "plateau", "observed": observed, "rates": rates}


def rounded_pools():
    x = lambda: {"x": draw(2, 7, 8, 2)}
    yield case("max_pool2d_round_up", images(lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)), {"x": draw(2, 6, 8, 2)})
    yield case("max_pool2d_round_up_padded", images(lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True)), x())
    yield case("avg_pool2d_round_up", images(lambda x: F.avg_pool2d(x, 2, ceil_mode=True)), x())
    yield case("adaptive_avg_pool2d", images(lambda x: F.adaptive_avg_pool2d(x, (3, 5))), x())
    yield case("adaptive_avg_pool2d_even", images(lambda x: F.adaptive_avg_pool2d(x, (7, 4))), x())
    yield case("adaptive_avg_pool2d_larger", images(lambda x: F.adaptive_avg_pool2d(x, 7)), {"x": draw(2, 2, 3, 2)})
    yield case("adaptive_avg_pool2d_same", images(lambda x: F.adaptive_avg_pool2d(x, (7, 8))), x())


def attention():
    def heads(x, in_proj_weight, in_proj_bias, weight, bias):
        split = lambda t: t.reshape(*t.shape[:2], 3, -1).transpose(1, 2)
        query, key, value = map(split, (x @ in_proj_weight + in_proj_bias).chunk(3, -1))
        y = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        return y.reshape(x.shape) @ weight + bias

    projections = {
        "in_proj_weight": draw(6, 18, scale=0.5),
        "in_proj_bias": draw(18),
        "weight": draw(6, 6),
        "bias": draw(6),
    }
    yield case("multi_head_attention", heads, {"x": draw(2, 5, 6)}, projections)


def turned(parameters):
    """Weights `[in, out]` as PyTorch's `[out, in]`."""
    return {k: v.T if v.dim() == 2 else v for k, v in parameters.items()}


def recurrent(name, module, steps, sequence, first=False):
    """One of PyTorch's recurrent layers: all states, or the last of each direction."""
    shapes = {k: v.T.shape if v.dim() == 2 else v.shape for k, v in module.named_parameters()}
    hidden = module.hidden_size

    def function(x, first=None, **parameters):
        given = (x,) if first is None else (x, tuple(s.contiguous() for s in first.unsqueeze(0).chunk(2, -1)))
        y, _ = torch.func.functional_call(module, turned(parameters), given)
        return y if sequence else torch.cat([y[:, -1, :hidden], y[:, 0, hidden:]], -1)

    inputs = {"x": draw(3, steps, module.input_size)}
    if first:
        inputs = {"first": draw(3, 2 * hidden), **inputs}
    return case(name, function, inputs, {k: draw(*s, scale=0.6) for k, s in shapes.items()})


def sequences():
    nn = torch.nn
    yield recurrent("rnn", nn.RNN(2, 4, batch_first=True), 5, False)
    relu = nn.RNN(2, 3, nonlinearity="relu", batch_first=True)
    backwards = recurrent("rnn_relu_reversed", relu, 4, True)
    # The same layer from the last step to the first.
    for group, names in {"inputs": ["x"], "gradients": ["x"]}.items():
        for key in names:
            backwards[group][key] = reverse_steps(backwards[group][key])
    backwards["output"], backwards["upstream"] = map(reverse_steps, (backwards["output"], backwards["upstream"]))
    yield backwards
    yield recurrent("lstm", nn.LSTM(2, 4, batch_first=True), 5, False)
    yield recurrent("lstm_sequence", nn.LSTM(5, 3, batch_first=True), 1, True)
    yield recurrent("lstm_stacked", nn.LSTM(2, 3, num_layers=2, bidirectional=True, batch_first=True), 4, False)
    yield recurrent("lstm_first_state", nn.LSTM(2, 3, batch_first=True), 4, True, first=True)
    yield recurrent("gru", nn.GRU(2, 4, batch_first=True), 5, False)
    yield recurrent("gru_stacked", nn.GRU(2, 3, num_layers=2, bidirectional=True, batch_first=True), 4, True)

    def reset_before(x, weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0):
        h, states = torch.zeros(len(x), 3), []
        for t in range(x.shape[1]):
            (xr, xz, xn), (br, bz, bn) = (x[:, t] @ weight_ih_l0 + bias_ih_l0).chunk(3, -1), bias_hh_l0.chunk(3)
            ur, uz, un = weight_hh_l0.chunk(3, -1)
            r, z = torch.sigmoid(xr + h @ ur + br), torch.sigmoid(xz + h @ uz + bz)
            h = (1 - z) * torch.tanh(xn + (r * h) @ un + bn) + z * h
            states.append(h)
        return torch.stack(states, 1)

    parameters = {"weight_ih_l0": draw(2, 9), "weight_hh_l0": draw(3, 9), "bias_ih_l0": draw(9), "bias_hh_l0": draw(9)}
    yield case("gru_reset_before", reset_before, {"x": draw(2, 4, 2)}, parameters)


def reverse_steps(t):
    values = torch.tensor(t["data"]).reshape(t["shape"]).flip(1)
    return tensor(values)


def transformer(name, width, heads, hidden, causal=False, present=None, **options):
    module = torch.nn.TransformerEncoderLayer(width, heads, hidden, 0.0, batch_first=True, **options)
    own = {k.removeprefix("self_attn."): k for k, _ in module.named_parameters()}
    shapes = {k: v.T.shape if v.dim() == 2 else v.shape for k, v in module.named_parameters()}
    steps = 5

    def function(x, present=None, **parameters):
        mask = torch.nn.Transformer.generate_square_subsequent_mask(steps) if causal else None
        padding = None if present is None else present == 0
        return torch.func.functional_call(
            module,
            {own[k]: v for k, v in turned(parameters).items()},
            (x,),
            dict(src_mask=mask, src_key_padding_mask=padding),
        )

    inputs = {"x": draw(2, steps, width)}
    if present is not None:
        inputs = {"present": present, **inputs}
    return case(name, function, inputs, {k: draw(*shapes[own[k]], scale=0.5) for k in own}, ("present",))


def attention_blocks():
    yield transformer("transformer", 6, 2, 5)
    yield transformer("transformer_pre_norm", 6, 3, 8, causal=True, norm_first=True, activation="gelu")
    yield transformer("transformer_masked", 4, 2, 5, present=torch.tensor([[1.0, 1, 1, 0, 0], [1, 0, 1, 1, 1]]))

    def positions(x):
        t, column = torch.arange(x.shape[1])[:, None], torch.arange(x.shape[2])[None]
        angle = t / 10000 ** ((column - column % 2) / x.shape[2])
        return x + torch.where(column % 2 == 0, angle.sin(), angle.cos())

    yield case("positions", positions, {"x": draw(2, 4, 5)})

    def graph_conv(x, adjacency, weight, bias=0.0):
        loops = adjacency + torch.eye(x.shape[1])
        root = torch.diag_embed(loops.sum(-1) ** -0.5)
        return root @ loops @ root @ x @ weight + bias

    edges = torch.zeros(5, 5)
    for a, b in [(0, 1), (1, 2), (2, 3), (3, 0), (1, 3)]:
        edges[a, b] = edges[b, a] = 1
    ring = lambda x, weight, bias: F.relu(graph_conv(x, edges, weight, bias))
    yield case("graph_conv_constant", ring, {"x": draw(2, 5, 3)}, {"weight": draw(3, 4), "bias": draw(4)})
    given = {"adjacency": draw(2, 4, 4).abs(), "x": draw(2, 4, 3)}
    yield case("graph_conv_input", graph_conv, given, {"weight": draw(3, 4)})


if __name__ == "__main__":
    write("layers", [*dense(), *convolutions(), *pools(), *shaping(), *norms()])
    write("activations", activations())
    write("losses", losses())
    write("batch_norm", batch_norm())
    write("optimizers", optimizers())
    write("schedules", schedules())
    write("rounded_pools", rounded_pools())
    write("attention", attention())
    write("sequences", [*sequences(), *attention_blocks()])
