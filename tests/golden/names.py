"""Makes names.json again: what torchvision and timm call the parameters of the named networks, and their shapes.

    pip install torch torchvision timm
    python tests/golden/names.py

Of each network: where the names are from, how many tensors there are (without num_batches_tracked), and FNV-1a of the
sorted lines `name a×b×c`.
"""

import json
from pathlib import Path

import timm
import torch
import torchvision.models as tv

FILE = Path(__file__).parent / "names.json"


def digest(model):
    state = {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    lines = sorted(f"{name} {'×'.join(map(str, t.shape))}" for name, t in state.items())
    hashed = 0xCBF29CE484222325
    for byte in "".join(line + "\n" for line in lines).encode():
        hashed = ((hashed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return {"tensors": len(state), "hash": f"{hashed:016x}"}


def networks():
    theirs = {"alexnet-torchvision": tv.alexnet, "squeezenet1.0": tv.squeezenet1_0, "squeezenet": tv.squeezenet1_1}
    theirs |= {f"vgg{d}": getattr(tv, f"vgg{d}") for d in (11, 13, 16, 19)}
    theirs |= {f"vgg{d}-bn": getattr(tv, f"vgg{d}_bn") for d in (11, 13, 16, 19)}
    theirs |= {f"resnet{d}": getattr(tv, f"resnet{d}") for d in (18, 34, 50, 101, 152)}
    theirs |= {"resnext50": tv.resnext50_32x4d, "resnext101": tv.resnext101_32x8d}
    theirs |= {"resnext101-64x4d": tv.resnext101_64x4d, "mobilenetv2": tv.mobilenet_v2}
    theirs |= {f"densenet{d}": getattr(tv, f"densenet{d}") for d in (121, 169, 201)}
    theirs |= {f"efficientnet-b{k}": getattr(tv, f"efficientnet_b{k}") for k in range(8)}
    theirs |= {"vit-b16": tv.vit_b_16, "vit-l16": tv.vit_l_16, "vit-h14": tv.vit_h_14}
    plain = {"aux_logits": False, "init_weights": False}
    theirs |= {"googlenet": lambda: tv.googlenet(**plain), "inception-v3": lambda: tv.inception_v3(**plain)}
    for name, make in theirs.items():
        yield name, "torchvision", make
    for name, timms in {"xception": "legacy_xception", "se-resnet50": "seresnet50"}.items():
        yield name, "timm", lambda: timm.create_model(timms)


if __name__ == "__main__":
    found = {}
    with torch.device("meta"):
        for name, source, make in networks():
            found[name] = {"source": source, **digest(make())}
    lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(f)}" for n, f in found.items())
    FILE.write_text(f"{{\n{lines}\n}}\n")
