"""Small networks exported by PyTorch, with inputs and the outputs that ONNX Runtime gives.

Each is a folder in the form of ONNX's own backend cases: model.onnx, test_data_set_0/input_N.pb, output_N.pb.
The batch of the inputs is another than the one the network was exported with. Run from the repository's root:

    python tests/golden/onnx_models.py
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn
from torchvision.models import VisionTransformer

HERE = pathlib.Path(__file__).parent / "onnx"
BATCH = 3


class Residual(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False, groups=2)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, 2, 2)
        self.bn1 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = Residual(8, 12, 1)
        self.layer2 = Residual(12, 16, 2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear")
        self.fc1 = nn.Linear(16 * 4 * 4, 10)
        self.fc2 = nn.Linear(10, 5)

    def forward(self, x):
        x = self.pool(nn.functional.silu(self.bn1(self.conv1(x))))
        x = self.up(self.layer2(self.layer1(x)))
        return self.fc2(nn.functional.hardswish(self.fc1(torch.flatten(x, 1))))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(12, 5, batch_first=True)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        y, _ = self.lstm(x)
        _, h = self.gru(y)
        return self.fc(h[-1])


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        n, t, e = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, e // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, e)
        x = x + self.proj(y)
        return x + self.fc2(nn.functional.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.position = nn.Parameter(torch.randn(1, 10, 16))
        self.blocks = nn.Sequential(Block(16, 4), Block(16, 2))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


def write(name, module, example, opset):
    torch.manual_seed(7)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.3, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.3, 0.3)
    module.eval()
    folder = HERE / name
    (folder / "test_data_set_0").mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    torch.onnx.export(module, example, path, opset_version=opset, input_names=["x"], output_names=["y"],
                      dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, dynamo=False,
                      training=torch.onnx.TrainingMode.PRESERVE)
    x = np.random.default_rng(3).normal(size=(BATCH, *example.shape[1:])).astype(np.float32)
    y = onnxruntime.InferenceSession(path).run(None, {"x": x})[0]
    with torch.no_grad():
        assert np.allclose(y, module(torch.from_numpy(x)).numpy(), atol=1e-4)
    for file, array in [("input_0", x), ("output_0", y)]:
        (folder / "test_data_set_0" / f"{file}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    print(name, path.stat().st_size, sorted({n.op_type for n in onnx.load(path).graph.node}))


torch.manual_seed(5)
write("cnn", Cnn(), torch.randn(1, 3, 16, 16), 17)
write("lstm", Lstm(), torch.randn(1, 7, 4), 17)
write("vit", Vit(), torch.randn(1, 3, 12, 12), 17)
# torch.nn.MultiheadAttention: rows of all samples take turns in one axis of the exported graph.
torch.manual_seed(5)
vision = VisionTransformer(image_size=8, patch_size=4, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=12, num_classes=3)
nn.init.normal_(vision.heads.head.weight)
nn.init.normal_(vision.class_token)
write("torchvision_vit", vision, torch.randn(2, 3, 8, 8), 17)
