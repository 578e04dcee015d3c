"""What each stage of a network tells of the labels, without a head.

Images are given the labels of the training images whose features, averaged
over positions, point in the nearest directions. Features that tell the labels
apart at step 0 were brought along by the initialization; what is gained by the
last step was learnt.

Source: Matsoukas et al. 2022, "What makes transfer learning work for medical
    images" (layer-wise k-nearest neighbours).
"""

import dataclasses

import numpy as np
from sklearn.neighbors import NearestNeighbors

from transfusion_tf import evaluation
from transfusion_tf.analysis import comparison_request
from transfusion_tf.analysis import network as network_lib


@dataclasses.dataclass(frozen=True)
class StageNeighbors:
    """How well a stage's neighbours tell the labels.

    Attributes:
        stage: The stage.
        initial: The task's metric with the features of step 0.
        trained: The same with those of the last step.
    """

    stage: str
    initial: float
    trained: float


def score_neighbors(
    network: network_lib.Network,
    *,
    num_neighbors: int = 20,
    split: str = "test",
) -> list[StageNeighbors]:
    """Scores a split by the nearest training images, stage by stage.

    Batch norm uses the moving statistics that were kept with the weights.

    Args:
        network: Of a finished run.
        num_neighbors: Training images that vote, at least 1.
        split: What is scored; "train" is refused, its images would vote for
            themselves.

    Returns:
        A score before and after training for each stage, in model order.

    Raises:
        FileNotFoundError: If the run kept no weights of step 0 or the last.
        ValueError: If there are fewer training images than neighbours, or
            the train split is to be scored.
    """
    num_images = network.data.train.split.num_examples
    if not 1 <= num_neighbors <= num_images:
        raise ValueError(
            "Neighbours are training images. Received: num_neighbors="
            f"{num_neighbors}, and there are {num_images} training images. "
            "Use 20, or fewer on a smaller set."
        )
    if split == "train":
        raise ValueError(
            "Training images would be their own neighbours. Received: split="
            "'train'. Use validation or test."
        )
    by_step = []
    for step in (0, network.last_step):
        # Read into the network, whose means are taken.
        network.weights(comparison_request.Checkpoint(network.run, step))
        known, asked = (
            network.program.stage_means(reader, reader.split.num_examples)
            for reader in map(network.data.reader, ("train", split))
        )
        by_step.append(
            {
                stage: _score(
                    network, features, asked[stage], split, num_neighbors
                )
                for stage, features in known.items()
            }
        )
    return [
        StageNeighbors(stage, by_step[0][stage], by_step[1][stage])
        for stage in network.stage_names
    ]


def vote(
    known: np.ndarray,
    labels: np.ndarray,
    asked: np.ndarray,
    *,
    num_neighbors: int,
) -> np.ndarray:
    """Gives each image the mean label of its nearest neighbours.

    Args:
        known: Features of the images that vote, `[num_known, num_neurons]`.
        labels: Their labels, `[num_known, num_labels]` in [0, 1]; NaN where
            unknown, which does not vote.
        asked: Features of the others, `[num_asked, num_neurons]`.
        num_neighbors: How many vote, 1 to `num_known`; nearness is the
            cosine between features.

    Returns:
        float64 `[num_asked, num_labels]` in [0, 1]; where no neighbour's
        label is known, the mean of all.

    Example:
    >>> vote(np.eye(2), np.array([[0.0], [1.0]]), np.array([[0.1, 2.0]]),
    ...      num_neighbors=1)
    array([[1.]])
    """
    nearest = NearestNeighbors(n_neighbors=num_neighbors, metric="cosine")
    places = nearest.fit(known).kneighbors(asked, return_distance=False)
    votes = labels[places]
    counts = np.sum(~np.isnan(votes), axis=1)
    mean = np.nansum(votes, axis=1) / np.maximum(counts, 1)
    return np.where(counts > 0, mean, np.nanmean(labels, axis=0))


def _score(
    network: network_lib.Network,
    known: np.ndarray,
    asked: np.ndarray,
    split: str,
    num_neighbors: int,
) -> float:
    task_data = network.data
    labels = task_data.labels(task_data.train)
    if task_data.task.kind == "classes":
        columns = np.eye(task_data.num_outputs)[labels]
    else:
        columns = np.where(labels == evaluation.UNKNOWN, np.nan, labels)
    columns = columns.reshape(len(labels), -1)
    score = vote(known, columns, asked, num_neighbors=num_neighbors)
    reader = task_data.reader(split)
    if task_data.task.kind == "grades":
        score = score[:, 0]
    predictions = task_data.scored(reader, reader.split.example_ids, score)
    return float(task_data.score(predictions)[task_data.task.metric])
