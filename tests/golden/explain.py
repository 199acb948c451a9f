"""Makes tests/golden/explain.json again: what PyTorch and Captum say of one small network, in float64, with tensors
in Graticule's layouts.

    pip install torch captum numpy
    python tests/golden/explain.py
"""

import json
from pathlib import Path

import absent_matplotlib  # noqa: F401
import torch
import torch.nn.functional as F
from torch import nn

from captum.attr import (  # noqa: E402
    Deconvolution,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    LayerGradCam,
    Occlusion,
    Saliency,
)

torch.set_default_dtype(torch.float64)
RANDOM = torch.Generator().manual_seed(36)
TARGETS = [2, 0]


def draw(*shape, scale=1.0):
    """Gaussian numbers of three decimals, which JSON holds exactly and short."""
    return (torch.randn(*shape, generator=RANDOM) * scale * 1000).round() / 1000


class Network(nn.Module):
    """12×12×2 to 3 classes; each ReLU and pooling stands once, as Captum's hooks need it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu1 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.dense = nn.Linear(6 * 6 * 8, 3)

    def forward(self, x):
        x = self.pool(self.relu1(self.norm(self.conv1(x))))
        x = self.relu2(self.conv2(x))
        # Flattened with channels last.
        return self.dense(x.permute(0, 2, 3, 1).flatten(1))


def tensor(t):
    values = [float(f"{v:.8g}") for v in t.detach().reshape(-1).tolist()]
    return {"shape": list(t.shape), "data": [int(v) if v == int(v) else v for v in values]}


def nhwc(t):
    return tensor(t.permute(0, 2, 3, 1))


def pixels(t):
    """A map `[N, 1, H, W]`."""
    return tensor(t.squeeze(1))


network = Network().eval()
with torch.no_grad():
    for name, parameter in network.named_parameters():
        parameter.copy_(draw(*parameter.shape, scale=0.1 if "dense" in name else 0.4))
    network.norm.running_mean.copy_(draw(6, scale=0.3))
    network.norm.running_var.copy_(draw(6, scale=0.3).abs() + 0.5)
x = draw(2, 2, 12, 12)


def probabilities(x):
    return F.softmax(network(x), dim=1)


def cam(layer):
    small = LayerGradCam(network, layer).attribute(x, target=TARGETS, relu_attributions=True)
    return F.interpolate(small, size=(12, 12), mode="bilinear", align_corners=False)


baseline = torch.tensor([-0.5, 0.25]).reshape(1, 2, 1, 1).expand(1, 2, 12, 12)
integrated = IntegratedGradients(network)
occluded = Occlusion(probabilities).attribute(
    x, target=TARGETS, sliding_window_shapes=(2, 4, 5), strides=(2, 3, 2), baselines=0.25
)
told = {
    "made_with": f"torch {torch.__version__.split('+')[0]}",
    "targets": TARGETS,
    "inputs": nhwc(x),
    "parameters": {
        "conv1.weight": tensor(network.conv1.weight.permute(2, 3, 1, 0)),
        "conv1.bias": tensor(network.conv1.bias),
        "norm.weight": tensor(network.norm.weight),
        "norm.bias": tensor(network.norm.bias),
        "norm.running_mean": tensor(network.norm.running_mean),
        "norm.running_var": tensor(network.norm.running_var),
        "conv2.weight": tensor(network.conv2.weight.permute(2, 3, 1, 0)),
        "conv2.bias": tensor(network.conv2.bias),
        "dense.weight": tensor(network.dense.weight.T),
        "dense.bias": tensor(network.dense.bias),
    },
    "scores": tensor(network(x)),
    "gradient": pixels(Saliency(network).attribute(x, target=TARGETS).amax(1, keepdim=True)),
    "gradient-x-input": nhwc(InputXGradient(network).attribute(x, target=TARGETS)),
    "integrated": nhwc(integrated.attribute(x, target=TARGETS, n_steps=50)),
    "integrated from a colour": nhwc(integrated.attribute(x, baselines=baseline, target=TARGETS, n_steps=20)),
    "guided": nhwc(GuidedBackprop(network).attribute(x, target=TARGETS)),
    "deconvnet": nhwc(Deconvolution(network).attribute(x, target=TARGETS)),
    "grad-cam": pixels(cam(network.relu2)),
    "grad-cam before batch norm": pixels(cam(network.conv1)),
    "occlusion": pixels(occluded[:, :1]),
}
path = Path(__file__).with_suffix(".json")
text = ",\n".join(f"{json.dumps(name)}:{json.dumps(value, separators=(chr(44), chr(58)))}" for name, value in told.items())
path.write_text("{\n" + text + "\n}\n")
