"""Cuts the boxes of BCCD (blood cells under a microscope) into a folder of pictures for each kind of cell.

    python benchmarks/bccd_crops.py bccd/ cells/
    graticule train cells/ --splits cells/splits.csv --per-class 20 ...

A crop is the box made square around its middle, inside the picture. Pictures, not boxes, are divided: those that
splits.csv of the set calls training give training crops, but every fourth of them gives test crops; those that it calls
validation give validation crops. At most 60 crops a kind are kept for validation and for the test, evenly over all there
are. Needs Pillow.
"""

import csv
import sys
import xml.etree.ElementTree as tree
from pathlib import Path

from PIL import Image

SIDE = 64
MOST = {"train": 10**6, "val": 60, "test": 60}


def boxes(annotation):
    """(kind, left, top, side) of every box that has an area and a square inside the picture."""
    root = tree.parse(annotation).getroot()
    width, height = (int(root.find(f"size/{name}").text) for name in ("width", "height"))
    for found in root.iter("object"):
        left, top, right, bottom = (
            int(found.find(f"bndbox/{name}").text) for name in ("xmin", "ymin", "xmax", "ymax")
        )
        side = min(max(right - left, bottom - top), width, height)
        if min(right - left, bottom - top) < 8:
            continue
        x = min(max((left + right - side) // 2, 0), width - side)
        y = min(max((top + bottom - side) // 2, 0), height - side)
        yield found.find("name").text, x, y, side


def main(source, target):
    with open(source / "splits.csv", newline="") as lines:
        roles = {row["image"]: row["split"] for row in csv.DictReader(lines)}
    training = [name for name, role in roles.items() if role == "train"]
    roles |= {name: "test" for name in training[::4]}
    found = {}
    for name, role in roles.items():
        annotation = source / "Annotations" / Path(name).with_suffix(".xml")
        for number, (kind, *box) in enumerate(boxes(annotation)):
            found.setdefault((role, kind), []).append((name, number, box))
    rows = []
    for (role, kind), crops in sorted(found.items()):
        step = max(1, len(crops) / MOST[role])
        kept = [crops[int(k * step)] for k in range(min(MOST[role], len(crops)))]
        (target / kind).mkdir(parents=True, exist_ok=True)
        for name, number, (x, y, side) in kept:
            file = target / kind / f"{Path(name).stem}_{number}.png"
            crop = Image.open(source / "JPEGImages" / name).convert("RGB").crop((x, y, x + side, y + side))
            crop.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(file)
            rows.append((f"{kind}/{file.name}", role))
        print(f"{role:5} {kind:10} {len(kept)}")
    with open(target / "splits.csv", "w", newline="") as out:
        csv.writer(out).writerows([("file", "split"), *rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
