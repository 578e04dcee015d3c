"""Fabricated studies: record directories with numbers chosen by hand."""

import json

import numpy as np

ARMS = (
    ("efficientnet_lite0", "transfer"),
    ("efficientnet_lite0", "random"),
    ("cbr_tiny", "random"),
)
NUM_PARAMETERS = {"efficientnet_lite0": 3_400_000, "cbr_tiny": 1_079_845}
DONOR = {"name": "ImageNet (EfficientNet-Lite0 wheel)", "sha256": "ab"}
STAGES = {
    "efficientnet_lite0": ("stem", "block1", "block2", "block3", "top"),
    "cbr_tiny": ("conv1", "conv2", "conv3", "conv4"),
}
# How far scores of positives and negatives lie apart.
SIGNAL = {"transfer": 2.0, "random": 0.7, "transfuse:block1": 1.5}
# The step of the first validation AUC above 0.8; None: never.
CROSSING = {"transfer": 24, "random": None, "transfuse:block1": 36}
STEPS = (12, 24, 36, 48, 60)
NUM_TEST = 200


def run_name(model, init, seed):
    return f"{model}-{init}-seed{seed}"


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def predictions(init, seed, num_examples=NUM_TEST):
    """Two images a patient; the arms share labels and patients."""
    patient = np.arange(num_examples) // 2
    label = np.random.default_rng(0).permutation(
        np.arange(num_examples) % 3 == 0
    )
    noise = np.random.default_rng([seed, 1]).normal(size=num_examples)
    return {
        "example_id": np.arange(num_examples),
        "patient": patient,
        "label": label.astype(np.int64),
        "score": noise + SIGNAL[init] * label,
    }


def pair_auc(arrays):
    positive = arrays["score"][arrays["label"] == 1]
    negative = arrays["score"][arrays["label"] == 0]
    return float(np.mean(positive[:, None] > negative[None, :]))


def curve(init, seed):
    start = 0.55 + 0.01 * seed
    above = {None: 99}.get(CROSSING[init], CROSSING[init])
    return [
        start + 0.03 * k + (0.26 if step >= above else 0.0)
        for k, step in enumerate(STEPS)
    ]


def first_values(model, init):
    """What `initialization.json` holds: a kernel and a scale a stage."""
    num_copied = {
        "random": 0,
        "transfer": len(STAGES[model]),
        "transfuse:block1": 2,
    }[init]
    stages = [*STAGES[model], "head"]
    return [
        {
            "variable": f"{stage}_{kind}",
            "stage": stage,
            "source": "copy"
            if place < num_copied and stage != "head"
            else "random",
        }
        for place, stage in enumerate(stages)
        for kind in ("conv/kernel", "bn/gamma")
    ]


def filters(seed):
    """The first kernels before and after training."""
    kernels = np.random.default_rng(seed).normal(size=[2, 3, 3, 3, 8])
    return {
        "steps": np.array([0, STEPS[-1]]),
        "kernels": kernels.astype(np.float32),
        "layer": np.array("stem_conv"),
    }


def matrix(seed, num_stages):
    """Stages before training against stages after it; one is undefined."""
    scores = np.random.default_rng([seed, 2]).uniform(-0.1, 1, [num_stages] * 2)
    listed = scores.tolist()
    listed[1][0] = None
    return listed


def write_run(study_dir, model, init, seed, task="synthetic", finished=True):
    path = study_dir / "runs" / run_name(model, init, seed)
    write_json(
        path / "config.json",
        {
            "schema_version": 1,
            "config": {
                "model": model,
                "init": init,
                "task": task,
                "seed": seed,
                "fold": None,
                "auc_threshold": 0.8,
                "num_steps": None,
                "num_epochs": 10,
            },
            "steps_per_epoch": 6,
            "num_outputs": 5,
            "image_shape": [64, 64, 3],
            "donor": None if init == "random" else DONOR,
            "environment": {"tensorflow": "2.21.0", "keras": "3.15.1"},
            "data": {"train": {"num_examples": 400, "num_patients": 200}},
        },
    )
    write_json(path / "initialization.json", first_values(model, init))
    np.savez(path / "filters.npz", **filters(seed))
    values = curve(init, seed)
    rows = [{"step": 6, "split": "train", "loss": 1.0}] + [
        {"step": step, "epoch": k + 1, "split": "validation", "auc": value}
        for k, (step, value) in enumerate(zip(STEPS, values, strict=True))
    ]
    (path / "metrics.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    arrays = predictions(init, seed)
    np.savez(path / "predictions_test.npz", **arrays)
    np.savez(path / "predictions_validation.npz", **arrays)
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "weights_60.weights.h5").write_bytes(b"weights")
    (path / "events.out.tfevents.1").write_bytes(b"events")
    if finished:
        write_json(
            path / "result.json",
            {
                "schema_version": 1,
                "num_steps": STEPS[-1],
                "parameters": {"total": NUM_PARAMETERS[model]},
                "validation": {"auc": values[-1]},
                "test": {"auc": pair_auc(arrays), "num_examples": NUM_TEST},
                "seconds": {"train": 12.5},
            },
        )
    return path


