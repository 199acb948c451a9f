"""Makes networks.json again: parameters, running statistics and multiply-accumulates of the named
networks in PyTorch, and what some of them answer when numbers that both sides can compute stand in
their parameters.

    pip install torch torchvision timm numpy
    python tests/golden/networks.py [NAME …]
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import timm
import torchvision.models as tv

FILE = Path(__file__).parent / "networks.json"
WANTED = sys.argv[1:]
# Networks whose gradients are compared too: none has a dense layer behind a flattened image, or a number so
# near to a kink of max(0, x) that 32 bits put it on the other side.
WITH_GRADIENTS = [
    *("resnet18", "resnext50", "se-resnet50", "resnet20", "resnet20-b", "googlenet", "densenet121"),
    *("mobilenetv2", "efficientnet-b0", "efficientnet-lite0", "xception", "vit-b16", "capsnet-small", "unet"),
]
KNOWN = {n["name"]: n for n in json.loads(FILE.read_text())} if WANTED else {}


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
def fill(model, flat, layers):
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            layer, _, role = name.rpartition(".")
            name = f"{layers[layer]}.{role}" if layers else name
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
        elif isinstance(m, Guesses):
            total.append(m.weight.numel())
        elif isinstance(m, nn.MultiheadAttention):
            _, tokens, width = i[0].shape
            total.append(tokens * width * 4 * width + 2 * tokens * tokens * width)

    hooks = [m.register_forward_hook(count) for m in model.modules()]
    with torch.no_grad():
        model.eval()(torch.zeros(1, shape[2], shape[0], shape[1]))
    for hook in hooks:
        hook.remove()
    return sum(total)


def weighted(model):
    """The layers with parameters, in their order."""
    return dict.fromkeys(n.rpartition(".")[0] for n in model.state_dict())


def short(numbers):
    return [float(f"{n:.7g}") for n in numbers]


def projections(model, layers):
    """Of each parameter's gradient, in Graticule's layout, on numbers made of its name."""
    layers = layers and dict(zip(weighted(model), layers))
    for name, parameter in sorted(model.named_parameters(), key=getattr(model, "order", lambda named: 0)):
        layer, _, role = name.rpartition(".")
        name = f"{layers[layer]}.{role}" if layers else name
        g = parameter.grad
        ours = {4: lambda: g.permute(2, 3, 1, 0), 2: lambda: g.T}.get(g.dim(), lambda: g)()
        yield (ours.reshape(-1).numpy() * mixed(name + " gradient", g.numel())).sum()


def entry(name, make, shape=(224, 224, 3), outputs=1000, answer=None, flat={}, small=None, layers=None):
    """The counts of `make(outputs)`, and the answers of `make(3)` (or `small(3)`) to an image of shape `answer`;
    `layers` are Graticule's names where the other side has its own."""
    if WANTED and name not in WANTED:
        return KNOWN[name]
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
        model = (small or make)(3).double().eval()
        fill(model, flat, layers and dict(zip(weighted(model), layers)))
        image = torch.from_numpy(2 * mixed("input", math.prod(answer)).reshape(1, *answer))
        y = model(image.permute(0, 3, 1, 2))
        if y.dim() == 4:
            y = y.permute(0, 2, 3, 1)
        found["answer"] = {"input": list(answer), "values": short(y.flatten().tolist())}
        if name in WITH_GRADIENTS:
            upstream = torch.from_numpy(mixed("upstream", y.numel())).reshape(y.shape)
            (y * upstream).sum().backward()
            found["answer"]["gradients"] = short(projections(model, layers))
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

    @staticmethod
    def order(named):
        """Graticule's: as they are run."""
        part, level = named[0].split(".")[:2]
        first = {"enc": 0, "mid": 1, "up": 2, "dec": 3, "out": 99}[part]
        return first + 2 * int(level) if part in ("up", "dec") else first

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


class SmallBlock(nn.Module):
    def __init__(self, i, o, shortcut):
        super().__init__()
        stride = 1 if i == o else 2
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        if i != o and shortcut == "b":
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, 2, bias=False), nn.BatchNorm2d(o))
        elif i != o:
            self.downsample = lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, i // 2, i // 2))
        else:
            self.downsample = lambda x: x

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class SmallResNet(nn.Module):
    def __init__(self, outputs, n, shortcut):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        layer = lambda i, o: nn.Sequential(*(SmallBlock(o if k else i, o, shortcut) for k in range(n)))
        self.layer1, self.layer2, self.layer3 = layer(16, 16), layer(16, 32), layer(32, 64)
        self.linear = nn.Linear(64, outputs)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class Guesses(nn.Module):
    """What each capsule says of each class, with weights of its own."""

    def __init__(self, capsules, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(16 * outputs, 8, capsules, 1))

    def forward(self, x):
        return torch.einsum("nid,kdi->nik", x, self.weight[..., 0]).reshape(*x.shape[:2], -1, 16)


