"""Checkpoints: those that a run goes on from, and weights kept for good.

Beside each stands the SHA-256 of its files, written last: a checkpoint that has
it was written to its end, and damage is found before anything is restored.
TensorFlow would find it too, but tells it by a different exception for each
kind of damage; HDF5 takes any flipped bit for a weight.
"""

import warnings
from typing import Any

import keras
import tensorflow as tf
from etils import epath

from transfusion_tf import records
from transfusion_tf.training import program

_NUM_KEPT = 2
# More than HDF5 needs for names and shapes.
_HDF5_BYTES = 1 << 20


def save_weights(model: keras.Model, path: epath.Path) -> None:
    """Writes weights for later comparisons and as a donor.

    Args:
        model: Whose weights.
        path: Where to, a `.weights.h5`.

    Raises:
        OSError: If they cannot be written; nothing is left under `path` that
            was not there before.
    """
    num_bytes = sum(values.nbytes for values in model.get_weights())
    with records.replaced_whole(path) as partial:
        if not records.in_object_store(path):
            # A full disk is found here: in the middle of a file HDF5 would
            # take the process down with it (h5py issue 914).
            partial.write_bytes(bytes(num_bytes + _HDF5_BYTES))
        model.save_weights(str(partial))
    records.write_checksums(records.checksums_path(path), [path])


def load_weights(model: keras.Model, path: epath.Path) -> None:
    """Reads weights that `save_weights` wrote.

    Args:
        model: What they are read into, of the same architecture.
        path: Where they are.

    Raises:
        ValueError: If the file is damaged, or of another architecture.
    """
    records.check_undamaged(path)
    try:
        model.load_weights(str(path))
    except OSError as error:  # An older file has no checksum.
        raise ValueError(
            f"{str(path)!r} is damaged, or no file of weights. Received: "
            f"{error}. Restore the file from a copy, or delete its run's "
            "directory and train the run again."
        ) from error


def delete_weights(path: epath.Path) -> None:
    """Deletes weights that `save_weights` wrote, if they are there."""
    records.checksums_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def check_nothing_is_lost(run: records.RunDirectory, save_every: int) -> None:
    """Checks that a run without checkpoints has not done steps before.

    They would silently be done again.

    Args:
        run: The run.
        save_every: Steps between two checkpoints.

    Raises:
        ValueError: If it has logged steps that a checkpoint should hold.
    """
    logged = max((row["step"] for row in run.metrics()), default=0)
    if logged > save_every:
        raise ValueError(
            f"The checkpoints of {str(run.path)!r} are gone. Received: "
            f"metrics up to step {logged}, and no checkpoint in "
            f"{run.resume_path.name!r}. All {logged} steps are lost: delete "
            "the directory, then repeat the command to train from step 0."
        )


class ResumeCheckpoints:
    """The last checkpoints of a run that is not finished.

    | file | what |
    |---|---|
    | `step-N.index`, `step-N.data-*` | as `tf.train.Checkpoint` writes them |
    | `step-N.sha256` | their checksums, written last |
    | `damaged.json` | damaged checkpoints that were not gone on from |
    """

    def __init__(self, run: records.RunDirectory, run_program: program.Program):
        """Names the directory; nothing is made or read yet.

        Args:
            run: The run.
            run_program: Whose state is saved and restored.
        """
        self._run = run
        self._path = run.resume_path
        self._damaged_path = self._path / "damaged.json"
        self._checkpoint = run_program.checkpoint()

    def damaged(self) -> list[dict[str, Any]]:
        """Returns what was damaged so far: step, damage, step resumed from."""
        if not self._damaged_path.exists():
            return []
        return records.read_json(self._damaged_path)

    def save(self, step: int) -> None:
        """Saves the state after a step and drops all but the last two.

        Raises:
            OSError: If it cannot be written, for example on a full disk. The
                checkpoints before it are as they were.
        """
        before = self._steps()
        if step in before:
            return
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._checkpoint.write(str(self._path / f"step-{step}"))
            written = sorted(self._path.glob(f"step-{step}.*"))
            records.write_checksums(self._checksums(step), written)
        except (OSError, tf.errors.OpError) as error:
            self._drop_all_but(before)
            raise OSError(
                f"Could not save the checkpoint of step {step} of "
                f"{self._run.path.name}. Received: {error}. Make space, then "
                "repeat the command: it goes on from step "
                f"{before[-1] if before else 0}."
            ) from error
        self._drop_all_but([*before, step][-_NUM_KEPT:])

    def last_step(self) -> int | None:
        """Finds the last checkpoint that is not damaged; drops later ones.

        Returns:
            Its step; None if no checkpoint was written yet.

        Raises:
            ValueError: If there are checkpoints and all are damaged.
        """
        damaged: list[dict[str, Any]] = []
        steps = self._steps()
        while steps and (damage := self._find_damage(steps[-1])):
            damaged.append({"step": steps.pop(), "damage": damage})
        if not steps and damaged:
            raise ValueError(
                f"Every checkpoint of {str(self._run.path)!r} is damaged. "
                f"Received: {'; '.join(d['damage'] for d in damaged)}. All "
                f"{damaged[0]['step']} steps are lost: delete the directory, "
                "then repeat the command to train from step 0."
            )
        if damaged:
            self._tell_damaged(damaged, resumed_from=steps[-1])
        if not steps:
            # What is there without a checksum may be an earlier version's.
            return None
        self._drop_all_but(steps)
        return steps[-1]

    def restore(self, step: int) -> None:
        """Brings the program to the state after a step that was saved."""
        self._checkpoint.read(
            str(self._path / f"step-{step}")
        ).assert_consumed()

    def delete(self) -> None:
        """Deletes them all: the run is finished."""
        self._path.rmtree(missing_ok=True)

    def _tell_damaged(
        self, damaged: list[dict[str, Any]], *, resumed_from: int
    ) -> None:
        warnings.warn(
            f"{self._run.path.name} goes on from step {resumed_from}: "
            f"{damaged[0]['step'] - resumed_from} steps are lost and done "
            "again, because a checkpoint is damaged. Received: "
            f"{'; '.join(d['damage'] for d in damaged)}. Look after the disk.",
            stacklevel=2,
        )
        entries = [d | {"resumed_from": resumed_from} for d in damaged]
        records.write_json(self._damaged_path, self.damaged() + entries)

    def _find_damage(self, step: int) -> str:
        return records.find_damage(self._checksums(step))

    def _checksums(self, step: int) -> epath.Path:
        return self._path / f"step-{step}.sha256"

    def _steps(self) -> list[int]:
        """Steps whose checkpoints were written to their end, ascending."""
        found = self._path.glob("step-*.sha256") if self._path.exists() else []
        return sorted(int(path.stem.removeprefix("step-")) for path in found)

    def _drop_all_but(self, steps: list[int]) -> None:
        """Deletes other checkpoints, and what was not written to its end."""
        if not self._path.exists():
            return
        kept = {f"step-{step}" for step in steps}
        others = [
            path
            for path in self._path.iterdir()
            if path != self._damaged_path
            and path.name.split(".")[0] not in kept
        ]
        # Checksums first: what is half deleted must not pass for damaged.
        for path in sorted(others, key=lambda p: p.suffix != ".sha256"):
            path.rmtree() if path.is_dir() else path.unlink()