def write_comparison(study_dir, model, init, seed, **protocol):
    name = run_name(model, init, seed)
    base = 0.9 if init == "transfer" else 0.6
    stages = [
        {
            "stage": stage,
            "score": base - 0.08 * k + 0.01 * seed,
            "scores": [],
            "null": 0.1 + 0.01 * k,
            "nulls": [],
            "num_datapoints": 10000,
            "num_neurons": 32,
        }
        for k, stage in enumerate(STAGES[model])
    ]
    path = study_dir / "comparisons" / f"{name}-before-after"
    write_json(
        path / "comparison.json",
        {
            "schema_version": 1,
            "kind": "before_after",
            "run": name,
            "other_run": name,
            "steps": [0, STEPS[-1]],
            "measure": "cca",
            "protocol": {
                "num_positions": 10000,
                "num_channels": 64,
                "repeats": 5,
                "num_images": 387,
                "split": "test",
                "batch_norm": "recalibrated at step 0",
                "seed": 0,
                **protocol,
            },
            "stages": stages,
            "matrix": {
                "num_images": 387,
                "null": 0.0,
                "scores": matrix(seed, len(stages)),
            },
        },
    )
    return path / "comparison.json"


def pair_score(when, sides, place, sample):
    """Chosen so that after training is a line of before, in each stage."""
    (_, seed), (_, other_seed) = sorted(sides)
    is_within = sides[0][0] == sides[1][0]
    base = 0.2 if is_within else 0.1
    before = base + 0.1 * place + 0.01 * seed + 0.013 * other_seed
    before += 0.002 * sample
    return before if when == "before" else 2 * before + 0.05


def write_pair(study_dir, model, first, second, when, samples=2, **protocol):
    """Writes the comparison of two runs, each an (init, seed)."""
    stages = [
        {
            "stage": stage,
            "score": 0.0,
            "scores": [
                pair_score(when, (first, second), place, sample)
                for sample in range(samples)
            ],
            "null": 0.0,
            "nulls": [0.03 + 0.01 * place] * samples,
        }
        for place, stage in enumerate(STAGES[model])
    ]
    runs = [run_name(model, *side) for side in (first, second)]
    path = study_dir / "comparisons" / f"{runs[0]}-and-{runs[1]}-{when}"
    content = {
        "schema_version": 1,
        "kind": "between_runs",
        "run": runs[0],
        "other_run": runs[1],
        "steps": [0, 0] if when == "before" else [STEPS[-1]] * 2,
        "measure": "cca",
        "protocol": {
            "num_positions": 10000,
            "num_channels": 64,
            "num_images": 387,
            "repeats": samples,
            "split": "test",
            **protocol,
        },
        "stages": stages,
    }
    write_json(path / "comparison.json", content)
    return path / "comparison.json"


def write_pairs(study_dir, num_seeds=3, models=("cbr_tiny",), samples=2):
    """Random with random, and with transfer where the study has it."""
    seeds = range(num_seeds)
    for model in models:
        pairs = [
            (("random", one), ("random", other))
            for one in seeds
            for other in range(one)
        ]
        if (model, "transfer") in ARMS:
            pairs += [
                (("transfer", one), ("random", other))
                for one in seeds
                for other in seeds
            ]
        for first, second in pairs:
            for when in ("before", "after"):
                write_pair(study_dir, model, first, second, when, samples)
    return study_dir


def write_study(study_dir, num_seeds=3, arms=ARMS, unfinished=(), layers=True):
    """Writes a study; `unfinished` holds names of runs that did not end."""
    write_json(
        study_dir / "study.json",
        {
            "schema_version": 1,
            "name": "demo",
            "task": "synthetic",
            "arms": [{"model": m, "init": i} for m, i in arms],
            "seeds": list(range(num_seeds)),
            "auc_threshold": 0.8,
            "command": "python -m launch.study --output_dir=/home/me/runs/demo",
        },
    )
    for model, init in arms:
        for seed in range(num_seeds):
            finished = run_name(model, init, seed) not in unfinished
            write_run(study_dir, model, init, seed, finished=finished)
            if layers and finished:
                write_comparison(study_dir, model, init, seed)
    return study_dir
