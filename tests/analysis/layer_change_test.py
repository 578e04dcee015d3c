import dataclasses

import pytest

from transfusion_tf import analysis, records

PROTOCOL = analysis.ProtocolConfig(num_positions=400, repeats=2)


@pytest.fixture(scope="module")
def runs(trainer, folder_config, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        config = dataclasses.replace(folder_config, seed=seed, num_steps=4)
        trainer.train(config, root / str(seed))
    return [records.RunDirectory(root / str(seed)) for seed in (0, 1)]


def compare(runs, trainer, folder_config, first, second, **choices):
    run_data = trainer.data(folder_config)
    program = trainer.program(folder_config, run_data)
    return analysis.compare(
        analysis.Checkpoint(runs[first[0]], first[1]),
        analysis.Checkpoint(runs[second[0]], second[1]),
        capture=analysis.StageActivations(program.staged, "torch"),
        run_data=run_data,
        batch_size=8,
        **{"config": PROTOCOL} | choices,
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
            analysis.Checkpoint(runs[0], 4),
            analysis.Checkpoint(other, 4),
            trainer,
        )
