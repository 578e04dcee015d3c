"""The paper's procedure for one stage: sample, correlate, repeat, average."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from transfusion_tf.similarity import moments, sampling, scores

CHANNELS: tuple[str, ...] = ("same", "independent")


@dataclasses.dataclass(frozen=True, eq=False)
class ProtocolResult:
    """Similarity of a stage before and after, with its null level.

    Attributes:
        mean: Mean of `scores`.
        scores: Score of each repeat (CCA: the mean coefficient), at most 1;
            NaN for a constant stage.
        null: Mean of `nulls`.
        nulls: The same score of each repeat with the images of one side
            permuted.
        num_datapoints: Positions in each repeat.
        num_neurons: Channels in each repeat, before and after.
        notes: What a reader of the score must know, each once.
    """

    mean: float
    scores: tuple[float, ...]
    null: float
    nulls: tuple[float, ...]
    num_datapoints: int
    num_neurons: tuple[int, int]
    notes: tuple[str, ...] = ()


def paper_protocol(
    before: npt.ArrayLike,
    after: npt.ArrayLike,
    *,
    num_positions: int = 10_000,
    num_channels: int = 64,
    repeats: int = 5,
    channels: str = "same",
    measure: str = "cca",
    seed: int = 0,
    allow_small_n: bool = False,
) -> ProtocolResult:
    """Scores the activations of one stage as the paper does.

    In each repeat, positions and channels are sampled anew, the same
    positions on both sides. The null level permutes whole images of `after`
    and reads the same positions, so what all images share at a position (the
    border, say) is part of it.

    Args:
        before: Shape `[num_images, height, width, num_channels]` or
            `[num_images, num_channels]`.
        after: Activations on the same images, with an equal grid.
        num_positions: The paper's p; where a stage has fewer positions all
            are taken, and noted.
        num_channels: The paper's d, at most the stage's channels.
        repeats: At least 1.
        channels: "same" for one network before and after training;
            "independent" for two networks, between which the index of a
            channel means nothing.
        measure: One of `MEASURES`; the paper's is "cca". Those with two sides
            take the weights of `before`, or predict `after`.
        seed: Seed of every choice.
        allow_small_n: As in `cca`.

    Returns:
        Scores and null levels, one of each a repeat.

    Raises:
        ValueError: If images, grids or (for "same") channels differ, an
            option is unknown, or `cca` refuses.

    Example:
    >>> images = np.random.default_rng(0).normal(size=[40, 5, 5, 8])
    >>> result = paper_protocol(images, 3 * images + 1, num_positions=500)
    >>> round(result.mean, 6), result.null < 0.3
    (1.0, True)

    Source: appendix on CCA of convolutional layers and Figure 3. The paper's
        p, d and number of repeats are not known to us; these defaults follow
        a published re-implementation.
    """
    _check_options(channels, measure, repeats)
    left, right = sampling.flatten_grid(before), sampling.flatten_grid(after)
    _check_shapes(left, right, channels)
    results: list[scores.Score] = []
    nulls: list[scores.Score] = []
    notes: list[str] = []
    for repeat in range(repeats):
        seeds = np.random.SeedSequence([seed, repeat]).generate_state(4)
        positions = sampling.choose_positions(
            left.shape[0], left.shape[1], num_positions, seed=int(seeds[0])
        )
        columns = _choose_columns(left, right, num_channels, channels, seeds)
        shuffle = np.random.default_rng(seeds[3]).permutation(len(right))
        x = _take(left, positions.image, positions.position, columns[0])
        for images, out in (
            (positions.image, results),
            (shuffle[positions.image], nulls),
        ):
            y = _take(right, images, positions.position, columns[1])
            out.append(
                scores.compute(
                    measure,
                    moments.moments_of_pair(x, y),
                    "x",
                    "y",
                    allow_small_n=allow_small_n,
                )
            )
    num_datapoints = len(positions.image)
    if num_datapoints < num_positions:
        notes.append(
            f"{num_datapoints} positions: all that {left.shape[0]} images have"
        )
    for result in results:
        notes.extend(result.notes)
    return ProtocolResult(
        mean=float(np.mean([r.values for r in results])),
        scores=tuple(r.values for r in results),
        null=float(np.mean([r.values for r in nulls])),
        nulls=tuple(r.values for r in nulls),
        num_datapoints=num_datapoints,
        num_neurons=(len(columns[0]), len(columns[1])),
        notes=tuple(dict.fromkeys(notes)),
    )


def _take(
    grid: npt.NDArray,
    images: npt.NDArray,
    positions: npt.NDArray,
    columns: npt.NDArray,
) -> npt.NDArray:
    return grid[images[:, None], positions[:, None], columns[None, :]]


def _choose_columns(
    left: npt.NDArray,
    right: npt.NDArray,
    num_channels: int,
    channels: str,
    seeds: npt.NDArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    ours = sampling.sample_channels(
        left.shape[2], num_channels, seed=int(seeds[1])
    )
    if channels == "same":
        return ours, ours
    theirs = sampling.sample_channels(
        right.shape[2], num_channels, seed=int(seeds[2])
    )
    return ours, theirs


def _check_options(channels: str, measure: str, repeats: int) -> None:
    scores.check_measures([measure])
    if channels not in CHANNELS:
        raise ValueError(
            f"Unknown choice of channels. Received: channels={channels!r}. "
            f"Choose one of {', '.join(CHANNELS)}."
        )
    if repeats < 1:
        raise ValueError(
            f"There must be a repeat. Received: repeats={repeats}. Use at "
            "least 1."
        )


def _check_shapes(left: npt.NDArray, right: npt.NDArray, channels: str) -> None:
    if left.shape[:2] != right.shape[:2]:
        raise ValueError(
            "Both sides need the same images and grid. Received: "
            f"{left.shape[0]} and {right.shape[0]} images, "
            f"{left.shape[1]} and {right.shape[1]} positions an image. "
            "Average-pool the larger grid to the smaller one first."
        )
    if left.shape[0] < 2:
        raise ValueError(
            "A null level permutes images. Received: "
            f"{left.shape[0]} images. Give at least 2."
        )
    if channels == "same" and left.shape[2] != right.shape[2]:
        raise ValueError(
            "The same channels exist on both sides only in one network. "
            f"Received: {left.shape[2]} and {right.shape[2]} channels, "
            "channels='same'. Use channels='independent'."
        )
