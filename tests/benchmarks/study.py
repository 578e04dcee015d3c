"""What a study costs beside its training.

python -m tests.benchmarks.study

20 runs of one step each (CBR-Tiny, 32 pixels, drawn images), with everything
that a study does: evaluation, weights before and after, comparison, report.
The command's time against the sum of what its runs spent in training steps,
the first of each process with its trace; by the times of the files that it
writes, where the time goes. The data are prepared first, outside of what is
measured.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import transfusion_datasets
from tests.launch import running
from transfusion_tf import records

NUM_RUNS = 20
FLAGS = (
    "--task=synthetic_fundus_referable",
    "--dataset_config=n64",
    "--arms=cbr_tiny/random",
    f"--seeds={','.join(map(str, range(NUM_RUNS)))}",
    "--image_size=32",
    "--num_train_examples=64",
    "--batch_size=16",
    "--num_steps=1",
    "--num_threads=1",
    "--num_positions=500",
    "--repeats=1",
    "--num_images=100",
)


def run_study(study_dir: pathlib.Path, data_dir: str, workers: int) -> float:
    """Returns the seconds of the whole command."""
    started = time.time()
    process = running.run(
        "study",
        f"--study_dir={study_dir}",
        f"--data_dir={data_dir}",
        f"--workers={workers}",
        *FLAGS,
    )
    if process.returncode:
        sys.exit(process.stderr)
    return time.time() - started


def seconds_to_import() -> float:
    """Returns the seconds of importing what the command imports."""
    started = time.time()
    subprocess.run(
        [sys.executable, "-c", "import launch.study"],
        check=True,
        cwd=running.ROOT,
        env=running.environment(),
        stderr=subprocess.DEVNULL,
    )
    return time.time() - started


def written(study_dir: pathlib.Path, pattern: str) -> list[float]:
    """When files were written, in order."""
    return sorted(path.stat().st_mtime for path in study_dir.glob(pattern))


def main() -> None:
    """Prints a block for one worker and for two."""
    print(f"importing: {seconds_to_import():.1f} s")
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        data_dir = str(root / "data")
        transfusion_datasets.prepare(
            "transfusion_synthetic_fundus/n64", data_dir=data_dir
        )
        for workers in (1, 2):
            study_dir = root / f"workers{workers}"
            started = time.time()
            total = run_study(study_dir, data_dir, workers)
            training = sum(
                records.RunDirectory(path).result()["seconds"]["train"]
                for path in study_dir.glob("runs/*")
            )
            begun = written(study_dir, "runs/*/config.json")
            done = written(study_dir, "comparisons/*/comparison.json")
            # Each process' first run traces what its later ones use.
            gaps = [
                later - earlier
                for earlier, later in zip(
                    done[:-workers], done[workers:], strict=True
                )
            ]
            print(
                f"--workers={workers}: {total:.1f} s, {total / training:.1f} "
                f"times the {training:.1f} s of training steps\n"
                f"  until the first run has begun {begun[0] - started:.1f} s\n"
                f"  until it is compared {done[0] - begun[0]:.1f} s\n"
                f"  a later run {statistics.median(gaps):.2f} s\n"
                f"  after the last {started + total - done[-1]:.1f} s"
            )


if __name__ == "__main__":
    main()
