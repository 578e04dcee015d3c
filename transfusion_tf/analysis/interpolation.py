"""Whether two trained networks lie in one basin of the loss.

Networks on the straight line between two are scored. Where the score falls
between them there is a barrier; runs from the same pretrained weights have
none, runs from different random weights do.

Source: Neyshabur, Sedghi and Zhang 2020, "What is being transferred in
    transfer learning?".
"""

import dataclasses

import numpy as np

from transfusion_tf.analysis import comparison_request
from transfusion_tf.analysis import network as network_lib


@dataclasses.dataclass(frozen=True)
class LinePoint:
    """The score of a network on the line.

    Attributes:
        weight: Share of the second network, in [0, 1].
        score: The task's metric.
    """

    weight: float
    score: float


def interpolate(
    network: network_lib.Network,
    first: comparison_request.Checkpoint,
    second: comparison_request.Checkpoint,
    *,
    num_points: int = 11,
    split: str = "test",
) -> list[LinePoint]:
    """Scores networks on the line between two checkpoints.

    Batch norm's moving statistics lie on the line too.

    Args:
        network: Of the architecture of both, and of the data to score on.
        first: One end.
        second: The other end.
        num_points: How many, both ends included; at least 2.
        split: What is scored.

    Returns:
        The points in order of `weight`.

    Raises:
        FileNotFoundError: If a run did not keep the weights.
        ValueError: If there are fewer than two points.
    """
    if num_points < 2:
        raise ValueError(
            "A line has two ends. Received: num_points="
            f"{num_points}. Use 2 or more; 11 is usual."
        )
    start, end = network.weights(first), network.weights(second)
    metric = network.data.task.metric
    points = []
    for weight in np.linspace(0.0, 1.0, num_points):
        between = {
            key: (1.0 - weight) * value + weight * end[key]
            for key, value in start.items()
        }
        score = network.score(between, split)[metric]
        points.append(LinePoint(float(weight), float(score)))
    return points
