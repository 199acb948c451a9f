"""Makes networks.json again: parameters, running statistics and multiply-accumulates of the named
networks in PyTorch, and what some of them answer when numbers that both sides can compute stand in
their parameters.

    pip install torch torchvision timm numpy
    python tests/golden/networks.py
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.models as tv

HERE = Path(__file__).parent


def mixed(name, count):
    """`count` numbers in [-0.5, 0.5) from the name alone: FNV-1a, then a mix of bits for each place."""
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x45D9F3B)
        x ^= x >> np.uint32(16)
    return x / 2**32 - 0.5


def value(name, shape):
    """The numbers of a parameter in Graticule's layout."""
    numbers = mixed(name, math.prod(shape)).reshape(shape)
    if len(shape) > 1:
        return numbers * math.sqrt(24 / (math.prod(shape) / shape[-1]))
    last = name.rsplit(".")[-1]
    scale, shift = {"running_var": (0.5, 1), "weight": (0.2, 1)}.get(last, (0.2, 0))
    return numbers * scale + shift


def to_torch(name, ours, like, flat):
    """Graticule's layout to PyTorch's: [KH, KW, I, O] to [O, I, KH, KW], [in, out] to [out, in]; the rows
    of a dense layer behind a flattened image of `flat[name]` (H, W, C) go from H, W, C to C, H, W."""
    if name in flat:
        return ours.reshape(*flat[name], -1).permute(3, 2, 0, 1).reshape(like.shape)
    if like.dim() == 4:
        return ours.permute(3, 2, 0, 1)
    return ours.T if like.dim() == 2 else ours


@torch.no_grad()
def fill(model, flat):
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            shape = tuple(tensor.shape)
            shape = {4: (*shape[2:], *shape[1::-1]), 2: shape[::-1]}.get(len(shape), shape)
            ours = torch.from_numpy(value(name, shape))
            tensor.copy_(to_torch(name, ours, tensor, flat))


def macs(model, shape):
    """Of convolutions, dense layers and attention, for one sample."""
    total = []

    def count(m, i, o):
        if isinstance(m, nn.Linear):
            total.append(o.numel() * m.in_features)
        elif isinstance(m, nn.ConvTranspose2d):
            total.append(i[0].numel() * m.out_channels // m.groups * math.prod(m.kernel_size))
        elif isinstance(m, nn.Conv2d):
            total.append(o.numel() * m.in_channels // m.groups * math.prod(m.kernel_size))
        elif isinstance(m, nn.MultiheadAttention):
            _, tokens, width = i[0].shape
            total.append(tokens * width * 4 * width + 2 * tokens * tokens * width)

    hooks = [m.register_forward_hook(count) for m in model.modules()]
    with torch.no_grad():
        model.eval()(torch.zeros(1, shape[2], shape[0], shape[1]))
    for hook in hooks:
        hook.remove()
    return sum(total)


def entry(name, make, shape=(224, 224, 3), outputs=1000, answer=None, flat={}):
    """The counts of `make(outputs)`, and the answers of `make(3)` to an image of shape `answer`."""
    torch.set_default_dtype(torch.float32)
    model = make(outputs)
    states = [b.numel() for n, b in model.named_buffers() if n.split(".")[-1] in ("running_mean", "running_var")]
    found = {
        "name": name,
        "input": list(shape),
        "outputs": outputs,
        "trainable": sum(p.numel() for p in model.parameters()),
        "states": sum(states),
        "macs": macs(model, shape),
    }
    if answer:
        torch.set_default_dtype(torch.float64)
        model = make(3).double().eval()
        fill(model, flat)
        image = torch.from_numpy(2 * mixed("input", math.prod(answer)).reshape(1, *answer))
        with torch.no_grad():
            y = model(image.permute(0, 3, 1, 2))
        if y.dim() == 4:
            y = y.permute(0, 2, 3, 1)
        found["answer"] = {"input": list(answer), "values": [float(f"{v:.7g}") for v in y.flatten().tolist()]}
    print(name, found["trainable"], found["macs"], found.get("answer", {}).get("values", "")[:3], flush=True)
    return found


class UNet(nn.Module):
    def __init__(self, outputs, widths=(32, 64, 128, 256)):
        super().__init__()

        def twice(i, o):
            one = lambda i: [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
            return nn.Sequential(*one(i), *one(o))

        self.enc = nn.ModuleList([twice(i, o) for i, o in zip((3, *widths), widths)])
        self.mid = twice(widths[-1], 2 * widths[-1])
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths)])
        self.dec = nn.ModuleList([twice(2 * w, w) for w in reversed(widths)])
        self.out = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x):
        levels = []
        for enc in self.enc:
            x = enc(x)
            levels.append(x)
            x = F.max_pool2d(x, 2)
        x = self.mid(x)
        for up, dec in zip(self.up, self.dec):
            x = dec(torch.cat([up(x), levels.pop()], 1))
        return self.out(x)


def torchvision(make, **options):
    return lambda outputs: make(num_classes=outputs, **options)


def networks():
    alexnet = torchvision(tv.alexnet)
    yield entry("alexnet-torchvision", alexnet, answer=(80, 63, 3), flat={"classifier.1.weight": (6, 6, 256)})
    for depth in (11, 13, 16, 19):
        yield entry(f"vgg{depth}", torchvision(getattr(tv, f"vgg{depth}")))
        answer = (32, 40, 3) if depth == 11 else None
        flat = {"classifier.0.weight": (7, 7, 512)}
        yield entry(f"vgg{depth}-bn", torchvision(getattr(tv, f"vgg{depth}_bn")), answer=answer, flat=flat)
    for depth in (18, 34, 50, 101, 152):
        answer = {18: (33, 46, 3), 50: (32, 32, 3)}.get(depth)
        yield entry(f"resnet{depth}", torchvision(getattr(tv, f"resnet{depth}")), answer=answer)
    yield entry("resnext50", torchvision(tv.resnext50_32x4d), answer=(32, 32, 3))
    yield entry("resnext101", torchvision(tv.resnext101_32x8d))
    yield entry("resnext101-64x4d", torchvision(tv.resnext101_64x4d))
    yield entry("squeezenet1.0", torchvision(tv.squeezenet1_0), answer=(53, 50, 3))
    yield entry("squeezenet", torchvision(tv.squeezenet1_1), answer=(50, 53, 3))
    yield entry("unet", UNet, (256, 256, 3), 1, answer=(16, 32, 3))


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(n, separators=(",", ":")) for n in networks())
    (HERE / "networks.json").write_text(f"[\n{lines}\n]\n")
