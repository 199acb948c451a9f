"""The networks that are compared, in PyTorch."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def tiny():
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))


def mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def cnn64():
    def c(i, o): return [nn.Conv2d(i, o, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*c(3, 32), *c(32, 32), nn.MaxPool2d(2), *c(32, 64), *c(64, 64), nn.MaxPool2d(2),
                         *c(64, 128), *c(128, 128), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(128 * 64, 256), nn.ReLU(), nn.Linear(256, 10))


class Block(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.c1 = nn.Conv2d(i, o, 3, s, 1, bias=False); self.b1 = nn.BatchNorm2d(o)
        self.c2 = nn.Conv2d(o, o, 3, 1, 1, bias=False); self.b2 = nn.BatchNorm2d(o)
        self.d = nn.Sequential(nn.Conv2d(i, o, 1, s, bias=False), nn.BatchNorm2d(o)) if s != 1 or i != o else None

    def forward(self, x):
        y = F.relu(self.b1(self.c1(x)))
        y = self.b2(self.c2(y))
        return F.relu(y + (x if self.d is None else self.d(x)))


def resnet18(classes=10):
    L = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    for i, o, s in [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]:
        L += [Block(i, o, s), Block(o, o, 1)]
    return nn.Sequential(*L, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


class UNet(nn.Module):
    def __init__(self, base=32, levels=4, out=1):
        super().__init__()
        def dc(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(),
                                 nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
        ch = [base * 2 ** k for k in range(levels + 1)]
        self.enc = nn.ModuleList([dc(3 if k == 0 else ch[k - 1], ch[k]) for k in range(levels)])
        self.mid = dc(ch[levels - 1], ch[levels])
        self.up = nn.ModuleList([nn.ConvTranspose2d(ch[k + 1], ch[k], 2, 2) for k in reversed(range(levels))])
        self.dec = nn.ModuleList([dc(2 * ch[k], ch[k]) for k in reversed(range(levels))])
        self.out = nn.Conv2d(base, out, 1)

    def forward(self, x):
        sk = []
        for e in self.enc:
            x = e(x); sk.append(x); x = F.max_pool2d(x, 2)
        x = self.mid(x)
        for u, d in zip(self.up, self.dec):
            x = d(torch.cat([u(x), sk.pop()], 1))
        return self.out(x)


def alexnet(classes=10):
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, classes))


def vgg16(classes=10):
    L, i = [], 3
    for v in [64, 64, 'M', 128, 128, 'M', 256, 256, 256, 'M', 512, 512, 512, 'M', 512, 512, 512, 'M']:
        if v == 'M': L.append(nn.MaxPool2d(2))
        else: L += [nn.Conv2d(i, v, 3, padding=1), nn.ReLU()]; i = v
    return nn.Sequential(*L, nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Dropout(0.5),
                         nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, classes))


class Fire(nn.Module):
    def __init__(self, i, s, e):
        super().__init__()
        self.s = nn.Conv2d(i, s, 1); self.e1 = nn.Conv2d(s, e, 1); self.e3 = nn.Conv2d(s, e, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.s(x))
        return torch.cat([F.relu(self.e1(x)), F.relu(self.e3(x))], 1)


def squeezenet(classes=1000):  # SqueezeNet 1.1
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(64, 16, 64), Fire(128, 16, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True), Fire(128, 32, 128), Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256), nn.Dropout(0.5),
        nn.Conv2d(512, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


# name: (constructor, input shape without batch, batch, loss)
TRAINING = {
    "tiny": (tiny, (2,), 10, "squared_error"),
    "mlp": (mlp, (784,), 128, "cross_entropy"),
    "lenet64": (lenet, (1, 32, 32), 64, "cross_entropy"),
    "lenet256": (lenet, (1, 32, 32), 256, "cross_entropy"),
    "cnn64": (cnn64, (3, 64, 64), 64, "cross_entropy"),
    "resnet18": (resnet18, (3, 64, 64), 32, "cross_entropy"),
    "unet": (UNet, (3, 256, 256), 4, "binary_cross_entropy"),
    "alexnet": (alexnet, (3, 224, 224), 8, "cross_entropy"),
    "vgg16": (vgg16, (3, 224, 224), 8, "cross_entropy"),
}
# name: (constructor, input shape)
INFERENCE = {
    "resnet18_b1": (lambda: resnet18(1000), (1, 3, 224, 224)),
    "resnet18_b16": (lambda: resnet18(1000), (16, 3, 224, 224)),
    "squeezenet_b1": (squeezenet, (1, 3, 224, 224)),
    "unet512_b1": (UNet, (1, 3, 512, 512)),
}
