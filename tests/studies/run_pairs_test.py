"""Pairs of a study's runs: which, compared how, and never a second time."""

import dataclasses
import itertools

import pytest
import tensorflow as tf
from etils import epath

from transfusion_tf import analysis, records, studies, training
from transfusion_tf.training import strategies

PROTOCOL = analysis.ProtocolConfig(
    num_positions=300, repeats=2, num_images=50, num_channels=16
)
RANDOM = studies.Arm("cbr_tiny", "random")
SHUFFLED = studies.Arm("cbr_tiny", "shuffle")


@pytest.fixture(scope="module")
def study_trainer():
    return training.Trainer()


@pytest.fixture(scope="module")
def trained(folder_config, study_trainer, tmp_path_factory):
    """Two arms of two seeds, trained for a step: their directory."""
    path = epath.Path(tmp_path_factory.mktemp("studies") / "study")
    donor = path.parent / "donor"
    base = dataclasses.replace(folder_config, num_steps=1, eval_every_steps=1)
    study_trainer.train(base, donor)
    config = studies.StudyConfig(
        name="pairs",
        arms=(RANDOM, SHUFFLED),
        seeds=(0, 1),
        base=dataclasses.replace(base, donor=str(donor)),
        protocol=PROTOCOL,
    )
    study = studies.Study(config, path)
    records.write_json(path / "study.json", config.record(""))
    for run in config.runs():
        study_trainer.train(run, study.run(run).path)
    return path


@pytest.fixture
def study_dir(trained, tmp_path):
    """The same runs, without comparisons."""
    path = epath.Path(tmp_path / "study")
    path.mkdir()
    (tmp_path / "study" / "runs").symlink_to(str(trained / "runs"))
    (trained / "study.json").copy(path / "study.json")
    return path


def named(pairs):
    return [c.path.parent.name for c in pairs.comparisons]


def fabricate(
    path, arms, seeds, finished=lambda name: True, fold=None, study=()
):
    """Directories of runs that are names only."""
    content = {"arms": [dataclasses.asdict(a) for a in arms], "seeds": seeds}
    content |= dict(study)
    records.write_json(path / "study.json", content)
    for arm, seed in itertools.product(arms, seeds):
        place = f"-fold{fold[0]}" if fold else ""
        name = f"{arm.model}-{arm.init}{place}-seed{seed}"
        run = records.RunDirectory(path / "runs" / name)
        config = {"model": arm.model, "init": arm.init, "seed": seed}
        config["fold"] = fold
        records.write_json(
            run.config_path, {"schema_version": 1, "config": config}
        )
        if finished(name):
            result = {"schema_version": 1, "num_steps": 9}
            records.write_json(run.result_path, result)


ARMS = tuple(
    studies.Arm(model, init)
    for model in ("cbr_small", "cbr_tiny")
    for init in ("mean_var", "transfer", "random")
    if (model, init) != ("cbr_tiny", "transfer")
)


def test_three_seeds_give_three_pairs_within_and_nine_between(tmp_path):
    fabricate(tmp_path, ARMS, [0, 1, 2])
    pairs = studies.find_run_pairs(tmp_path)
    assert pairs.unfinished == ()
    # By default random and transfer; CBR-Tiny has no transfer here.
    assert len(pairs.comparisons) == 2 * (3 + 9) + 2 * 3
    names = named(pairs)
    assert len(set(names)) == len(names)
    assert not any("mean_var" in name for name in names)
    within = "cbr_tiny-random-seed0-and-cbr_tiny-random-seed2"
    assert {f"{within}-before", f"{within}-after"} <= set(names)
    steps = {
        name.rpartition("-")[2]: (c.first.step, c.second.step)
        for name, c in zip(names, pairs.comparisons, strict=True)
    }
    assert steps == {"before": (0, 0), "after": (9, 9)}


