"""Writes log directories for the Transfusion tab, without TensorFlow.

python -m tests.tensorboard.fabricate DIR

then `tensorboard --logdir DIR`: a study `demo`, and runs that are hostile.
"""

import argparse
import itertools
import pathlib

import numpy as np
from tensorboard.compat.proto import (
    event_pb2,
    summary_pb2,
    tensor_pb2,
    tensor_shape_pb2,
    types_pb2,
)
from tensorboard.summary.writer import record_writer
from tensorboard.util import tensor_util

from transfusion_tf import tensorboard
from transfusion_tf.tensorboard import points

STEPS = (0, 44, 88, 132, 176, 220)
LAYERS = ("block1", "block2", "block3", "block4")
MODELS = {"cbr_tiny": "CBR-Tiny", "cbr_small": "CBR-Small"}
NUM_PARAMETERS = {"cbr_tiny": 68_000, "cbr_small": 2_108_672}
DONOR = "CIFAR-10, 10,000 images"
INITS = {"random": None, "transfer": DONOR}
SEEDS = (0, 1, 2)
HOSTILE_RUN = "run with space & <b>"
HOSTILE_TAG = "transfusion/similarity/a/b?c=<script>alert(1)</script>&run=x"
WALL_TIME = 1.8e9
WHAT = "Activations of 256 validation images, at 4 positions of each."
MEASURE = {
    "id": "cka",
    "label": "linear CKA",
    "larger_is_more_similar": True,
    "is_symmetric": True,
    "range": [0, 1],
    "invariances": ["rotations", "one scale for all channels"],
}
_SCALAR = summary_pb2.SummaryMetadata(
    data_class=summary_pb2.DATA_CLASS_SCALAR,
    plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars"),
)


class EventFile:
    """An event file; several may stand in one directory."""

    def __init__(self, directory, number=0):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{1_800_000_000 + number}.host.1.{number}"
        self.path = directory / name
        self._file = self.path.open("wb")
        self._writer = record_writer.RecordWriter(self._file)
        self._write(
            event_pb2.Event(wall_time=WALL_TIME, file_version="brain.Event:2")
        )

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self._file.close()

    def _write(self, event):
        self._writer.write(event.SerializeToString())

    def tensor(self, tag, step, values, metadata, wall_time=None):
        """Writes any tensor, or tensor proto, with any metadata."""
        if not isinstance(values, tensor_pb2.TensorProto):
            values = tensor_util.make_tensor_proto(values)
        summary = summary_pb2.Summary()
        summary.value.add(tag=tag, tensor=values, metadata=metadata)
        if wall_time is None:
            wall_time = WALL_TIME + step
        self._write(
            event_pb2.Event(step=step, summary=summary, wall_time=wall_time)
        )

    def content(self, tag, step, values, content, wall_time=None):
        """Writes a tensor with any bytes as its content."""
        self.tensor(tag, step, values, metadata_of(content), wall_time)

    def point(self, point, wall_time=None):
        self.content(
            point.tag, point.step, point.values, point.content, wall_time
        )

    def scalar(self, tag, step, value):
        self.tensor(tag, step, np.float32(value), _SCALAR)


def metadata_of(content, data_class=summary_pb2.DATA_CLASS_TENSOR):
    """The summary metadata of a point."""
    return summary_pb2.SummaryMetadata(
        data_class=data_class,
        plugin_data=summary_pb2.SummaryMetadata.PluginData(
            plugin_name=tensorboard.PLUGIN_NAME, content=content
        ),
    )


def run_info(**changed):
    """A run of the demo; what is given replaces its fields."""
    fields = {
        "model": "cbr_tiny",
        "model_title": "CBR-Tiny",
        "init": "random",
        "donor": None,
        "task": "synthetic_fundus",
        "metric": "auc",
        "threshold": 0.7,
        "seed": 0,
        "fold": None,
        "num_parameters": 68_000,
        "num_training_examples": 1_400,
        "num_steps": STEPS[-1],
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.0"},
    }
    return points.run_info(**{**fields, **changed})


