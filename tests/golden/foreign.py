"""Makes the files of foreign/ again: the weights of one small network as PyTorch and safetensors write them.

    pip install torch numpy safetensors
    python tests/golden/foreign.py

The network is `small` of interchange/src/foreign/tests.rs; number k of all its numbers, in Graticule's order and
layout, is ((7·k) mod 61 − 30) / 4, which half precision and bfloat16 hold exactly.
"""

import collections
import os
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent / "foreign"
SHAPES = {
    "conv1.weight": (3, 3, 2, 3),
    "bn1.weight": (3,),
    "bn1.bias": (3,),
    "bn1.running_mean": (3,),
    "bn1.running_var": (3,),
    "fc.weight": (18, 6),
    "fc.bias": (6,),
}


def tensors():
    start = 0
    for name, shape in SHAPES.items():
        count = int(np.prod(shape))
        k = np.arange(start, start + count)
        ours = torch.from_numpy(((7 * k) % 61 - 30).astype(np.float32) / 4).reshape(shape)
        start += count
        if name == "conv1.weight":
            ours = ours.permute(3, 2, 0, 1)
        elif name == "fc.weight":
            # The image before it has two rows, three columns, three channels.
            ours = ours.reshape(2, 3, 3, 6).permute(3, 2, 0, 1).reshape(6, 18)
        yield name, ours.contiguous()


def state(kind=torch.float32):
    found = collections.OrderedDict((name, tensor.to(kind)) for name, tensor in tensors())
    found["bn1.num_batches_tracked"] = torch.tensor(7)
    # As Module.state_dict() has it: an attribute, which is pickled too.
    found._metadata = collections.OrderedDict([("", {"version": 1})])
    return found


def strided():
    """All tensors are parts of one storage, and the matrix lies by columns."""
    found = state()
    fc = found["fc.weight"]
    joined = torch.cat([t.flatten() for n, t in found.items() if n.split(".")[1] in ("weight", "bias") and n != "fc.weight"])
    joined = torch.cat([joined, fc.t().flatten()])
    offset = 0
    for name in ("conv1.weight", "bn1.weight", "bn1.bias", "fc.bias"):
        count = found[name].numel()
        found[name] = joined[offset : offset + count].view(found[name].shape)
        offset += count
    found["fc.weight"] = joined[offset:].view(18, 6).t()
    # One number that stands for three.
    found["bn1.running_mean"] = found["bn1.running_mean"][:1].expand(3)
    return found


def checkpoint():
    wrapped = collections.OrderedDict((f"module.{name}", t) for name, t in state().items())
    wrapped["module.fc.weight"] = torch.nn.Parameter(wrapped["module.fc.weight"])
    momentum = {0: {"momentum_buffer": torch.ones(3)}, "lr": 0.1, "nesterov": False, "betas": (0.9, 0.999)}
    return {"epoch": 3, "arch": "small", "best_prec1": 91.5, "none": None, "optimizer": momentum, "state_dict": wrapped}


class Evil:
    def __reduce__(self):
        return os.system, ("echo this must never be seen",)


def save(name, value, zipped=True):
    torch.save(value, HERE / name, _use_new_zipfile_serialization=zipped)


if __name__ == "__main__":
    from safetensors.torch import save_file

    HERE.mkdir(exist_ok=True)
    save("zip.pth", state())
    save("older.pth", state(), zipped=False)
    save("strided.pth", strided())
    save("strided-older.pth", strided(), zipped=False)
    save("checkpoint.pth", checkpoint(), zipped=False)
    save("half.pth", state(torch.float16))
    save("bfloat16.pth", state(torch.bfloat16), zipped=False)
    save("double.pth", state(torch.float64))
    save("evil.pth", {"state_dict": state(), "more": Evil()})
    save_file(dict(state()), HERE / "small.safetensors")