def test_arms_are_chosen_and_a_pair_has_one_name(tmp_path):
    fabricate(tmp_path, ARMS, [0, 1])
    small = {arm.init: arm for arm in ARMS if arm.model == "cbr_small"}
    one, other = (
        named(studies.find_run_pairs(tmp_path, arms))
        for arms in itertools.permutations((small["random"], small["mean_var"]))
    )
    between = {name for name in one if "mean_var" in name and "random" in name}
    assert len(between) == 8 and between == set(one) & set(other)
    assert len(one) == len(other) == 2 * (1 + 4)
    with pytest.raises(ValueError, match="cbr_tiny/transfer. The study has"):
        studies.find_run_pairs(tmp_path, [studies.Arm("cbr_tiny", "transfer")])


def test_unfinished_runs_are_named_and_not_compared(tmp_path):
    fabricate(tmp_path, ARMS[-1:], [0, 1, 2], lambda name: "seed1" not in name)
    pairs = studies.find_run_pairs(tmp_path)
    assert pairs.unfinished == ("cbr_tiny/random seed 1",)
    assert len(pairs.comparisons) == 2
    fabricate(tmp_path / "one", ARMS[-1:], [0, 1], lambda name: "seed0" in name)
    with pytest.raises(ValueError, match="no two finished runs.*seed 1"):
        studies.find_run_pairs(tmp_path / "one")
    with pytest.raises(FileNotFoundError, match="without study.json"):
        studies.find_run_pairs(tmp_path / "none")


def test_runs_of_seeds_that_the_study_no_longer_names_are_not_compared(
    tmp_path,
):
    # The report leaves them out.
    fabricate(tmp_path, ARMS[-1:], [0, 1, 2])
    fabricate(tmp_path, ARMS[-1:], [0, 2])
    assert [
        name.count("seed1") for name in named(studies.find_run_pairs(tmp_path))
    ] == [0, 0]


def test_runs_of_one_fold_are_compared(tmp_path):
    for name, study, compared in (
        ("all", {"num_folds": 5}, 1),
        ("one", {"num_folds": None, "fold": "2/5"}, 2),
    ):
        for fold in ("1/5", "2/5"):
            fabricate(
                tmp_path / name, ARMS[-1:], [0, 1], fold=fold, study=study
            )
        pairs = studies.find_run_pairs(tmp_path / name)
        assert pairs.unfinished == ()
        run = f"cbr_tiny-random-fold{compared}-seed"
        assert named(pairs) == [
            f"{run}0-and-{run}1-{when}" for when in ("before", "after")
        ]


def counted_captures(monkeypatch):
    captured = []
    whole = analysis.capture_checkpoint

    def capture(checkpoint, **choices):
        captured.append((checkpoint.run.path.name, checkpoint.step))
        return whole(checkpoint, **choices)

    monkeypatch.setattr(analysis, "capture_checkpoint", capture)
    return captured


def test_each_checkpoint_is_captured_once_and_a_pair_scored_as_alone(
    study_dir, study_trainer, folder_config, monkeypatch
):
    captured = counted_captures(monkeypatch)
    pairs = studies.find_run_pairs(study_dir, [RANDOM, SHUFFLED])
    assert len(pairs.comparisons) == 2 * (1 + 4)
    parts = []
    studies.compare_run_pairs(
        pairs,
        study_trainer,
        config=PROTOCOL,
        start=lambda *count: parts.append(count),
    )
    assert parts == [(10 + 8, 0)]
    assert len(captured) == len(set(captured)) == 4 * 2
    for comparison in pairs.comparisons[1::8]:
        alone = analysis.compare_runs(
            analysis.ComparisonRequest(
                comparison.first, comparison.second, PROTOCOL
            ),
            study_trainer,
        )
        assert records.read_json(comparison.path) == alone
        assert alone["kind"] == "between_runs"
        assert all(s["null"] < s["score"] <= 1 for s in alone["stages"])


