"""What similarities cost, against the products that none can do without.

python -m tests.benchmarks.similarity [results/benchmarks.md]

One BLAS thread, processor time, least of several repeats, so that other work
on the machine matters little. The references are written here from their
formulas: the matrix products alone (at the rate measured in the same run),
google/svcca's three measures, Kornblith's CKA, a minibatch CKA in NumPy, and
permutations. A ratio above 1 is the times that the reference takes of ours,
or, where a target is a most, the times that ours takes of the bound.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

# ruff: noqa: E402
import dataclasses
import itertools
import pathlib
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tests.similarity import oracles
from transfusion_tf import models, similarity
from transfusion_tf.similarity import comparison, layer_stream


def cpu_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Least processor time of several repeats, after one that warms up."""
    best = np.inf
    for _ in range(repeats + 1):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def layer(num_datapoints: int, num_neurons: int, seed: int) -> np.ndarray:
    """A ReLU layer with a shared signal and a decaying spectrum, float32."""
    signal = np.random.default_rng(0).normal(size=(num_datapoints, 64))
    generator = np.random.default_rng(seed + 1)
    mixing = generator.normal(size=(64, num_neurons))
    fading = 2.0 ** -(np.arange(num_neurons) * 4 / num_neurons)
    noise = generator.normal(size=(num_datapoints, num_neurons))
    values = np.maximum(signal @ mixing * fading + noise + 0.5, 0)
    return values.astype(np.float32)


def product_rate() -> float:
    """Floating-point operations a second of float64 matrix products."""
    first, second = (
        np.random.default_rng(k).normal(size=(4096, 1024)) for k in (0, 1)
    )
    return 2 * 4096 * 1024**2 / cpu_seconds(lambda: first.T @ second, 5)


