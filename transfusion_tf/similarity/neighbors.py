"""What is not linear: common neighbours, RSA, agreement of predictions."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import scipy.spatial
import scipy.stats
import sklearn.neighbors
import tensorflow as tf

from transfusion_tf.similarity.alignment import AlignmentResult
from transfusion_tf.similarity.inputs import as_arrays

NEIGHBOR_DISTANCES: tuple[str, ...] = ("cosine", "euclidean")
RSA_DISTANCES: tuple[str, ...] = ("correlation", "cosine", "euclidean")
COMPARISONS: tuple[str, ...] = ("spearman", "pearson")

# Distances that differ by less, of the largest, are equal but for rounding.
_TIE = 1e-13


@dataclasses.dataclass(frozen=True)
class PredictionSimilarity:
    """How often two classifiers agree, beside what chance would give.

    Attributes:
        score: Share of datapoints on which they agree, in [0, 1].
        null: The same for independent predictions with the same shares of
            classes, in [0, 1].
        kappa: `(score - null) / (1 - null)` (Cohen): 0 for independent, 1 for
            equal predictions, at least -1; NaN if both always predict one
            class.
        num_datapoints: Datapoints.
        accuracies: Of both, where labels were given.
        errors: The same figures of being right or wrong, where labels were
            given: its `null` is what two classifiers of these accuracies
            share by chance, its `kappa` the error consistency.
        notes: What a reader of the score must know.
    """

    score: float
    null: float
    kappa: float
    num_datapoints: int
    accuracies: tuple[float, float] | None = None
    errors: PredictionSimilarity | None = None
    notes: tuple[str, ...] = ()

    @property
    def disagreement(self) -> float:
        """Share of datapoints on which they disagree, in [0, 1]."""
        return 1.0 - self.score


def mutual_nearest_neighbors(
    x: tf.Tensor,
    y: tf.Tensor,
    num_neighbors: int = 10,
    *,
    distance: str = "cosine",
) -> AlignmentResult:
    """Computes the mean share of nearest neighbours that layers have in common.

    It sees local structure only: the layers may differ by any map that keeps
    who is near whom.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`, any real
            dtype.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        num_neighbors: Neighbours of each datapoint, itself not counted, from
            1 to `num_datapoints - 2`.
        distance: "cosine" (from the origin: rotations and scales do not
            matter, offsets do) or "euclidean" (offsets do not matter either).

    Returns:
        The score, in [0, 1], with its null level `num_neighbors /
        (num_datapoints - 1)`, which is exact for permuted images. NaN if a
        layer is constant or, with "cosine", a datapoint is all zeros. A note
        tells where neighbours are a matter of chance because distances tie.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, or an option
            is out of range.

    Example:
    >>> x = tf.random.stateless_normal([101, 5], seed=[0, 0])
    >>> result = mutual_nearest_neighbors(x, 3.0 * x)
    >>> result.score, result.null
    (1.0, 0.1)

    Source: Huh et al. 2024, arXiv:2405.07987, appendix A.
    """
    _check_option("distance", distance, NEIGHBOR_DISTANCES)
    sides = as_arrays(x, y)
    count = len(sides[0])
    if not 1 <= num_neighbors <= count - 2:
        raise ValueError(
            "Each datapoint has neighbours and others. Received: "
            f"num_neighbors={num_neighbors}, num_datapoints={count}. Use from "
            "1 to num_datapoints - 2 neighbours."
        )
    problems, ties, indices = [], [], []
    for name, side in zip("xy", sides, strict=True):
        problems += _problems(name, side, distance)
        found, tied = _neighbors(side, num_neighbors, distance)
        indices.append(found)
        if tied:
            ties.append(
                f"{name}: {tied} datapoints have no definite {num_neighbors} "
                "neighbours, as distances tie"
            )
    common = [
        len(np.intersect1d(a, b, assume_unique=True))
        for a, b in zip(*indices, strict=True)
    ]
    return AlignmentResult(
        measure="mutual_nearest_neighbors",
        score=float("nan")
        if problems
        else float(np.mean(common)) / num_neighbors,
        num_datapoints=count,
        num_neurons=(sides[0].shape[1], sides[1].shape[1]),
        null=num_neighbors / (count - 1),
        notes=tuple(problems or ties),
    )


def rsa(
    x: tf.Tensor,
    y: tf.Tensor,
    *,
    distance: str = "correlation",
    comparison: str = "spearman",
) -> AlignmentResult:
    """Compares two layers' distances between datapoints (RSA).

    Time and memory grow with the square of the number of datapoints.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`, any real
            dtype, at least 3 datapoints.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        distance: Between two datapoints: "correlation" (1 minus Pearson's
            over neurons), "cosine" or "euclidean".
        comparison: Correlation between the layers' distances: "spearman" or
            "pearson".

    Returns:
        The score, in [-1, 1]; over permutations of images its mean is 0. NaN
        if all distances of a layer are equal, or one is not defined (a
        datapoint that is all zeros for "cosine", the same in all neurons for
        "correlation").

    Raises:
        ValueError: If shapes do not fit, a value is not finite, there are too
            few datapoints, or an option is unknown.

    Example:
    >>> x = tf.random.stateless_normal([40, 5], seed=[0, 0])
    >>> round(rsa(x, 2.0 * x, comparison="pearson").score, 6)
    1.0

    Source: Kriegeskorte, Mur and Bandettini 2008,
        doi:10.3389/neuro.06.004.2008.
    """
    _check_option("distance", distance, RSA_DISTANCES)
    _check_option("comparison", comparison, COMPARISONS)
    sides = as_arrays(x, y)
    count = len(sides[0])
    if count < 3:
        raise ValueError(
            "RSA correlates distances, of which there must be several. "
            f"Received: num_datapoints={count}. Use at least 3 images."
        )
    notes: list[str] = []
    for name, side in zip("xy", sides, strict=True):
        notes += _problems(name, side, distance)
    score = float("nan")
    if not notes:
        distances = [scipy.spatial.distance.pdist(s, distance) for s in sides]
        for name, values in zip("xy", distances, strict=True):
            if np.ptp(values) <= _TIE * values.max():
                notes.append(f"{name}: all distances are equal")
        if not notes:
            score = _correlation(distances[0], distances[1], comparison)
    return AlignmentResult(
        measure="rsa",
        score=score,
        num_datapoints=count,
        num_neurons=(sides[0].shape[1], sides[1].shape[1]),
        null=0.0,
        notes=tuple(notes),
    )


def prediction_similarity(
    predictions_a: npt.ArrayLike,
    predictions_b: npt.ArrayLike,
    labels: npt.ArrayLike | None = None,
) -> PredictionSimilarity:
    """Computes how often two classifiers agree, against chance.

    Good classifiers agree because they are good: read `score` beside `null`,
    or `kappa`. With labels, `errors` asks the same of which images they get
    right.

    Args:
        predictions_a: Predicted classes, shape `[num_datapoints]`, integers
            or booleans; not scores.
        predictions_b: The other's, on the same datapoints.
        labels: The true classes, `[num_datapoints]`, or None.

    Returns:
        Agreement, its baseline, and both for right and wrong.

    Raises:
        ValueError: If shapes differ, there is no datapoint, or values are not
            classes.

    Example:
    >>> result = prediction_similarity([0, 1, 1, 0], [0, 1, 0, 0], [0, 1, 1, 1])
    >>> result.score, result.null, result.kappa
    (0.75, 0.5, 0.5)
    >>> result.accuracies, result.errors.null
    ((0.75, 0.5), 0.5)

    Source: Juodelyte et al. 2023, arXiv:2302.08272; Mania et al. 2019,
        arXiv:1905.12580; kappa of right and wrong, Geirhos et al. 2020,
        arXiv:2006.16736.
    """
    given = {"predictions_a": predictions_a, "predictions_b": predictions_b}
    if labels is not None:
        given["labels"] = labels
    classes = {name: _as_classes(name, v) for name, v in given.items()}
    sizes = {name: len(values) for name, values in classes.items()}
    if len(set(sizes.values())) > 1 or not min(sizes.values()):
        raise ValueError(
            "Predictions must be of the same datapoints. Received: "
            f"num_datapoints={sizes}. Give one class for each datapoint, at "
            "least one."
        )
    first, second = classes["predictions_a"], classes["predictions_b"]
    accuracies = errors = None
    if labels is not None:
        right = [side == classes["labels"] for side in (first, second)]
        accuracies = (float(right[0].mean()), float(right[1].mean()))
        errors = prediction_similarity(*right)
    score = float(np.mean(first == second))
    shares = [
        [np.mean(side == one) for side in (first, second)]
        for one in np.union1d(first, second)
    ]
    null = float(sum(a * b for a, b in shares))
    # Only where both always predict one and the same class.
    is_undefined = len(shares) == 1
    return PredictionSimilarity(
        score=score,
        null=null,
        kappa=float("nan") if is_undefined else (score - null) / (1.0 - null),
        num_datapoints=len(first),
        accuracies=accuracies,
        errors=errors,
        notes=("both always predict the same class",) if is_undefined else (),
    )


def _check_option(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(
            f"Unknown {name}. Received: {name}={value!r}. "
            f"Choose one of {', '.join(known)}."
        )


def _problems(
    name: str, side: npt.NDArray[np.float64], distance: str
) -> list[str]:
    """Says why a layer's distances are not defined."""
    if (side == side[0]).all():
        return [f"{name}: a constant layer has no distances"]
    if distance == "euclidean":
        return []
    reference = side[:, :1] if distance == "correlation" else 0.0
    count = int((side == reference).all(axis=1).sum())
    what = "the same in all neurons" if distance == "correlation" else "zeros"
    return [f"{name}: {count} datapoints are {what}"] if count else []


