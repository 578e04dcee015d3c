"""How much a trained network needs what a stage has learnt.

A stage's weights are put back to their step-0 values, or drawn anew, and the
network is scored again. Where the score stays, the stage is robust; where it
falls to chance, critical.

Source: Zhang, Bengio and Singer 2022, "Are all layers created equal?".
"""

import dataclasses

from transfusion_tf import initialization
from transfusion_tf.analysis import comparison_request
from transfusion_tf.analysis import network as network_lib

MODES = ("initial", "random")
# Added to the run's seed: another draw than the one it began with.
_OTHER_SEED = 1_000_003


@dataclasses.dataclass(frozen=True)
class StageReset:
    """The score of a network of which one stage was reset.

    Attributes:
        stage: The stage; "" for the network as it was trained.
        score: The task's metric.
    """

    stage: str
    score: float


def reinitialize_stages(
    network: network_lib.Network, *, mode: str, split: str = "test"
) -> list[StageReset]:
    """Resets one stage after the other, each alone, and scores.

    Args:
        network: Of a finished run.
        mode: "initial" puts a stage back to what it was at step 0; "random"
            draws it by its own initializers, with another seed.
        split: What is scored.

    Returns:
        The network as trained, then each stage, in model order.

    Raises:
        FileNotFoundError: If the run kept no weights of step 0 or the last.
        ValueError: If there is no such mode.
    """
    if mode not in MODES:
        raise ValueError(
            f"A stage is reset to what it was, or drawn. Received: mode="
            f"{mode!r}. Use one of {', '.join(MODES)}."
        )
    last = comparison_request.Checkpoint(network.run, network.last_step)
    trained = network.weights(last)
    if mode == "initial":
        other = network.weights(comparison_request.Checkpoint(network.run, 0))
    else:
        seed = network.run.config()["config"]["seed"] + _OTHER_SEED
        staged = network.program.staged
        initialization.initialize(staged, "random", seed=seed)
        other = {k: v.numpy() for k, v in staged.variables().items()}
    metric = network.data.task.metric
    resets = []
    for stage in ("", *network.stage_names):
        weights = {
            key: other[key] if network.stage_of(key) == stage else value
            for key, value in trained.items()
        }
        score = network.score(weights, split)[metric]
        resets.append(StageReset(stage, float(score)))
    return resets