class CapsNet(nn.Module):
    def __init__(self, outputs, side, filters, maps):
        super().__init__()
        self.first, self.primary = nn.Conv2d(1, filters, 9), nn.Conv2d(filters, 8 * maps, 9, 2)
        self.guesses = Guesses(maps * ((side - 16) // 2 + side % 2) ** 2, outputs)

    def forward(self, x):
        squash = lambda s: s * s.norm(dim=-1, keepdim=True) / (1 + s.square().sum(-1, keepdim=True))
        x = self.primary(F.relu(self.first(x))).permute(0, 2, 3, 1).reshape(len(x), -1, 8)
        guesses = self.guesses(squash(x))
        logits = torch.zeros(guesses.shape[:3])
        for _ in range(3):
            agreed = squash((logits.softmax(2)[..., None] * guesses).sum(1))
            logits = logits + (guesses * agreed[:, None]).sum(-1)
        return agreed.norm(dim=-1)


def lite_layers():
    """EfficientNet-Lite0's layers as torchvision would call them."""
    yield from ("features.0.0", "features.0.1")
    for stage, blocks in enumerate((1, 2, 2, 3, 3, 4, 1), 1):
        for block in range(blocks):
            for step in range(2 if stage == 1 else 3):
                yield from (f"features.{stage}.{block}.block.{step}.{k}" for k in range(2))
    yield from ("features.8.0", "features.8.1", "classifier.1")


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
    for n in (3, 5, 7, 9, 18, 200):
        for shortcut in "ab":
            if n < 200 or shortcut == "a":
                name = f"resnet{6 * n + 2}" + ("-b" if shortcut == "b" else "")
                make = lambda outputs: SmallResNet(outputs, n, shortcut)
                yield entry(name, make, (32, 32, 3), 10, answer=(13, 16, 3) if n == 3 else None)
    trained = {"aux_logits": False, "init_weights": False}
    yield entry("googlenet", torchvision(tv.googlenet, **trained), answer=(33, 47, 3))
    yield entry("inception-v3", torchvision(tv.inception_v3, **trained), (299, 299, 3), answer=(75, 80, 3))
    for depth in (121, 169, 201):
        make = torchvision(getattr(tv, f"densenet{depth}"))
        yield entry(f"densenet{depth}", make, answer=(33, 48, 3) if depth == 121 else None)
    yield entry("densenet264", torchvision(tv.DenseNet, block_config=(6, 12, 64, 48)))
    yield entry("mobilenetv2", torchvision(tv.mobilenet_v2), answer=(33, 50, 3))
    for k, side in enumerate((224, 240, 260, 300, 380, 456, 528, 600)):
        make = torchvision(getattr(tv, f"efficientnet_b{k}"))
        yield entry(f"efficientnet-b{k}", make, (side, side, 3), answer={0: (33, 50, 3), 5: (32, 32, 3)}.get(k))
    lite = lambda outputs: timm.create_model("tf_efficientnet_lite0", num_classes=outputs)
    yield entry("efficientnet-lite0", lite, answer=(37, 48, 3), layers=list(lite_layers()))
    xception = lambda outputs: timm.create_model("legacy_xception", num_classes=outputs)
    yield entry("xception", xception, (299, 299, 3), answer=(32, 39, 3))
    se_resnet = lambda outputs: timm.create_model("seresnet50", num_classes=outputs)
    yield entry("se-resnet50", se_resnet, answer=(33, 40, 3))
    small = torchvision(tv.vit_b_16, image_size=48)
    yield entry("vit-b16", torchvision(tv.vit_b_16), answer=(48, 48, 3), small=small)
    yield entry("vit-l16", torchvision(tv.vit_l_16))
    yield entry("vit-h14", torchvision(tv.vit_h_14))
    for name, sizes in {"capsnet-small": (64, 8), "capsnet": (256, 32)}.items():
        make = lambda outputs: CapsNet(outputs, 28, *sizes)
        small = lambda outputs: CapsNet(outputs, 19, *sizes)
        yield entry(name, make, (28, 28, 1), 10, answer=(19, 19, 1), small=small)
    yield entry("unet", UNet, (256, 256, 3), 1, answer=(16, 32, 3))


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(n, separators=(",", ":")) for n in networks())
    FILE.write_text(f"[\n{lines}\n]\n")