def similarity(step, values, layers=LAYERS, **changed):
    """Scores of a run's layers with those of its start, and null levels."""
    fields = {
        "measure": MEASURE,
        "comparison": "before_after",
        "rows": layers,
        "columns": layers,
        "row_title": "step 0",
        "column_title": "this step",
        "num_images": 256,
        "what": WHAT,
    }
    planes = {"value": values, "null": np.full_like(values, 0.1)}
    return points.similarity(step, planes, **{**fields, **changed})


def write_run(directory, *, model, init, seed, rng):
    """Writes a run: scalars, similarity, layer profile and filters.

    Returns:
        AUC by step, and the layer profile at the last step.
    """
    gain = 0.06 if init == "transfer" else 0.0
    kept = 0.75 if init == "transfer" else 0.45
    weights = rng.normal(0, 0.1, [32, 5, 5, 3])
    moved = weights + rng.normal(0, 0.02 if gain else 0.08, weights.shape)
    auc = {}
    with EventFile(directory) as file:
        file.point(
            run_info(
                model=model,
                model_title=MODELS[model],
                init=init,
                donor=INITS[init],
                seed=seed,
                num_parameters=NUM_PARAMETERS[model],
            )
        )
        for step in STEPS:
            done = step / STEPS[-1]
            noise = rng.normal(0, 0.01)
            auc[step] = 0.5 + (0.2 + gain) * done**0.5 + noise
            if step:
                file.scalar("train/loss", step, 0.7 - 0.3 * done + noise)
            file.scalar("validation/auc", step, auc[step])
            changed = 1 - (1 - kept) * done**0.5 * np.linspace(1, 0.4, 4)
            profile = np.clip(changed + rng.normal(0, 0.02, 4), 0, 1)
            distance = np.abs(np.subtract.outer(range(4), range(4)))
            scores = profile[:, None] * 0.7**distance
            if step:
                scores[0, 3] = np.nan  # A constant layer has no score.
            file.point(similarity(step, scores))
            file.point(
                points.layer_profile(
                    step,
                    {"value": profile, "null": np.full(4, 0.1)},
                    measure=MEASURE,
                    comparison="before_after",
                    layers=LAYERS,
                    num_images=256,
                    what=WHAT,
                )
            )
            if step in (0, STEPS[-1]):
                file.point(
                    points.filters(
                        step, moved if step else weights, layer="block1"
                    )
                )
    return auc, profile


def _interval(values):
    """Mean, and an interval as wide as drawing it needs."""
    mean, half = float(np.mean(values)), 2 * float(np.std(values, ddof=1))
    return {"mean": mean, "low": mean - half, "high": mean + half}


def _arm(model, init, runs, random_runs):
    last = [auc[STEPS[-1]] for auc, _ in runs]
    base = [auc[STEPS[-1]] for auc, _ in random_runs]
    change = _interval(np.subtract(last, base))
    is_transfer = init == "transfer"
    return {
        "model": model,
        "model_title": MODELS[model],
        "init": init,
        "init_title": f"transfer from {DONOR}" if is_transfer else init,
        "donor": INITS[init],
        "num_parameters": NUM_PARAMETERS[model],
        "num_runs": 3,
        "num_missing": 0 if is_transfer else 1,
        "test": _interval(last),
        "joint": {"low": min(last) - 0.05, "high": max(last) + 0.05},
        "runs": [
            {"seed": s, "value": x, "low": x - 0.04, "high": x + 0.04}
            for s, x in enumerate(last)
        ],
        "second": {"title": "average precision", **_interval(last)},
        "steps": {
            "text": "132" if is_transfer else ">220",
            "num_reached": 3 if is_transfer else 0,
            "num_runs": 3,
        },
        "difference": {
            **change,
            "seed_low": change["low"],
            "seed_high": change["high"],
            "num_seeds": 3,
        }
        if is_transfer
        else None,
        "differences": [],
        "paper": {"value": 0.947, "low": None, "high": None, "source": "quoted"}
        if model == "cbr_small" and is_transfer
        else None,
    }


def _profile(model, init, runs):
    profiles = np.array([profile for _, profile in runs])
    spread = profiles.std(axis=0)
    return {
        "model": model,
        "model_title": MODELS[model],
        "init": init,
        "donor": INITS[init],
        "measure": "cka",
        "measure_label": "linear CKA",
        "stages": list(LAYERS),
        "mean": profiles.mean(axis=0).tolist(),
        "low": (profiles.mean(axis=0) - 2 * spread).tolist(),
        "high": (profiles.mean(axis=0) + 2 * spread).tolist(),
        "null": [0.1] * 4,
        "runs": profiles.tolist(),
        "seeds": list(SEEDS),
        "what": WHAT,
    }


