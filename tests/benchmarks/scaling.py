"""How cost grows, measured here, and the paper's full protocol by arithmetic.

python -m tests.benchmarks.scaling results/scaling.md
"""

import os
import pathlib
import platform
import sys
import time

import keras
import numpy as np
import tensorflow as tf

from tests.benchmarks import training as steps
from transfusion_tf import data, models, training

# The paper's RETINA protocol: spec of the task in the README's Deviations.
PAPER_MODELS = (
    "resnet50",
    "inception_v3",
    "cbr_large_t",
    "cbr_large_w",
    "cbr_small",
    "cbr_tiny",
)
PAPER_SIZE, PAPER_BATCH, PAPER_STEPS = 587, 8, 150_000
PAPER_RUNS_A_MODEL = 2 * 5
# Vendors' peak rates of what a step computes in, in 1e12 operations a second.
ACCELERATORS = (
    ("NVIDIA T4, float16", 65.0),
    ("NVIDIA V100, float16", 125.0),
    ("NVIDIA A100, bfloat16", 312.0),
    ("TPU v3 chip, bfloat16", 123.0),
)
# Assumed, not measured: what small batches of convolutions reach of the peak.
ASSUMED_SHARE = 0.2
MEASURED_SIZES = (64, 128, 224)
MEASURED_MODELS = ("cbr_tiny", "efficientnet_lite0", "resnet50")
NUM_TIMED_STEPS = 3
ADAM_COPIES = 3  # Weights, and two moments.


def operations_of(model: keras.Model) -> int:
    """Floating-point operations of a forward pass of one image.

    Multiplications and additions of convolutions and dense layers; others'
    are a few per cent.
    """
    total = 0
    for layer in model.layers:
        if isinstance(
            layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        ):
            *_, height, width, _ = layer.output.shape
            total += 2 * height * width * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Dense):
            total += 2 * int(np.prod(layer.kernel.shape))
    return total


def build(name: str, image_size: int) -> keras.Model:
    shape = (image_size, image_size, 3)
    return models.build(name, num_outputs=5, image_shape=shape).model


