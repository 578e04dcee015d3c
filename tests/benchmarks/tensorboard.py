"""What the TensorBoard tab costs: its index over many runs, and at start.

python -m tests.benchmarks.tensorboard

The index is compared with TensorBoard's own list of the same runs' scalars,
by either data loader; the start is in processor seconds of fresh processes.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

import werkzeug.test
from tensorboard.backend import application
from tensorboard.plugins import base_plugin
from tensorboard.plugins.scalar import scalars_plugin

from tests.benchmarks import ratios
from tests.tensorboard import fabricate, serving

NUM_RUNS = 1_000
NUM_STARTS = 15
# As TensorBoard does at start: everything of its own, then our entry point,
# then what the entry point loads.
START = """
import sys, time
sys.modules["tensorflow"] = None
from tensorboard import default, program
from tensorboard.backend import application
from tensorboard.backend.event_processing import data_provider
from tensorboard.plugins import base_plugin
default.get_static_plugins()
start = time.process_time()
from transfusion_tf.tensorboard import loader
imported = time.process_time()
context = base_plugin.TBContext(data_provider=object())
loader.TransfusionLoader().load(context).get_plugin_apps()
print(imported - start, time.process_time() - imported)
"""


def seconds_at_start() -> tuple[float, float]:
    """Returns median processor seconds: importing our loader, its `load`."""
    with tempfile.TemporaryDirectory() as cache:
        # Compiled, as an installed package is; the first start compiles.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        starts = [
            subprocess.run(
                [sys.executable, "-c", START],
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            ).stdout.split()
            for _ in range(NUM_STARTS + 1)
        ]
    imported, loaded = zip(*starts[1:], strict=True)
    return (
        statistics.median(map(float, imported)),
        statistics.median(map(float, loaded)),
    )


def time_index(logdir: str, loader_name: str) -> None:
    """Prints a line of one data loader."""
    with serving.provider(logdir, loader_name) as source:
        ours = serving.client(source)
        context = base_plugin.TBContext(data_provider=source)
        theirs = werkzeug.test.Client(
            application.TensorBoardWSGI(
                [scalars_plugin.ScalarsPlugin(context)], data_provider=source
            )
        )
        num_bytes, seconds = 0, []

        def index() -> None:
            nonlocal num_bytes
            started = time.perf_counter()
            num_bytes = len(ours.get(f"{serving.PREFIX}/api/v1/index").data)
            seconds.append(time.perf_counter() - started)

        def tags() -> None:
            theirs.get("/data/plugin/scalars/tags")

        ratio, low, high = ratios.paired_ratio(index, tags)
    print(
        f"  {loader_name:12} {statistics.median(seconds):6.3f} s, "
        f"{num_bytes / 2**20:.2f} MiB; TensorBoard's scalars take "
        f"{ratio:.2f} of it ({low:.2f} to {high:.2f})"
    )


def main() -> None:
    """Prints what the index and the start cost."""
    print(f"Index over {NUM_RUNS} runs of 10 scalars and 3 tags of ours:")
    with tempfile.TemporaryDirectory() as logdir:
        fabricate.write_many_runs(logdir, NUM_RUNS)
        for loader_name in serving.LOADERS:
            time_index(logdir, loader_name)
    imported, loaded = seconds_at_start()
    print(
        f"TensorBoard's start, processor time: {1e3 * imported:.1f} ms to "
        f"import the entry point, {1e3 * loaded:.1f} ms to load the tab"
    )


if __name__ == "__main__":
    main()
