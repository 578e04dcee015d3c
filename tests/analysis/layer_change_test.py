import dataclasses

import numpy as np
import pytest

from transfusion_tf import analysis, records, similarity, training

PROTOCOL = analysis.ProtocolConfig(num_positions=400, repeats=2)


@pytest.fixture(scope="module")
def runs(trainer, folder_config, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        config = dataclasses.replace(folder_config, seed=seed, num_steps=4)
        trainer.train(config, root / str(seed))
    return [records.RunDirectory(root / str(seed)) for seed in (0, 1)]


def request_of(runs, first, second, **choices):
    return analysis.ComparisonRequest(
        analysis.Checkpoint(runs[first[0]], first[1]),
        analysis.Checkpoint(runs[second[0]], second[1]),
        **{"config": PROTOCOL} | choices,
    )


def compare(runs, trainer, folder_config, first, second, **choices):
    run_data = trainer.data(folder_config)
    program = trainer.program(folder_config, run_data)
    return analysis.compare(
        request_of(runs, first, second, **choices),
        capture=analysis.StageActivations(program),
        run_data=run_data,
    )


def test_stages_and_measures_are_chosen(runs, trainer, folder_config):
    sides = (runs, trainer, folder_config, (0, 0), (0, 4))
    whole = compare(*sides)
    assert whole["other_measures"] == {}
    chosen = compare(
        *sides, stages=["conv3", "conv1"], other_measures=["cka", "pwcca"]
    )
    assert chosen["measure"] == "cca"
    assert chosen["stages"] == [whole["stages"][2], whole["stages"][0]]
    assert list(chosen["other_measures"]) == ["cka", "pwcca"]
    for stages in chosen["other_measures"].values():
        assert [stage["stage"] for stage in stages] == ["conv3", "conv1"]
        assert all(s["null"] < s["score"] < 1 for s in stages)
    cka = dataclasses.replace(PROTOCOL, measure="cka")
    alone = compare(*sides, config=cka)
    assert alone["measure"] == "cka"
    assert alone["stages"][0] == chosen["other_measures"]["cka"][1]
    with pytest.raises(ValueError, match="'conv9'.*conv1, conv2"):
        compare(*sides, stages=["conv9"])


def test_a_stop_is_heeded_between_two_stages(runs, trainer, folder_config):
    request = request_of(runs, (0, 0), (0, 4), other_measures=["cka"])
    sides = [
        analysis.capture_checkpoint(
            checkpoint,
            capture=analysis.StageActivations(
                trainer.program(folder_config, trainer.data(folder_config))
            ),
            run_data=trainer.data(folder_config),
            config=PROTOCOL,
        )
        for checkpoint in (request.first, request.second)
    ]
    asked = []

    def stop_if_asked(place):
        asked.append(place)
        if len(asked) == 6:
            raise training.Interrupted("Stopped.")

    with pytest.raises(training.Interrupted):
        analysis.score_checkpoints(request, sides, stop_if_asked)
    assert asked == [0, 1, 2, 3, 0, 1]


def test_a_checkpoint_is_its_own_likeness(runs, trainer, folder_config):
    comparison = compare(runs, trainer, folder_config, (0, 4), (0, 4))
    for stage in comparison["stages"][:3]:
        assert stage["score"] == pytest.approx(1.0, abs=1e-6)
        assert stage["null"] < 0.999


def test_training_changes_the_representation(runs, trainer, folder_config):
    comparison = compare(runs, trainer, folder_config, (0, 0), (0, 4))
    assert comparison["kind"] == "before_after"
    assert comparison["steps"] == [0, 4]
    assert comparison["protocol"]["channels"] == "same"
    names = [stage["stage"] for stage in comparison["stages"]]
    assert names == ["conv1", "conv2", "conv3", "conv4"]
    assert all(stage["score"] < 0.999 for stage in comparison["stages"])


def test_every_stage_is_scored_against_every_one(runs, trainer, folder_config):
    sides = (runs, trainer, folder_config, (0, 0), (0, 4))
    matrix = compare(*sides)["matrix"]
    run_data = trainer.data(folder_config)
    program = trainer.program(folder_config, run_data)
    captured = [
        analysis.capture_checkpoint(
            analysis.Checkpoint(runs[0], step),
            capture=analysis.StageActivations(program),
            run_data=run_data,
            config=PROTOCOL,
        )
        for step in (0, 4)
    ]
    for i, before in enumerate(captured[0].values()):
        for j, after in enumerate(captured[1].values()):
            expected = similarity.cka(before.mean((1, 2)), after.mean((1, 2)))
            received = matrix["scores"][i][j]
            assert received == pytest.approx(expected.score, abs=1e-5)
    assert np.shape(matrix["scores"]) == (4, 4)
    assert matrix["num_images"] == 14 and matrix["null"] == 0.0
    chosen = compare(*sides, stages=["conv3", "conv1"])["matrix"]
    # Other columns beside it, another rounding.
    assert chosen["scores"][0][1] == pytest.approx(
        matrix["scores"][2][0], abs=1e-12
    )
    between = compare(runs, trainer, folder_config, (0, 4), (1, 4))
    assert "matrix" not in between


def test_equal_input_gives_an_equal_comparison(runs, trainer, folder_config):
    first = compare(runs, trainer, folder_config, (0, 0), (0, 4))
    assert first == compare(runs, trainer, folder_config, (0, 0), (0, 4))


def test_channels_of_two_runs_are_drawn_independently(
    runs, trainer, folder_config
):
    comparison = compare(runs, trainer, folder_config, (0, 4), (1, 4))
    assert comparison["kind"] == "between_runs"
    assert comparison["other_run"] == "1"
    assert comparison["protocol"]["channels"] == "independent"


def test_weights_that_were_not_kept_are_named(runs, trainer, folder_config):
    with pytest.raises(FileNotFoundError, match="--keep_checkpoint_steps=2"):
        compare(runs, trainer, folder_config, (0, 2), (0, 4))


def test_runs_of_different_networks_are_refused(runs, trainer, tmp_path):
    record = runs[0].config()
    record["config"]["model"] = "cbr_small"
    other = records.RunDirectory(tmp_path)
    records.write_json(other.config_path, record)
    with pytest.raises(ValueError, match="model='cbr_tiny' and 'cbr_small'"):
        analysis.compare_runs(
            request_of([runs[0], other], (0, 4), (1, 4)), None
        )


def test_runs_that_scale_pixels_differently_are_refused(
    runs, trainer, tmp_path
):
    # One capture serves both sides: the other's input would be wrong.
    record = runs[1].config()
    assert record["preprocessing"] == "torch"
    said, other = (
        records.RunDirectory(tmp_path / name) for name in ("said", "other")
    )
    record["config"]["preprocessing"] = "torch"
    records.write_json(said.config_path, record)
    analysis.check_comparable([runs[0], said])  # It was "torch" unsaid too.
    records.write_json(other.config_path, record | {"preprocessing": "caffe"})
    weights = other.weights_path(4)
    weights.parent.mkdir()
    runs[1].weights_path(4).copy(weights)
    with pytest.raises(ValueError, match="preprocessing='torch' and 'caffe'"):
        analysis.compare_runs(
            request_of([runs[0], other], (0, 4), (1, 4)), trainer
        )


def test_what_cannot_be_scored_is_found_before_anything_is_captured(runs):
    with pytest.raises(ValueError, match="'conv9'.*conv1, conv2"):
        request_of(runs, (0, 0), (0, 4), stages=["conv1", "conv9"])
    with pytest.raises(ValueError, match="Unknown measures.*'cka', 'cosine'"):
        request_of(runs, (0, 0), (0, 4), other_measures=["cka", "cosine"])


def test_a_finished_comparison_of_the_same_request_is_read(
    runs, trainer, tmp_path
):
    request = request_of(runs, (0, 4), (1, 4), other_measures=["cka"])
    made = analysis.compare_runs(request, trainer, output_dir=tmp_path)
    # Without a trainer nothing can be captured.
    again = request_of(runs, (0, 4), (1, 4), other_measures=["cka"])
    assert analysis.compare_runs(again, None, output_dir=tmp_path) == made
    assert made["request"]["stages"] == ["conv1", "conv2", "conv3", "conv4"]


@pytest.mark.parametrize(
    ("sides", "choices", "told"),
    [
        (((0, 0), (1, 4)), {}, "--step_a: was 4, is 0"),
        (((1, 4), (0, 4)), {}, "--run_a: was '0 .*', is '1 .*--run_b"),
        (((0, 4), (1, 4)), {"stages": ["conv1"]}, "--stages: was"),
        (((0, 4), (1, 4)), {"other_measures": ["cka"]}, "--measures: was"),
        (
            ((0, 4), (1, 4)),
            {"config": dataclasses.replace(PROTOCOL, num_images=7)},
            "--num_images: was 500, is 7",
        ),
    ],
)
def test_a_comparison_of_another_request_is_an_error_that_names_it(
    runs, tmp_path, sides, choices, told
):
    request = request_of(runs, (0, 4), (1, 4))
    content = {"request": request.record()}
    records.write_json(tmp_path / "comparison.json", content)
    other = request_of(runs, *sides, **choices)
    with pytest.raises(ValueError, match=f"another request.*{told}"):
        analysis.compare_runs(other, None, output_dir=tmp_path)


def test_another_run_of_the_same_name_is_another_request(runs, tmp_path):
    record = runs[0].config()
    record["config"]["learning_rate"] = 0.5
    namesake = records.RunDirectory(tmp_path / runs[0].path.name)
    records.write_json(namesake.config_path, record)
    ours, theirs = (
        request_of([run, runs[1]], (0, 4), (1, 4)).record()
        for run in (runs[0], namesake)
    )
    assert ours.pop("run_a") != theirs.pop("run_a")
    assert ours == theirs


def test_checkpoints_that_are_not_named_are_the_first_and_the_last(runs):
    paths = [str(run.path) for run in runs]

    def steps(*given):
        first, second = analysis.two_checkpoints(*given)
        return (
            first.run.path.name,
            first.step,
            second.run.path.name,
            second.step,
        )

    assert steps(paths[0]) == ("0", 0, "0", 4)
    assert steps(*paths) == ("0", 4, "1", 4)
    assert steps(*paths, 0, 0) == ("0", 0, "1", 0)


def test_the_seed_of_sampling_chooses_the_kept_positions(
    runs, trainer, folder_config, monkeypatch
):
    monkeypatch.setattr(analysis.activations, "MAX_GRID_POSITIONS", 50)
    kept = []
    take = analysis.activations.similarity.choose_positions

    def spy(num_images, grid_size, num_positions, *, seed):
        if num_images == 1:
            kept.append(seed)
        return take(num_images, grid_size, num_positions, seed=seed)

    monkeypatch.setattr(
        analysis.activations.similarity, "choose_positions", spy
    )
    config = dataclasses.replace(PROTOCOL, sampling_seed=3)
    request = request_of(runs, (0, 4), (0, 4), config=config)
    analysis.compare_runs(request, trainer)
    assert set(kept) == {3}