def seconds_a_step(name: str, image_size: int, batch_size: int) -> float:
    """Least of several steps on one batch in memory, the first left out."""
    spec = steps.spec_of(name, image_size, batch_size)
    program = training.Program(spec, tf.distribute.get_strategy())
    reader = data.SplitReader(
        steps.random_split(batch_size, image_size), image_size
    )
    (batch,) = program.train_batches(reader, seed=0)
    seconds = []
    for _ in range(NUM_TIMED_STEPS + 1):
        started = time.perf_counter()
        program.train_step(batch, 1e-3)
        program.loss_sum.numpy()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def measured_table() -> list[str]:
    lines = [
        "| model | pixels | batch | operations an image, forward | s a step | "
        "images a second | operations a second |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in MEASURED_MODELS:
        for image_size in MEASURED_SIZES:
            operations = operations_of(build(name, image_size))
            seconds = seconds_a_step(name, image_size, PAPER_BATCH)
            rate = PAPER_BATCH / seconds
            lines.append(
                f"| {name} | {image_size} | {PAPER_BATCH} | "
                f"{operations / 1e9:.3f}e9 | {seconds:.3f} | {rate:.1f} | "
                f"{3 * operations * rate / 1e9:.0f}e9 |"
            )
            keras.backend.clear_session()
            print(lines[-1], flush=True)
    return lines


def protocol_tables() -> tuple[list[str], float]:
    images = PAPER_BATCH * PAPER_STEPS * PAPER_RUNS_A_MODEL
    lines = [
        f"| model | operations an image at {PAPER_SIZE} px, forward | "
        "operations of its runs | weights kept, GB | a checkpoint, MB |",
        "|---|---:|---:|---:|---:|",
    ]
    total = kept = 0.0
    for name in PAPER_MODELS:
        model = build(name, PAPER_SIZE)
        operations = operations_of(model)
        weights = 4 * model.count_params()
        of_runs = 3.0 * operations * images
        total += of_runs
        kept += 2 * weights * PAPER_RUNS_A_MODEL / 1e9
        lines.append(
            f"| {name} | {operations / 1e9:.2f}e9 | {of_runs:.2e} | "
            f"{2 * weights * PAPER_RUNS_A_MODEL / 1e9:.2f} | "
            f"{ADAM_COPIES * weights / 1e6:.0f} |"
        )
        keras.backend.clear_session()
    lines.append(f"| all | | {total:.2e} | {kept:.2f} | |")
    return lines, total


def hours_table(total: float) -> list[str]:
    lines = [
        "| accelerator | peak, 1e12 a second | hours, all 60 runs | "
        "on 8 of them | ten times that, on 8 |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, peak in ACCELERATORS:
        hours = total / (peak * 1e12 * ASSUMED_SHARE) / 3600
        lines.append(
            f"| {name} | {peak:g} | {hours:,.0f} | {hours / 8:,.0f} | "
            f"{hours * 10 / 8:,.0f} |"
        )
    return lines


PAGE = """# How cost grows

Written by `python -m tests.benchmarks.scaling results/scaling.md`. Measured
with TensorFlow {tensorflow} on {machine}, {cores} cores; no accelerator was.

## Measured here

A training step at the paper's batch of {batch}, on a batch in memory, least of
{timed}. A step is counted as three forward passes.

{measured}

* **Images**: linear. A step does not depend on how many there are; opening a
  prepared data set reads its index, not its images.
* **Image size**: with the number of pixels, see the operations; small images
  leave cores idle.
* **Models, initializations, seeds**: linear in runs. Runs of one architecture
  share a compiled program in a process, so many seeds of one model cost less
  than as many models.
* **Replicas**: `python -m tests.benchmarks.training` measures two logical
  devices, which share the cores.

## The paper's protocol on RETINA, by arithmetic

{num_models} models x 2 initializations x 5 seeds x {steps:,} steps of {batch}
images of {size} pixels: {runs} runs, {images:.0f} million images. None of it
was run.

{protocol}

Weights are kept at step 0 and at the end; of checkpoints to resume from, two
while a run lasts.

Hours at {share:.0%} of the vendors' peak rates: an assumption, not a
measurement. `python -m launch.study --plan` replaces it by a timed step on the
machine at hand.

{hours}

* **Data**: a decoded image of {size} pixels takes {decoded:.2f} MB; 250,000 of
  them {all_decoded:.0f} GB, more than `--cache_gigabytes` should be: they are
  decoded in every epoch. At 0.05 MB a JPEG (assumed) they are 12 GB, read
  {epochs:.0f} times a run: {egress:,.0f} GB from an object store for all runs.
  Copy them to local disks once.
* **The bottleneck** of the large models is the accelerator
  (`--precision=mixed_bfloat16`); of the small ones it is the host that decodes
  JPEGs as soon as a step takes less time than its images do: more cores a run,
  or data prepared at the size that is trained on.
  `python -m tests.benchmarks.input_pipeline` measures the host's side.
* **Ten times that** (50 seeds, or ten data sets) is more runs, not longer
  ones: `--executor=slurm --max_parallel=N` divides hours by N. Comparisons
  grow with the number of runs, pairs of runs (`launch.similarity --study_dir`)
  with its square.
"""


def main() -> None:
    """Writes the page."""
    measured = measured_table()
    protocol, total = protocol_tables()
    decoded = PAPER_SIZE**2 * 3 / 1e6
    epochs = PAPER_BATCH * PAPER_STEPS / 250_000
    runs = PAPER_RUNS_A_MODEL * len(PAPER_MODELS)
    page = PAGE.format(
        tensorflow=tf.__version__,
        machine=platform.machine(),
        cores=os.cpu_count(),
        batch=PAPER_BATCH,
        timed=NUM_TIMED_STEPS,
        measured="\n".join(measured),
        num_models=len(PAPER_MODELS),
        steps=PAPER_STEPS,
        size=PAPER_SIZE,
        runs=runs,
        images=runs * PAPER_BATCH * PAPER_STEPS / 1e6,
        protocol="\n".join(protocol),
        share=ASSUMED_SHARE,
        hours="\n".join(hours_table(total)),
        decoded=decoded,
        all_decoded=decoded * 250_000 / 1000,
        epochs=epochs,
        egress=12.5 * epochs * runs,
    )
    pathlib.Path(sys.argv[1]).write_text(page)


if __name__ == "__main__":
    main()
