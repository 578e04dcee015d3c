"""Over which devices and machines a run is spread."""

import contextlib
import functools
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.training import interruption

NAMES = ("default", "mirrored", "multi_worker", "tpu")

# Steps or batches between two questions whether a worker was asked to stop.
_ASK_EVERY = 10
_ADVICE = (
    "Use --strategy=default on one device, or --num_cpu_devices=2 to try "
    "mirrored without GPUs."
)
_CLUSTER_EXAMPLE = (
    'TF_CONFIG=\'{"cluster": {"worker": ["host1:12345", "host2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}\''
)


@functools.cache
def make_strategy(name: str, tpu: str = "local") -> tf.distribute.Strategy:
    """Returns the distribution strategy of this name, one for a process.

    Several workers and TPUs must be asked for before TensorFlow computes
    anything: `prepare_runtime` does. Workers are found by `TF_CONFIG`, or by
    Slurm's variables where that is not set; the call returns when all of them
    are there.

    Args:
        name: "default" (one device), "mirrored" (all GPUs of this machine, or
            all its logical CPU devices where there is no GPU), "multi_worker"
            (one such process on each of several machines) or "tpu".
        tpu: Name or address of the TPU; "local" on its own machine.

    Raises:
        ValueError: If there is no such strategy, it needs devices that are
            not here, or `TF_CONFIG` cannot be read.

    Example:
    >>> make_strategy("default").num_replicas_in_sync
    1
    """
    match name:
        case "default":
            return tf.distribute.get_strategy()
        case "mirrored":
            return _mirrored()
        case "multi_worker":
            return _multi_worker()
        case "tpu":
            return _tpu(tpu)
    raise ValueError(
        f"There is no such strategy. Received: strategy={name!r}. Use one of "
        f"{', '.join(NAMES)}."
    )


def num_workers(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of processes that train together."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return 1
    jobs = resolver.cluster_spec().as_dict()
    return max(1, sum(len(jobs.get(job, ())) for job in ("chief", "worker")))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Tells whether this process is the one that writes the records."""
    if num_workers(strategy) == 1:
        return True
    resolver = strategy.cluster_resolver
    has_chief = "chief" in resolver.cluster_spec().jobs
    first = ("chief", 0) if has_chief else ("worker", 0)
    return (resolver.task_type, resolver.task_id) == first


def describe(strategy: tf.distribute.Strategy) -> dict[str, int]:
    """Returns what a run records of its strategy.

    Example:
    >>> describe(make_strategy("default"))
    {'num_replicas': 1, 'num_workers': 1}
    """
    return {
        "num_replicas": strategy.num_replicas_in_sync,
        "num_workers": num_workers(strategy),
    }


def gathered(
    strategy: tf.distribute.Strategy, values: Sequence[int]
) -> npt.NDArray[np.int64]:
    """Returns what each worker holds; all of them must call it.

    Args:
        strategy: The strategy.
        values: As many numbers on every worker.

    Returns:
        int64 `[num_replicas, num_values]`, the chief's first.

    Example:
    >>> gathered(make_strategy("default"), [3, 5])
    array([[3, 5]])
    """
    row = tf.constant([list(values)], tf.int64)
    return _gather(strategy)(row).numpy()


@functools.cache
def _gather(strategy: tf.distribute.Strategy) -> Callable[..., tf.Tensor]:
    def of_all(row: tf.Tensor) -> tf.Tensor:
        return strategy.gather(strategy.run(tf.identity, (row,)), axis=0)

    return tf.function(of_all, autograph=False)


def check_workers_agree(
    strategy: tf.distribute.Strategy, facts: Mapping[str, Any]
) -> None:
    """Checks that all workers were told the same.

    Args:
        strategy: The strategy.
        facts: What must be equal, by name; the same names on every worker.

    Raises:
        ValueError: If workers differ; the same on all of them. The message
            names what differs.
    """
    if num_workers(strategy) == 1:
        return
    rows = gathered(strategy, [_fingerprint(fact) for fact in facts.values()])
    differs = (rows != rows[0]).any(axis=0)
    if differs.any():
        named = [
            f"{name}={fact!r} here"
            for (name, fact), is_other in zip(
                facts.items(), differs, strict=True
            )
            if is_other
        ]
        raise ValueError(
            "The workers do not agree. Received: different "
            f"{', '.join(named)}. Start all of them with the same flags, on "
            "the same prepared data, and with a run directory that all of "
            "them see."
        )


def is_stop_agreed(
    strategy: tf.distribute.Strategy,
    request: interruption.StopRequest,
    count: int = 0,
) -> bool:
    """Tells whether to stop; all workers must call it, and stop together.

    Args:
        strategy: The strategy.
        request: What this worker was asked.
        count: Number of the step or batch, the same on every worker: they ask
            one another at every tenth.

    Returns:
        Whether any worker was asked to, the same on all of them.

    Example:
    >>> request = interruption.StopRequest()
    >>> is_stop_agreed(make_strategy("default"), request)
    False
    """
    if num_workers(strategy) == 1:
        return request.is_set
    if count % _ASK_EVERY:
        return False
    return bool(gathered(strategy, [request.is_set]).any())


@contextlib.contextmanager
def death_of_others_told(
    strategy: tf.distribute.Strategy, what: str
) -> Iterator[None]:
    """Says of TensorFlow's errors that another worker is gone.

    Args:
        strategy: The strategy that computes inside.
        what: What the workers are at.

    Raises:
        RuntimeError: If another worker has stopped.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if num_workers(strategy) == 1:
            raise  # An object store's, for example.
        raise RuntimeError(
            f"Another worker of {what} has stopped. Received: "
            f"{_reason(error)}. See what it said. Repeat the command on all "
            "workers: what was saved is not done again."
        ) from error


def _reason(error: tf.errors.OpError) -> str:
    """Returns the line that says what happened, behind where it did."""
    where = ("Graph execution error", "Detected at node", " ", "\t")
    lines = str(error).splitlines()
    return next(
        (line for line in lines if line and not line.startswith(where)),
        type(error).__name__,
    )


def _fingerprint(fact: Any) -> int:
    text = json.dumps(fact, sort_keys=True, default=str)
    return int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)


