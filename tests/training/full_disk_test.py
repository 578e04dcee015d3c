"""A real full disk: a file system of 48 MB in memory, of this test alone."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest

from tests.comparing import assert_same_run
from transfusion_tf import records

SIZE = "48m"
TRAIN_ON_A_DISK_THAT_FILLS = """
import json, os, pathlib, shutil, sys
from transfusion_tf import records, training
from transfusion_tf.tensorboard import writer

disk, config = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
config["keep_checkpoint_steps"] = tuple(config["keep_checkpoint_steps"])
filler, run_dir = disk / "filler", disk / "run"

def fill(free_bytes):
    disk_now = os.statvfs(disk)
    with filler.open("wb") as file:
        file.write(bytes(disk_now.f_bavail * disk_now.f_frsize - free_bytes))

class FillAfter:
    def __init__(self, num_steps, free_bytes):
        self.left, self.free_bytes = num_steps, free_bytes

    def update(self, num_steps, description):
        self.left -= num_steps
        if self.left == 0:
            fill(self.free_bytes)

trainer = training.Trainer()
told = []
# Which step, and what still fits: a checkpoint to go on from is of 13 MB, kept
# weights of 4 MB, metrics of a page.
for step, free_bytes in ((6, 5_000_000), (7, 2_000_000), (9, 0)):
    trainer._progress = FillAfter(step, free_bytes)
    try:
        trainer.train(training.TrainConfig(**config), run_dir)
    except OSError as error:
        saved = {
            path.stem: records.find_damage(path)
            for path in sorted(run_dir.glob("checkpoints/resume/*.sha256"))
        }
        kept = sorted(p.name for p in run_dir.rglob("*") if p.is_file())
        told.append([str(error), saved, kept])
    if not free_bytes:
        try:
            trainer.train(training.TrainConfig(**config), run_dir)
        except OSError as error:
            told.append([str(error), {}, []])
        try:
            writer.EventWriter(disk).write(1, {"loss": 1.0})
        except OSError as error:
            told.append([str(error), {}, []])
    filler.unlink()
trainer._progress = None
trainer.train(training.TrainConfig(**config), run_dir)
shutil.copytree(run_dir, sys.argv[3])
# In this process too: bits are those of its threads and settings.
trainer.train(training.TrainConfig(**config), sys.argv[4])
print(json.dumps(told))
"""
MOUNT = f"mount -t tmpfs -o size={SIZE} none "
IN_OWN_NAMESPACE = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def may_mount(path):
    command = [*IN_OWN_NAMESPACE, MOUNT + str(path)]
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(command, capture_output=True).returncode == 0


def test_a_full_disk_is_told_and_loses_nothing_that_was_saved(
    folder_config, tmp_path
):
    disk = tmp_path / "disk"
    disk.mkdir()
    if not may_mount(disk):
        pytest.skip("mounting (unshare --map-root-user) is not permitted here")
    config = dataclasses.replace(folder_config, keep_checkpoint_steps=(7,))
    process = subprocess.run(
        [
            *IN_OWN_NAMESPACE,
            f'{MOUNT} "$1" && exec "$0" -c "$2" "$1" "$3" "$4" "$5"',
            sys.executable,
            str(disk),
            TRAIN_ON_A_DISK_THAT_FILLS,
            json.dumps(dataclasses.asdict(config)),
            str(tmp_path / "run"),
            str(tmp_path / "undisturbed"),
        ],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    told = json.loads(process.stdout.splitlines()[-1])
    checkpoint, weights, metrics, again, events = told

    message, saved, _ = checkpoint
    assert "Could not save the checkpoint of step 6 of run" in message
    assert "No space left on device" in message
    assert "Make space, then repeat the command: it goes on from step 3" in (
        message
    )
    assert saved == {"step-3": ""}

    message, saved, kept = weights
    assert "Could not write" in message and "weights_7.weights.h5" in message
    assert saved == {"step-3": "", "step-6": ""}
    assert not [name for name in kept if "weights_7" in name]

    message, saved, _ = metrics
    assert "Could not write" in message and "metrics.jsonl" in message
    assert "nothing was changed" in message and "Make space" in message
    assert saved == {"step-3": "", "step-6": ""}

    assert "Cannot write into" in again[0] and "Make space" in again[0]
    assert "Could not write TensorBoard events" in events[0]

    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")
    rows = records.RunDirectory(tmp_path / "run").metrics()
    assert [r["step"] for r in rows if r["split"] == "train"] == [3, 6, 9, 12]
