"""What a run was made with, and settings that must precede TensorFlow's."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

import keras
import tensorflow as tf

from transfusion_tf.training import strategies

_PACKAGES = (
    "tensorflow",
    "keras",
    "tensorflow-datasets",
    "numpy",
    "scipy",
    "scikit-learn",
    "transfusion_tf",
)


def prepare_runtime(
    num_threads: int,
    *,
    strategy: str = "default",
    tpu: str = "local",
    num_cpu_devices: int = 1,
) -> tf.distribute.Strategy:
    """Makes operations deterministic and gets the devices ready.

    Call it before anything else is asked of TensorFlow.

    Args:
        num_threads: Threads of an operation; 0 for all cores.
        strategy: See `make_strategy`.
        tpu: See `make_strategy`.
        num_cpu_devices: Logical devices to split the CPU into.

    Returns:
        The strategy.

    Raises:
        RuntimeError: If Keras runs on another backend than TensorFlow, or
            TensorFlow has started with other threads or devices.
        ValueError: See `make_strategy`.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "transfusion_tf trains with Keras on TensorFlow. Received: "
            f"KERAS_BACKEND={keras.backend.backend()!r}. Unset KERAS_BACKEND "
            "and repeat the command."
        )
    tf.config.experimental.enable_op_determinism()
    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() != num_threads:
        threading.set_intra_op_parallelism_threads(num_threads)
    if num_cpu_devices > 1:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * num_cpu_devices,
        )
    return strategies.make_strategy(strategy, tpu)


def describe_environment() -> dict[str, Any]:
    """Returns versions, machine and commit, as every run records them."""
    versions: dict[str, Any] = {
        package: importlib.metadata.version(package) for package in _PACKAGES
    }
    return versions | {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "num_cpus": os.cpu_count() or 0,
        "num_gpus": len(tf.config.list_physical_devices("GPU")),
        "commit": _commit(),
    }


def _commit() -> str:
    """The commit of the checkout, "unknown" without one."""
    here = pathlib.Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return answer.stdout.strip()
