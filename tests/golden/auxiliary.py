"""Makes auxiliary.json again: what the heads that GoogLeNet and Inception-v3 have in training answer in PyTorch, the
weighted sum of their losses, and its gradients.

    pip install torch torchvision numpy
    python tests/golden/auxiliary.py

Numbers stand in the parameters as networks.py puts them there; dropout is off, batch norm uses its statistics.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision.models as tv
from networks import fill, mixed, projections, short

FILE = Path(__file__).parent / "auxiliary.json"
TARGET = 1
CASES = [
    ("googlenet", tv.googlenet, (64, 64, 3), {"inception4a": "aux1", "inception4d": "aux2"}, 0.3),
    ("inception-v3", tv.inception_v3, (299, 299, 3), {"Mixed_6e": "AuxLogits"}, 0.4),
]
# Of the first layer, of a layer between two heads, and of the heads.
WATCHED = ["conv1.conv.weight", "inception4c.branch1.conv.weight", "Conv2d_1a_3x3.conv.weight"]


def case(name, make, shape, heads, share):
    model = make(num_classes=3, aux_logits=True, init_weights=False).double().eval()
    # A dense layer behind 4x4 pixels of 128 channels.
    flat = {f"{head}.fc1.weight": (4, 4, 128) for head in heads.values() if hasattr(getattr(model, head), "fc1")}
    fill(model, flat, None)
    made = {}
    for module, head in heads.items():
        keep = lambda m, i, o, head=head: made.__setitem__(head, getattr(model, head)(o))
        getattr(model, module).register_forward_hook(keep)
    image = torch.from_numpy(2 * mixed("input", math.prod(shape)).reshape(1, *shape)).permute(0, 3, 1, 2)
    answers = [model(image), *(made[head] for head in heads.values())]
    losses = [F.cross_entropy(y, torch.tensor([TARGET])) for y in answers]
    loss = losses[0] + share * sum(losses[1:])
    loss.backward()
    watched = lambda n: n in WATCHED or (n.startswith(tuple(heads.values())) and n not in flat)
    along = dict(zip((n for n, _ in model.named_parameters()), projections(model, None)))
    return {
        "name": name,
        "input": list(shape),
        "shares": [share] * len(heads),
        "target": TARGET,
        "answers": [short(y.flatten().tolist()) for y in answers],
        "loss": float(f"{loss.item():.9g}"),
        "gradients": {n: short([along[n]])[0] for n in along if watched(n)},
    }


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    lines = ",\n".join(json.dumps(case(*each)) for each in CASES)
    FILE.write_text(f"[\n{lines}\n]\n")
