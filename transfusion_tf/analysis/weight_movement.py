"""How far each layer's weights moved between two checkpoints.

Source: the appendix of the paper; Neyshabur et al. 2020 between two runs.
"""

import dataclasses

import numpy as np

from transfusion_tf.analysis import comparison_request
from transfusion_tf.analysis import network as network_lib


@dataclasses.dataclass(frozen=True)
class Movement:
    """The distance of one variable.

    Attributes:
        variable: Its key, `"layer/variable"`.
        stage: Its stage, or `head`.
        distance: L2 norm of the difference, at least 0.
        relative: `distance` over the L2 norm of the first checkpoint's value;
            `None` where that is zero: of nothing there is no share.
    """

    variable: str
    stage: str
    distance: float
    relative: float | None


def weight_movement(
    network: network_lib.Network,
    first: comparison_request.Checkpoint,
    second: comparison_request.Checkpoint,
) -> list[Movement]:
    """Measures how far each variable is from where it was.

    Args:
        network: Of the architecture of both.
        first: Where from; step 0 of a run, for example.
        second: Where to.

    Returns:
        One movement a variable, moving statistics left out, in model order.

    Raises:
        FileNotFoundError: If a run did not keep the weights.
    """
    before, after = network.weights(first), network.weights(second)
    movements = []
    for key, start in before.items():
        if "/moving_" in key:
            continue
        difference = after[key].astype(np.float64) - start
        distance = float(np.linalg.norm(difference))
        size = float(np.linalg.norm(start.astype(np.float64)))
        relative = distance / size if size else None
        movements.append(
            Movement(key, network.stage_of(key), distance, relative)
        )
    return movements
