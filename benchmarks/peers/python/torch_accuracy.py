"""Trains in PyTorch by the recipe that Graticule is given, and prints the test accuracy.

mnist: LeNet-5 (28×28, first convolution padded), SGD with momentum 0.9, one-cycle to 0.05, batch 64, 55,000 training digits.
eurosat: seven 3×3 convolutions with batch norm, AdamW 0.002 with decay 0.02, one-cycle, batch 64, flips and quarter turns.
"""
import argparse
import csv
import gzip
import io
import json
import os
import zipfile

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--task", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--epochs", type=int, required=True)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(options.threads)
torch.manual_seed(options.seed)


def idx(name):
    with gzip.open(os.path.join(options.data, name)) as file:
        data = file.read()
    header = 4 + 4 * data[3]
    shape = [int.from_bytes(data[i:i + 4], "big") for i in range(4, header, 4)]
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy())


def mnist():
    sets = []
    for part in ("train", "t10k"):
        x = idx(part + "-images-idx3-ubyte.gz").float().unsqueeze(1) / 255
        sets += [x, idx(part + "-labels-idx1-ubyte.gz").long()]
    x, y, xt, yt = sets
    order = torch.randperm(len(y))[:55_000]
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=True)
    return model, optimizer, 0.05, (x[order], y[order]), (xt, yt)


def eurosat():
    from PIL import Image
    parts = {"train": ([], []), "test": ([], []), "val": ([], [])}
    classes = {}
    archive = zipfile.ZipFile(os.path.join(options.data, "eurosat-rgb-8000.zip"))
    with open(os.path.join(options.data, "splits.csv")) as file:
        for row in csv.DictReader(file):
            images, labels = parts[row["split"]]
            image = Image.open(io.BytesIO(archive.read(row["file"])))
            images.append(torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1))
            labels.append(classes.setdefault(row["class"], len(classes)))
    sets = {name: (torch.stack(x).float() / 255, torch.tensor(y)) for name, (x, y) in parts.items()}
    layers, before = [], 3
    for stage, width in enumerate((32, 64, 128, 256)):
        layers += [nn.MaxPool2d(2)] if stage else []
        for _ in range(2 if stage else 1):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            before = width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.002, weight_decay=0.02, fused=True)
    return model, optimizer, 0.002, sets["train"], sets["test"]


def augmented(x):
    """Each image mirrored or not, and turned by a multiple of 90 degrees."""
    mirror = torch.rand(len(x)) < 0.5
    x[mirror] = x[mirror].flip(3)
    turns = torch.randint(4, (len(x),))
    for turn in (1, 2, 3):
        x[turns == turn] = x[turns == turn].rot90(turn, (2, 3))
    return x


model, optimizer, rate, (x, y), (xt, yt) = mnist() if options.task == "mnist" else eurosat()
axes = (0, 2, 3)
mean, std = x.mean(axes, keepdim=True), x.std(axes, keepdim=True)
memory = torch.channels_last
x, xt = ((v - mean).div(std).contiguous(memory_format=memory) for v in (x, xt))
model = model.to(memory_format=memory)
batches = len(y) // 64
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=options.epochs * batches)
for _ in range(options.epochs):
    model.train()
    order = torch.randperm(len(y))
    for k in range(batches):
        chosen = order[k * 64:(k + 1) * 64]
        images = augmented(x[chosen]) if options.task == "eurosat" else x[chosen]
        optimizer.zero_grad()
        F.cross_entropy(model(images), y[chosen]).backward()
        optimizer.step()
        schedule.step()
model.eval()
with torch.inference_mode():
    right = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(xt.split(500), yt.split(500)))
print(json.dumps({"version": torch.__version__, "accuracy": right / len(yt)}))