def _mirrored() -> tf.distribute.Strategy:
    strategy = tf.distribute.MirroredStrategy()
    if strategy.num_replicas_in_sync == 1:
        raise ValueError(
            "There is one device to mirror on. Received: strategy='mirrored', "
            f"{len(tf.config.list_logical_devices('GPU'))} GPUs. {_ADVICE}"
        )
    return strategy


def _multi_worker() -> tf.distribute.Strategy:
    if "TF_CONFIG" in os.environ:
        _check_tf_config(os.environ["TF_CONFIG"])
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    elif "SLURM_PROCID" in os.environ and "SLURM_STEP_NODELIST" in os.environ:
        resolver = _slurm_resolver()
    else:
        raise ValueError(
            "It is not known which machines train together. Received: "
            "strategy='multi_worker' without TF_CONFIG, and not under srun. "
            f"Set, for the first of two, {_CLUSTER_EXAMPLE}, or start the "
            "command by srun. On one machine use --strategy=mirrored."
        )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def _slurm_resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    num_gpus = len(tf.config.list_physical_devices("GPU"))
    tasks = max(
        int(count)
        for count in re.findall(
            r"\d+(?=\(x|,|$)", os.environ.get("SLURM_STEP_TASKS_PER_NODE", "1")
        )
    )
    # Where Slurm has dealt out the GPUs already, each task sees its own; the
    # resolver divides by their number, so that without any it is told one.
    each = max(num_gpus, 1)
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        gpus_per_task=each, gpus_per_node=each * tasks, auto_set_gpu=False
    )
    hosts = resolver.cluster_spec().job_tasks("worker")
    ours, here = hosts[resolver.task_id], os.environ.get("SLURMD_NODENAME")
    if here and ours.partition(":")[0] != here:
        # The resolver sorts hosts by name, Slurm node2 before node10.
        raise ValueError(
            "TensorFlow takes the nodes in another order than Slurm. "
            f"Received: task {resolver.task_id} on {here}, which it takes for "
            f"{ours}. Ask for nodes whose names sort like their numbers, or "
            f"set TF_CONFIG in each task: {_CLUSTER_EXAMPLE}."
        )
    return resolver


def _check_tf_config(text: str) -> None:
    """Raises `ValueError` unless `TF_CONFIG` names workers and one of them."""

    def mistake(what: str) -> ValueError:
        return ValueError(
            f"TF_CONFIG {what}. Received: TF_CONFIG={text!r}. Set, for "
            f"example, {_CLUSTER_EXAMPLE}."
        )

    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise mistake(f"is not JSON ({error})") from error
    cluster = content.get("cluster") if isinstance(content, dict) else None
    task = content.get("task") if isinstance(content, dict) else None
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise mistake('has not both "cluster" and "task"')
    unknown = set(cluster) - {"chief", "worker"}
    if unknown or not cluster:
        raise mistake('names other jobs than "chief" and "worker"')
    hosts = cluster.get(task.get("type"))
    if not isinstance(hosts, list):
        raise mistake("has a task of a type that the cluster does not have")
    index = task.get("index")
    if not isinstance(index, int) or not 0 <= index < len(hosts):
        raise mistake(f"has no task of that index among {len(hosts)}")


def _tpu(name: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"There is no such TPU. Received: strategy='tpu', tpu={name!r}: "
            f"{reason} On a TPU's own machine use --tpu=local, with the build "
            "of TensorFlow that came with it; elsewhere --tpu=NAME. "
            f"{_ADVICE}"
        ) from error
