"""California housing: Graticule against scikit-learn on the same split, in one run.

    pip install scikit-learn pandas numpy
    python benchmarks/housing.py path/to/housing.csv [--binary target/release/graticule]

Prints test R² and seconds of `graticule train`, of MLPRegressor (defaults, and with the same hidden layers)
and of RandomForestRegressor. The split is Graticule's, written by `graticule data split`.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import r2_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TARGET = "median_house_value"


def peers():
    mlp = dict(early_stopping=True, random_state=0)
    yield "RandomForestRegressor", RandomForestRegressor(n_jobs=2, random_state=0)
    yield "MLPRegressor, its defaults", MLPRegressor(max_iter=500, random_state=0)
    yield "MLPRegressor 64-64, early stopping", MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=500, **mlp)


def prepare(columns):
    numeric = [c for c in columns if c != "ocean_proximity"]
    return ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
        ("categories", OneHotEncoder(handle_unknown="ignore"), ["ocean_proximity"]),
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv")
    parser.add_argument("--binary", default="target/release/graticule")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    binary = str(Path(args.binary).resolve())
    source = str(Path(args.csv).resolve())
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        splits = str(Path(folder) / "splits.csv")
        subprocess.run([binary, "-q", "data", "split", source, "--target", TARGET, "-o", splits], check=True,
                       stdout=subprocess.DEVNULL)
        roles = pd.read_csv(splits)["split"].to_numpy()
        for seed in range(1, args.seeds + 1):
            command = [binary, "--json", "-q", "train", source, "--target", TARGET, "--splits", splits,
                       "--seed", str(seed), "--runs", folder]
            start = time.time()
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rows.append((f"graticule train, seed {seed}", find(result, "r2"), time.time() - start))
    table = pd.read_csv(source)
    x, y = table.drop(columns=TARGET), table[TARGET]
    fitted, held_out = roles != "test", roles == "test"
    for name, model in peers():
        scaled = TransformedTargetRegressor(model, transformer=StandardScaler())
        start = time.time()
        pipeline = make_pipeline(prepare(x.columns), scaled).fit(x[fitted], y[fitted])
        rows.append((name, r2_score(y[held_out], pipeline.predict(x[held_out])), time.time() - start))
    print(f"{'':40} {'test R²':>8} {'seconds':>8}")
    for name, score, seconds in rows:
        print(f"{name:40} {score:8.4f} {seconds:8.1f}")
    ours = [score for name, score, _ in rows if name.startswith("graticule")]
    print(f"graticule, mean of {len(ours)} seeds: {np.mean(ours):.4f}")


def find(result, key):
    """The test score, wherever the JSON keeps it."""
    if isinstance(result, dict):
        for name, value in result.items():
            if name in (key, "r_squared") and isinstance(value, (int, float)):
                return value
            found = find(value, key)
            if found is not None:
                return found
    if isinstance(result, list):
        for value in result:
            found = find(value, key)
            if found is not None:
                return found
    return None


if __name__ == "__main__":
    main()
