"""Pulls the plug on a run again and again and repeats its command.

`make chaos` (pytest --full) kills 26 times, `.ci/run` three times. Where a kill
hit is told by what it left behind, not by when it was meant to come.
"""

import collections
import logging
import pathlib
import random

from tests.comparing import assert_same_run
from tests.launch import running
from transfusion_tf import records

CHECKPOINT_EVERY = 2
FEW = ("checkpoint", "records", "finishing")
MANY = ("training", "checkpoint", "records") * 8 + ("finishing", "finishing")
# Fewest kills that must hit, of those that were meant to, with --full.
FEWEST = {"checkpoint": 4, "records": 4, "finishing": 1}


def flags_of(run_dir, class_folders, num_steps):
    return [
        f"--run_dir={run_dir}",
        "--model=cbr_tiny",
        f"--task=folder:{class_folders}",
        "--image_size=32",
        "--batch_size=8",
        f"--num_steps={num_steps}",
        "--eval_every_steps=1",
        f"--checkpoint_every_steps={CHECKPOINT_EVERY}",
        "--keep_checkpoint_steps=5,10,15,20",
        "--similarity_every_steps=10",
    ]


def last_logged_step(run_dir: pathlib.Path) -> int:
    rows = records.RunDirectory(run_dir).metrics()
    return max((row["step"] for row in rows), default=0)


def last_saved_step(run_dir: pathlib.Path) -> int:
    saved = run_dir.glob("checkpoints/resume/step-*.sha256")
    return max((int(p.stem.removeprefix("step-")) for p in saved), default=0)


def is_writing_a_checkpoint(run_dir: pathlib.Path) -> bool:
    """Whether there is one without the checksums that are written last."""
    names = {path.name for path in run_dir.glob("checkpoints/resume/step-*")}
    begun = {name.partition(".")[0].removesuffix("_temp") for name in names}
    return any(f"{name}.sha256" not in names for name in begun)


def is_writing_records(run_dir: pathlib.Path) -> bool:
    """Whether a file of the record or weights are half written."""
    return any(
        name.startswith(".partial.")
        for directory in (run_dir, run_dir / "checkpoints")
        if directory.exists()
        for name in (path.name for path in directory.iterdir())
    )


def is_finishing(run_dir: pathlib.Path) -> bool:
    """Whether training is over and the result not written yet."""
    run = records.RunDirectory(run_dir)
    return run.predictions_path("validation").exists() and not run.is_finished


IN_PHASE = {
    "checkpoint": is_writing_a_checkpoint,
    "records": is_writing_records,
    "finishing": is_finishing,
}


def kill_in(phase, process, run_dir, generator) -> bool:
    """Kills in a phase, after some steps more; False if it ended first."""
    if phase != "finishing":
        # Two steps of them are between checkpoints: each attempt advances.
        target = last_logged_step(run_dir) + generator.randint(4, 8)
        advanced = running.wait_for(
            process, lambda: last_logged_step(run_dir) >= target
        )
        if not advanced:
            return False
    if phase == "training":
        running.wait(process, generator.uniform(0.0, 0.2))
    else:
        running.wait_for(
            process, lambda: IN_PHASE[phase](run_dir), seconds_between=0
        )
    return running.kill(process)


def phase_left_behind(run_dir: pathlib.Path) -> str:
    phases = [name for name, holds in IN_PHASE.items() if holds(run_dir)]
    return phases[0] if phases else "training"


def test_a_run_killed_at_any_moment_ends_with_the_same_bits(
    class_folders, tmp_path, request
):
    is_full = request.config.getoption("full")
    phases = MANY if is_full else FEW
    num_steps = 12 * len(phases)
    run_dir, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    flags = flags_of(run_dir, class_folders, num_steps)
    seed = random.randrange(10**6)
    logging.info("Seed of the moments: %d", seed)
    generator = random.Random(seed)
    hit = collections.Counter()
    for phase in phases:
        process = running.start("train", *flags)
        assert kill_in(phase, process, run_dir, generator), phase
        hit[phase_left_behind(run_dir)] += 1
        assert not records.RunDirectory(run_dir).is_finished
        lost = last_logged_step(run_dir) - last_saved_step(run_dir)
        assert lost <= CHECKPOINT_EVERY
    logging.info("Kills by phase: %s", dict(hit))
    assert hit.total() == len(phases)
    if is_full:
        assert all(hit[phase] >= fewest for phase, fewest in FEWEST.items())

    for path in (run_dir, undisturbed):
        flags = flags_of(path, class_folders, num_steps)
        process = running.run("train", *flags)
        assert process.returncode == 0, process.stderr[-3000:]
        assert "damaged" not in process.stdout + process.stderr
    assert_same_run(run_dir, undisturbed)
    left = sorted(path.name for path in run_dir.rglob(".*"))
    assert left == []