def document(results):
    """A study's report of runs by (model, init)."""
    score = {"mean": 0.62, "low": 0.55, "high": 0.69}
    return {
        "schema_version": 1,
        "name": "demo",
        "task": "synthetic_fundus",
        "metric": "auc",
        "metric_title": "AUC",
        "threshold": 0.7,
        "command": "python -m launch.report --study_dir=runs/demo",
        "verdict": "Transfer helps a little here: both models end higher.",
        "notes": ["The images are synthetic."],
        "missing": ["cbr_tiny-random-seed3"],
        "seeds": list(SEEDS),
        "arms": [
            _arm(model, init, runs, results[model, "random"])
            for (model, init), runs in results.items()
        ],
        "profiles": [
            _profile(model, init, runs)
            for (model, init), runs in results.items()
        ],
        "pairs": [
            {
                "model_title": MODELS[model],
                "label": label,
                "similarity": score,
                "above_null": {"mean": 0.5, "low": 0.43, "high": 0.57},
                "paper": None,
                "num_pairs": 3,
            }
            for model in MODELS
            for label in ("random-random", "random-transfer")
        ],
        "scatter": [
            {
                "title": "Similarity at initialization and convergence",
                "x_label": "CKA with the donor at step 0",
                "y_label": "steps to AUC 0.7",
                "points": [
                    {"x": 0.1 * i, "y": 200.0 - 15 * i, "label": f"run {i}"}
                    | {"group": "CBR-Tiny, random"}
                    for i in range(6)
                ],
                "fit": {
                    "slope": -150.0,
                    "intercept": 200.0,
                    "r2": 0.97,
                    "r2_low": 0.8,
                    "r2_high": 0.99,
                    "num_points": 6,
                },
                "note": "Runs that did not reach it count as 220.",
            }
        ],
    }


def write_study(path):
    """Writes the study `demo`."""
    rng = np.random.default_rng(0)
    study = pathlib.Path(path) / "demo"
    results = {}
    for model, init in itertools.product(MODELS, INITS):
        results[model, init] = [
            write_run(
                study / "runs" / f"{model}-{init}-seed{seed}",
                model=model,
                init=init,
                seed=seed,
                rng=rng,
            )
            for seed in SEEDS
        ]
    pair = "cbr_tiny-random-seed0--cbr_tiny-random-seed1"
    with EventFile(study / "comparisons" / pair) as file:
        for step in (0, STEPS[-1]):
            value = np.clip(rng.normal(0.6, 0.1, [4, 4]), 0, 1)
            planes = {
                "value": value,
                "null": np.full([4, 4], 0.1),
                "low": value - 0.05,
                "high": value + 0.05,
            }
            file.point(
                points.similarity(
                    step,
                    planes,
                    measure=MEASURE,
                    comparison="between_runs",
                    rows=LAYERS,
                    columns=LAYERS,
                    row_title="CBR-Tiny, random, seed 0",
                    column_title="CBR-Tiny, random, seed 1",
                    num_images=256,
                    what=WHAT,
                )
            )
    with EventFile(study / "report") as file:
        file.point(points.study(document(results)))