def _neighbors(
    side: npt.NDArray[np.float64], num_neighbors: int, distance: str
) -> tuple[npt.NDArray[np.int64], int]:
    """Neighbours `[num_datapoints, num_neighbors]`; rows where they tie."""
    scale, power = 1.0, 1
    if distance == "euclidean":
        # Their squares come from products, which a large offset would swamp.
        side = side - side.mean(axis=0)
        scale, power = np.square(side).sum(axis=1).max(), 2
    search = sklearn.neighbors.NearestNeighbors(
        n_neighbors=num_neighbors + 1, metric=distance, algorithm="brute"
    )
    # Without an argument, no datapoint is its own neighbour.
    distances, indices = search.fit(side).kneighbors()
    beyond = distances[:, -1] ** power - distances[:, -2] ** power
    return indices[:, :num_neighbors], int((beyond <= _TIE * scale).sum())


def _correlation(
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
    comparison: str,
) -> float:
    if comparison == "spearman":
        return float(scipy.stats.spearmanr(first, second).statistic)
    return float(scipy.stats.pearsonr(first, second).statistic)


def _as_classes(name: str, values: npt.ArrayLike) -> npt.NDArray:
    classes = np.asarray(values)
    if classes.ndim != 1 or classes.dtype.kind not in "biu":
        raise ValueError(
            f"Classes are integers or booleans, one a datapoint. Received: "
            f"{name} of dtype {classes.dtype} and shape {classes.shape}. "
            "Threshold scores, or take their argmax, first."
        )
    return classes
