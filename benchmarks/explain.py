"""Explanations of pictures: Graticule beside Captum, in turn, in one run.

    pip install torch captum
    python benchmarks/explain.py [--pictures 1000] [--threads 2] [--rounds 3]

`cnn-small` (seven convolutions with batch norm and ReLU) on made-up pictures of 64x64x3, ten classes. Both sides hold pictures
and maps in memory; batches of 64; each is a process of its own. Prints the least of all rounds in seconds: other work on
the machine makes times longer, never shorter.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Pictures of the methods that run the network more than once for each are fewer by this.
METHODS = {"gradient": 1, "integrated": 50, "occlusion": 50, "grad-cam": 1}


def graticule(method, pictures, threads):
    command = ["cargo", "run", "--release", "--quiet", "-p", "graticule-explain", "--example", "speed", "--"]
    told = subprocess.run([*command, method, str(pictures), str(threads)], cwd=ROOT, check=True, capture_output=True, text=True)
    return [float(line) for line in told.stdout.split()]


def captum(method, pictures, threads):
    sys.path.insert(0, str(ROOT / "tests" / "golden"))
    import absent_matplotlib  # noqa: F401
    import torch
    from captum.attr import IntegratedGradients, LayerGradCam, Occlusion, Saliency
    from torch import nn

    torch.set_num_threads(threads)
    layers, channels = [], 3
    for stage, width in enumerate([32, 64, 128, 256]):
        for k in range(1 if stage == 0 else 2):
            if stage > 0 and k == 0:
                layers.append(nn.MaxPool2d(2))
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
    last = layers[-1]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)).eval()
    network = network.to(memory_format=torch.channels_last)
    x = torch.randn(pictures, 3, 64, 64).to(memory_format=torch.channels_last)
    ways = {
        "gradient": lambda x: Saliency(network).attribute(x, target=0).amax(1),
        "integrated": lambda x: IntegratedGradients(network).attribute(x, target=0, n_steps=50, internal_batch_size=64),
        "occlusion": lambda x: Occlusion(lambda x: network(x).softmax(1)).attribute(
            x, target=0, sliding_window_shapes=(3, 12, 12), strides=(3, 6, 6), perturbations_per_eval=64 // len(x) or 1
        ),
        "grad-cam": lambda x: LayerGradCam(network, last).attribute(x, target=0),
    }
    for _ in range(3):
        began = time.perf_counter()
        with torch.set_grad_enabled(method != "occlusion"):
            for part in x.split(64):
                ways[method](part)
        print(f"{time.perf_counter() - began:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--captum", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.captum:
        return captum(given.captum, given.pictures, given.threads)
    print(f"{'method':12} {'pictures':>8} {'Graticule':>10} {'Captum':>10} {'ratio':>6}")
    for method, fewer in METHODS.items():
        pictures = max(1, given.pictures // fewer)
        ours, theirs = [], []
        for _ in range(given.rounds):
            ours += graticule(method, pictures, given.threads)
            again = [sys.executable, __file__, "--captum", method, "--pictures", str(pictures), "--threads", str(given.threads)]
            told = subprocess.run(again, check=True, capture_output=True, text=True)
            theirs += [float(line) for line in told.stdout.split()]
        a, b = min(ours), min(theirs)
        print(f"{method:12} {pictures:8} {a:10.3f} {b:10.3f} {b / a:6.2f}")


if __name__ == "__main__":
    main()
