"""Makes tests/golden/planes.json again: principal components and t-SNE of small clouds, by scikit-learn.

    pip install scikit-learn numpy
    python tests/golden/planes.py
"""

import json
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

RANDOM = np.random.default_rng(36)


def tensor(values, digits=12):
    values = np.asarray(values, dtype=np.float64)
    return {"shape": list(values.shape), "data": [float(f"{v:.{digits}g}") for v in values.reshape(-1)]}


def components(points):
    """Each axis with its largest number positive."""
    found = PCA(3, svd_solver="full").fit(points)
    signs = np.sign(found.components_[np.arange(3), np.abs(found.components_).argmax(1)])[:, None]
    axes = found.components_ * signs
    return {
        "points": tensor(points),
        "axes": tensor(axes),
        "variances": tensor(found.explained_variance_),
        "shares": tensor(found.explained_variance_ratio_),
        "places": tensor((points - found.mean_) @ axes.T),
    }


def blobs():
    """Three blobs of 60 points in ten dimensions, whose centres lie 6 to 7 deviations apart."""
    centres = np.zeros((3, 10))
    centres[0, 0], centres[1, 1], centres[2, 2] = 5, 4.5, 4
    points = (np.repeat(centres, 60, axis=0) + RANDOM.standard_normal((180, 10))).round(3)
    divergences = {}
    for perplexity in [10, 30]:
        found = TSNE(perplexity=perplexity, method="exact", init="pca", random_state=0).fit(points)
        divergences[str(perplexity)] = float(found.kl_divergence_)
    return {"points": tensor(points), "divergences": divergences}


tall = (RANDOM.standard_normal((12, 5)) * [3, 2, 1, 0.5, 0.1] + 4).round(3)
wide = RANDOM.standard_normal((6, 11)).round(3)
golden = {"tall": components(tall), "wide": components(wide), "blobs": blobs()}
path = Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print(path, path.stat().st_size, golden["blobs"]["divergences"])
