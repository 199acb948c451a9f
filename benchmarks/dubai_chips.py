"""Cuts the aerial images of Dubai (semantic segmentation, tiles 1, 2, 4, 5, 7) into chips of one class each.

    python benchmarks/dubai_chips.py dubai-aerial-seg/ chips/
    graticule train chips/ --splits chips/splits.csv --per-class 20 ...

A chip has 48x48 pixels, of which at least 60 % are of its class. Tiles are separate places, so they are the split: 4 and 7
for training, 5 for validation, 1 and 2 for the test. At most 200 chips a class for training and 60 for the others are kept,
evenly over all there are. Needs Pillow and NumPy.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, SHARE = 48, 0.6
COLOURS = {"building": 0x3C1098, "land": 0x8429F6, "road": 0x6EC1E4, "vegetation": 0xFEDD3A, "water": 0xE2A929}
ROLES = {"tile4": "train", "tile7": "train", "tile5": "val", "tile1": "test", "tile2": "test"}
MOST = {"train": 200, "val": 60, "test": 60}


def chips(mask_path):
    """(class, row, column) of every chip of one mask."""
    mask = np.asarray(Image.open(mask_path).convert("RGB")).astype(int)
    code = mask @ np.array([1 << 16, 1 << 8, 1])
    for y in range(0, code.shape[0] - SIDE + 1, SIDE):
        for x in range(0, code.shape[1] - SIDE + 1, SIDE):
            for name, colour in COLOURS.items():
                if (code[y : y + SIDE, x : x + SIDE] == colour).mean() >= SHARE:
                    yield name, y, x


def main(source, target):
    found = {}
    for mask in sorted(source.glob("tile*/masks/*.png")):
        tile = mask.parent.parent.name
        image = next((mask.parent.parent / "images").glob(mask.stem + ".*"))
        for name, y, x in chips(mask):
            found.setdefault((ROLES[tile], name), []).append((image, tile, y, x))
    rows = []
    for (role, name), all_of_class in sorted(found.items()):
        step = max(1, len(all_of_class) / MOST[role])
        kept = [all_of_class[int(k * step)] for k in range(min(MOST[role], len(all_of_class)))]
        (target / name).mkdir(parents=True, exist_ok=True)
        for image, tile, y, x in kept:
            file = target / name / f"{tile}_{image.stem}_{y}_{x}.png"
            Image.open(image).convert("RGB").crop((x, y, x + SIDE, y + SIDE)).save(file)
            rows.append((f"{name}/{file.name}", role))
        print(f"{role:5} {name:10} {len(kept)}")
    with open(target / "splits.csv", "w", newline="") as out:
        csv.writer(out).writerows([("file", "split"), *rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