def write_hostile_run(path):
    """Writes a run of everything that must not harm the tab."""
    good = similarity(0, np.eye(4, dtype=np.float32))
    bfloat16 = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_BFLOAT16,
        half_val=[0x3F80] * 8,
        tensor_shape=tensor_shape_pb2.TensorShapeProto(
            dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=s) for s in (2, 4)]
        ),
    )
    odd = np.array([[np.nan, np.inf, -np.inf, 1.23456789]] * 4, np.float32)
    with EventFile(pathlib.Path(path) / HOSTILE_RUN) as file:
        file.point(
            run_info(
                model="<b>model</b>",
                model_title="<img src=x onerror=alert(1)>",
                donor="javascript:alert(1)",
            )
        )
        file.scalar("validation/auc", 0, np.nan)
        file.scalar("validation/auc", 44, 0.6)
        file.scalar("<script>alert(1)</script>", 0, np.inf)
        file.point(
            similarity(
                0,
                odd,
                measure={**MEASURE, "label": "<script>alert(1)</script>"},
                what="</script><script>alert(1)</script>",
            )
        )
        file.content(HOSTILE_TAG, 0, good.values, good.content)
        for tag, content in {
            "transfusion/newer": b'{"version":99,"kind":"similarity"}',
            "transfusion/unknown": b'{"version":1,"kind":"<b>"}',
            "transfusion/broken": b'{"version":1,',
            "transfusion/binary": b"\xff\xfe\x00",
            "transfusion/empty": b"",
            "transfusion/deep": b"[" * 5_000,
            "transfusion/overflow": b'{"version":1,"kind":"study","x":1e999}',
            "transfusion/long": b'{"x":"' + b"x" * 70_000 + b'"}',
        }.items():
            file.content(tag, 0, good.values, content)
        for name, values in {
            "bfloat16": bfloat16,
            "float64": np.zeros([2, 4, 4], np.float64),
            "flat": np.zeros([0], np.float32),
            "transposed": np.zeros([4, 4, 2], np.float32),
            "words": np.array([b"words"], dtype=object),
            "huge": np.zeros([2, 200, 200], np.float32),
        }.items():
            tag = f"transfusion/similarity/hostile/{name}"
            file.content(tag, 0, values, good.content)
        file.content(points.STUDY_TAG, 0, *_words(b'{"schema_version": 1'))


def _words(text):
    return np.array([text], dtype=object), b'{"kind":"study","version":1}'


def write_disordered_run(path):
    """Writes steps out of order and again, as two writers or a rerun do.

    A value is its step, and 0.1 more where it was written again.
    """
    ones = np.ones([4, 4], np.float32)
    with EventFile(pathlib.Path(path) / "disordered") as file:
        for wall_time, (step, value) in enumerate(
            [(44, 44), (88, 88), (44, 44.1), (220, 220), (220, 220.1)]
        ):
            file.point(
                similarity(step, value * ones),
                wall_time=WALL_TIME + wall_time,
            )


def write_run_of_two_writers(path):
    """Writes two event files into one directory, as a resumed run does.

    The second begins again at step 44, and says otherwise what its tag is;
    TensorBoard keeps what the first said.
    """
    ones = np.ones([4, 4], np.float32)
    directory = pathlib.Path(path) / "two writers"
    with EventFile(directory) as file:
        file.point(similarity(0, 0 * ones))
        file.point(similarity(44, 44 * ones))
    with EventFile(directory, number=1) as file:
        for step in (44, 88):
            point = similarity(step, (step + 0.1) * ones, num_images=8)
            file.point(point, wall_time=WALL_TIME + 1_000 + step)


def write_damaged_run(path):
    """Writes an event file whose second half is not what was written."""
    with EventFile(pathlib.Path(path) / "damaged") as file:
        for step in range(10):
            file.point(similarity(step, np.eye(4)))
    written = bytearray(file.path.read_bytes())
    middle = len(written) // 2
    written[middle : middle + 64] = b"\xff" * 64
    file.path.write_bytes(written[:-7])


def write_logdir(path):
    """Writes the study, and beside it runs that are hostile or damaged."""
    write_study(path)
    write_hostile_run(path)
    write_disordered_run(path)
    write_run_of_two_writers(path)
    write_damaged_run(path)


def write_many_runs(path, num_runs):
    """Writes many runs of one study, of 10 scalar tags and 3 of ours."""
    for i in range(num_runs):
        name = f"run{i:04d}"
        with EventFile(pathlib.Path(path) / "many" / "runs" / name) as file:
            file.point(
                run_info(model=f"model{i // 100}", init=f"init{i % 10}", seed=i)
            )
            for tag in range(10):
                file.scalar(f"train/scalar{tag}", 0, i)
            file.point(similarity(0, np.eye(4)))
            file.point(points.filters(0, np.ones([2, 3, 3, 3]), layer="conv1"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", help="Where to; made if it is not there.")
    write_logdir(parser.parse_args().directory)


if __name__ == "__main__":
    main()
