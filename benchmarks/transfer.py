"""Runs `graticule train … --transfer compare` with several seeds and says mean and spread of each row.

    python benchmarks/transfer.py target/release/graticule 3 photos/ --splits splits.csv --per-class 20 \\
        --model efficientnet-lite0 --weights efficientnet-lite0.pth --image-size 96 --epochs 10

The row that each run's validation samples choose is compared with the best from scratch, chosen likewise, and with
training from scratch for the same processor time. The report of each run shows its own table and bars.
"""

import json
import subprocess
import sys
from statistics import mean


def best(rows, pretrained):
    rows = [r for r in rows if r["pretrained"] == pretrained]
    return max(rows, key=lambda r: (r["validation"] or 0, -r.get("processor_seconds", r["seconds"])))


def told(values, digits=1):
    return f"{mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main(program, seeds, *arguments):
    seen, chosen, scratch, as_long = {}, [], [], []
    for seed in range(1, int(seeds) + 1):
        command = [program, "train", *arguments, "--transfer", "compare", "--seed", str(seed), "--json", "--quiet"]
        rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["starts"]["rows"]
        for row in rows:
            name = "from scratch for the time of the choice" if ", time of " in row["name"] else row["name"]
            seen.setdefault(name, []).append(row)
        chosen.append(best(rows, True))
        scratch.append(best(rows, False))
        as_long.append(rows[-1])
    print("| training | test score, % | validation, % | processor seconds |\n|---|---|---|---|")
    seen |= {"chosen by validation": chosen, "from scratch, chosen by validation": scratch}
    for name, rows in seen.items():
        scores = told([100 * r["score"] for r in rows])
        validation = told([100 * (r["validation"] or 0) for r in rows])
        print(f"| {name} | {scores} | {validation} | {told([r.get('processor_seconds', r['seconds']) for r in rows])} |")
    ahead = [100 * (a["score"] - b["score"]) for a, b in zip(chosen, as_long)]
    print(f"ahead of training from scratch for the same time: {told(ahead)} points")


if __name__ == "__main__":
    main(*sys.argv[1:])