def test_what_is_finished_is_not_done_again(
    study_dir, study_trainer, monkeypatch
):
    pairs = studies.find_run_pairs(study_dir, [RANDOM])
    stop = training.StopRequest()
    stop.set()
    stopped = training.Trainer(stop_request=stop)
    with pytest.raises(training.Interrupted, match="Repeat the same command"):
        studies.compare_run_pairs(pairs, stopped, config=PROTOCOL)
    studies.compare_run_pairs(pairs, study_trainer, config=PROTOCOL)
    before, after = (c.path for c in pairs.comparisons)
    kept, content = after.stat().mtime, records.read_json(before)
    before.unlink()
    captured, parts = counted_captures(monkeypatch), []
    studies.compare_run_pairs(
        pairs,
        study_trainer,
        config=PROTOCOL,
        start=lambda *count: parts.append(count),
    )
    assert [step for _, step in captured] == [0, 0]
    assert parts == [(2 + 2, 1)]
    assert after.stat().mtime == kept
    assert records.read_json(before) == content
    other = dataclasses.replace(PROTOCOL, repeats=3)
    with pytest.raises(ValueError, match="--repeats: was 2, is 3"):
        studies.compare_run_pairs(pairs, study_trainer, config=other)


def test_a_stop_is_heeded_between_two_stages_of_a_pair(
    study_dir, stop_in_first_stage
):
    stop, scored = stop_in_first_stage
    with pytest.raises(training.Interrupted, match="that are finished"):
        studies.compare_run_pairs(
            studies.find_run_pairs(study_dir, [RANDOM]),
            training.Trainer(stop_request=stop),
            config=PROTOCOL,
        )
    assert scored == ["conv1"]


def test_of_several_workers_the_first_writes(
    study_dir, study_trainer, monkeypatch
):
    pairs = studies.find_run_pairs(study_dir, [RANDOM])
    monkeypatch.setattr(training, "is_chief", lambda strategy: False)
    studies.compare_run_pairs(pairs, study_trainer, config=PROTOCOL)
    assert not (study_dir / "comparisons").exists()


def test_workers_that_compare_stop_together(
    study_dir, study_trainer, monkeypatch
):
    pairs = studies.find_run_pairs(study_dir, [RANDOM])
    # Another worker was asked to, not this one.
    monkeypatch.setattr(training, "is_stop_agreed", lambda *_: True)
    with pytest.raises(
        training.Interrupted, match="comparisons that are finished"
    ):
        studies.compare_run_pairs(pairs, study_trainer, config=PROTOCOL)
    assert not (study_dir / "comparisons").exists()


def test_a_worker_that_has_stopped_is_told_not_traced(
    study_dir, study_trainer, monkeypatch
):
    pairs = studies.find_run_pairs(study_dir, [RANDOM])

    def fail(*_, **__):
        raise tf.errors.UnavailableError(None, None, "Socket closed")

    monkeypatch.setattr(analysis, "capture_checkpoint", fail)
    with pytest.raises(tf.errors.UnavailableError):
        studies.compare_run_pairs(pairs, study_trainer, config=PROTOCOL)
    monkeypatch.setattr(strategies, "num_workers", lambda strategy: 2)
    with pytest.raises(RuntimeError, match="worker of these comparisons has"):
        studies.compare_run_pairs(pairs, study_trainer, config=PROTOCOL)


def test_weights_that_were_not_kept_are_found_before_any_work(
    study_dir, study_trainer, monkeypatch, tmp_path
):
    captured = counted_captures(monkeypatch)
    pairs = studies.find_run_pairs(study_dir, [RANDOM])
    last = dataclasses.replace(pairs.comparisons[-1].second, step=7)
    changed = dataclasses.replace(pairs.comparisons[-1], second=last)
    pairs = dataclasses.replace(
        pairs, comparisons=(*pairs.comparisons[:-1], changed)
    )
    with pytest.raises(FileNotFoundError, match="--keep_checkpoint_steps=7"):
        studies.compare_run_pairs(pairs, study_trainer, config=PROTOCOL)
    assert not captured