def google_cca(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """google/svcca's coefficients."""
    return oracles.google_svcca(x, y, epsilon=1e-10)


def google_svcca(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """google/svcca's recipe: two decompositions, then coefficients."""
    kept = []
    for side in (x, y):
        centred = (side - side.mean(0)).astype(np.float64)
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
        shares = np.cumsum(values**2) / np.sum(values**2)
        rank = int(np.searchsorted(shares, 0.99)) + 1
        kept.append(left[:, :rank] * values[:rank])
    size = kept[0].shape[1]
    joint = np.cov(kept[0].T, kept[1].T)
    roots = []
    for block in (joint[:size, :size], joint[size:, size:]):
        inverse, vectors = np.linalg.eigh(np.linalg.pinv(block))
        roots.append(vectors * np.sqrt(np.abs(inverse)) @ vectors.T)
    cross = roots[0] @ joint[:size, size:] @ roots[1]
    return np.linalg.svd(cross)[1]


def google_pwcca(x: np.ndarray, y: np.ndarray) -> float:
    """google/svcca's recipe: coefficients, variates, QR, weights."""
    joint = np.cov(x.T, y.T)
    size = x.shape[1]
    roots = []
    for block in (joint[:size, :size], joint[size:, size:]):
        inverse, vectors = np.linalg.eigh(np.linalg.pinv(block))
        roots.append(vectors * np.sqrt(np.abs(inverse)) @ vectors.T)
    left, values, _ = np.linalg.svd(roots[0] @ joint[:size, size:] @ roots[1])
    variates, _ = np.linalg.qr(x.astype(np.float64) @ left)
    weights = np.abs(variates.T @ x).sum(axis=1)
    return float(np.average(values, weights=weights))


def minibatch_cka(batches: list[list[np.ndarray]]) -> np.ndarray:
    """Mean unbiased HSICs of batches in NumPy, pair by pair of Grams."""
    total = 0.0
    for layers in batches:
        grams = []
        for values in layers:
            centred = values.astype(np.float64)
            gram = (centred - centred.mean(0)) @ (centred - centred.mean(0)).T
            np.fill_diagonal(gram, 0.0)
            grams.append(gram.ravel())
        stacked = np.stack(grams)
        n = len(layers[0])
        sums = stacked.reshape(len(layers), n, n).sum(axis=2)
        whole = sums.sum(axis=1)
        total = total + (
            stacked @ stacked.T
            + np.outer(whole, whole) / ((n - 1) * (n - 2))
            - 2 * sums @ sums.T / (n - 2)
        ) / (n * (n - 3))
    size = np.sqrt(np.diag(total))
    return total / np.outer(size, size)


def moments_of(layers: list[tf.Tensor], rows: int) -> similarity.Moments:
    """One pass over batches of so many rows."""
    names = [f"layer{k}" for k in range(len(layers))]
    sizes = {n: x.shape[1] for n, x in zip(names, layers, strict=True)}
    state = similarity.RepresentationMoments(sizes)
    for start in range(0, layers[0].shape[0], rows):
        state.update_state(
            {
                n: x[start : start + rows]
                for n, x in zip(names, layers, strict=True)
            }
        )
    return state.result()


def heat_map(layers: list[tf.Tensor], measures: list[Callable]) -> None:
    """All pairs of layers by several measures, from one state."""
    moments = moments_of(layers, 2500)
    for first, second in itertools.combinations(moments.layers, 2):
        for measure in measures:
            measure(moments, first, second)


class Table:
    """Rows of what was measured, printed as they come."""

    def __init__(self) -> None:
        """Starts an empty table."""
        self.rows: list[tuple[str, str, str, str]] = []

    def add(
        self,
        what: str,
        ratio: float,
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        why: str = "",
    ) -> None:
        """Adds a ratio with its target, and why it is missed if it is."""
        target, is_met = "", True
        if at_most is not None:
            target, is_met = f"at most {at_most:g}", ratio <= at_most
        if at_least is not None:
            target, is_met = f"at least {at_least:g}", ratio >= at_least
        remark = "" if is_met else f"missed: {why}" if why else "missed"
        self.rows.append((what, f"{ratio:.2f}", target, remark))
        print("  ".join(self.rows[-1]), flush=True)

    def write(self, path: str, rate: float) -> None:
        """Writes the table as a page."""
        lines = ["| what | ratio | target | |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in self.rows]
        page = PAGE.format(
            table="\n".join(lines),
            rate=f"{rate / 1e9:.0f}",
            tensorflow=tf.__version__,
            numpy=np.__version__,
            machine=f"{platform.machine()}, {os.cpu_count()} cores",
        )
        pathlib.Path(path).write_text(page)


PAGE = """# What similarities cost

Written by `python -m tests.benchmarks.similarity results/benchmarks.md`,
which says how each row is measured: one BLAS thread, processor time, least of
several repeats, references written from their formulas and run in the same
process. "The products alone" is the time of the float64 matrix products that
no method can do without, at the rate measured in the same run ({rate}
GFLOP/s). Made with TensorFlow {tensorflow}, NumPy {numpy}, on {machine}; no
GPU or TPU was measured.

{table}
"""


def pairs(table: Table, rate: float) -> None:
    """One pair of layers, n=10,000 d=512."""
    n, d = 10_000, 512
    arrays = [layer(n, d, seed) for seed in (0, 1)]
    x, y = map(tf.constant, arrays)
    bound = 2 * n * (2 * d**2) / rate
    ours = cpu_seconds(lambda: similarity.cca(x, y))
    table.add(
        "CCA of a pair / the products alone",
        ours / bound,
        at_most=1.6,
        why="1.56 to 1.71 in several runs; the products take 1.0 of it, "
        "casting, centring and norms 0.2, factors and eigenvalues the rest",
    )
    theirs = cpu_seconds(lambda: google_cca(*arrays), 1)
    table.add("google's CCA of it / the products alone", theirs / bound)
    ours = cpu_seconds(lambda: similarity.svcca(x, y))
    theirs = cpu_seconds(lambda: google_svcca(*arrays), 1)
    table.add(
        "google's SVCCA of it / ours",
        theirs / ours,
        at_least=8,
        why="ours takes 1.7 to 1.9 times the products, which leaves little; "
        "the recipe as written here takes 9 times them, not the 15 for which "
        "the target was set",
    )
    ours = cpu_seconds(lambda: similarity.pwcca(x, y))
    theirs = cpu_seconds(lambda: google_pwcca(*arrays), 1)
    table.add("google's PWCCA of it / ours", theirs / ours, at_least=3)


def heat_maps(table: Table, rate: float) -> None:
    """All pairs of 20 and of 12 layers."""
    n, d, count = 10_000, 256, 20
    layers = [tf.constant(layer(n, d, seed)) for seed in range(count)]
    bound = n * (count * d) ** 2 / rate
    measures = [
        similarity.cca_from_moments,  # Its mean and R2.
        similarity.svcca_from_moments,
        similarity.cka_from_moments,
    ]
    ours = cpu_seconds(lambda: heat_map(layers, measures), 1)
    table.add(
        "all pairs of 20 / the products alone",
        ours / bound,
        at_most=1.45,
        why="collecting takes 1.2, of which the first touch of matrices of "
        "5,120 x 5,120 is a tenth; whitening and eigenvalues the rest",
    )
    n, count = 5_000, 12
    arrays = [layer(n, d, seed) for seed in range(count)]
    layers = list(map(tf.constant, arrays))
    measures += [
        similarity.pwcca_from_moments,
        similarity.procrustes_from_moments,
    ]
    ours = cpu_seconds(lambda: heat_map(layers, measures), 1)
    theirs = 0.0
    for function in (google_cca, google_svcca, google_pwcca):
        theirs += cpu_seconds(lambda f=function: f(*arrays[:2]), 1)
    num_pairs = count * (count - 1) // 2
    table.add(
        "google's three measures, a pair x 66 / all pairs of 12",
        theirs * num_pairs / ours,
        at_least=15,
        why="singular vectors for PWCCA, for which no shortcut is as exact, "
        "are the largest part",
    )
    batch = 250
    batches = [
        [values[start : start + batch] for values in arrays]
        for start in range(0, n, batch)
    ]
    state = similarity.MinibatchCKA([f"layer{k}" for k in range(count)])
    update = tf.function(state.update_state)
    tensors = [
        {f"layer{k}": tf.constant(v) for k, v in enumerate(values)}
        for values in batches
    ]
    ours = cpu_seconds(lambda: [update(values) for values in tensors])
    theirs = cpu_seconds(lambda: minibatch_cka(batches))
    table.add(
        "minibatch CKA of 12 / the same in NumPy", ours / theirs, at_most=1.5
    )


def null_levels(table: Table) -> None:
    """Null level and p-value of a cell, n=1,000 d=256."""
    n, d = 1_000, 256
    x, y = (layer(n, d, seed).astype(np.float64) for seed in (0, 1))
    moments = moments_of([tf.constant(x), tf.constant(y)], n)
    ours = cpu_seconds(
        # Anew: what is of one layer is remembered otherwise.
        lambda: similarity.cka_from_moments(
            dataclasses.replace(moments), "layer0", "layer1"
        ),
        20,
    )
    x, y = x - x.mean(0), y - y.mean(0)
    generator = np.random.default_rng(0)

    def permutations() -> None:
        for _ in range(200):
            np.sum((x.T @ y[generator.permutation(n)]) ** 2)

    theirs = cpu_seconds(permutations, 1)
    table.add(
        "200 permutations / a cell with its null", theirs / ours, at_least=20
    )


def capture(table: Table, name: str, spatial: str) -> None:
    """All stages of a network over 256 images against the forward pass."""
    staged = models.build(name, num_outputs=5, image_shape=(96, 96, 3))
    models_of, sides = comparison._sides(
        staged.model, None, [stage.output for stage in staged.stages], None
    )
    stream = layer_stream.LayerStream(
        models_of,
        sides,
        comparison._all_pairs,
        spatial=spatial,
        max_positions=8,
        max_neurons=64,
        seed=0,
        num_blocks=1,
        num_batches=8,
        keep_rows=False,
        max_gigabytes=4.0,
    )
    forward = tf.function(lambda images: staged.model(images, training=False))
    batches = [
        tf.random.stateless_normal([32, 96, 96, 3], [0, k]) for k in range(8)
    ]
    ours = cpu_seconds(lambda: list(map(stream.update, batches)))
    theirs = cpu_seconds(lambda: list(map(forward, batches)))
    table.add(
        f"{name} with moments of its stages ({spatial}) / without",
        ours / theirs,
        at_most=1.25,
        why="a state for each grid of positions, updated outside of the "
        "graph of the forward pass",
    )


MEMORY = """
import resource, sys
import numpy as np
import tensorflow as tf
from transfusion_tf import similarity
state = similarity.RepresentationMoments({"a": 1536, "b": 1536})
generator = np.random.default_rng(0)
for _ in range(int(sys.argv[1]) // 500):
    rows = generator.normal(size=(500, 3072)).astype(np.float32)
    state.update_state({"a": rows[:, :1536], "b": rows[:, 1536:]})
state.result()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(table: Table) -> None:
    """Peak memory at D=3,072 of 5,000 and 50,000 images."""
    peaks = []
    for count in (5_000, 50_000):
        process = subprocess.run(
            [sys.executable, "-c", MEMORY, str(count)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(process.stdout))
    table.add(
        "peak of 50,000 images / of 5,000", peaks[1] / peaks[0], at_most=1.1
    )
    print(f"  (the peaks: {peaks[0] / 1e6:.2f} and {peaks[1] / 1e6:.2f} GB)")


def main() -> None:
    """Prints a line a row of the table."""
    warnings.simplefilter("ignore")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rate = product_rate()
    print(f"float64 products: {rate / 1e9:.1f} GFLOP/s a thread", flush=True)
    table = Table()
    pairs(table, rate)
    heat_maps(table, rate)
    null_levels(table)
    # The grids of CBR networks do not divide one another.
    capture(table, "cbr_large_t", "average")
    capture(table, "efficientnet_lite0", "positions")
    memory(table)
    if len(sys.argv) > 1:
        table.write(sys.argv[1], rate)


if __name__ == "__main__":
    main()
