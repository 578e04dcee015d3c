import dataclasses

import pytest

from transfusion_tf import analysis, studies, training

BASE = training.TrainConfig(donor=None)


def study_of(arms, seeds=(0, 1)):
    return studies.StudyConfig(
        name="test",
        arms=tuple(studies.Arm.parse(arm) for arm in arms),
        seeds=seeds,
        base=BASE,
        protocol=analysis.ProtocolConfig(),
    )


def test_every_arm_is_run_with_every_seed():
    arms = ["cbr_tiny/random", "resnet50/transfer", "resnet50/random"]
    names = [config.run_name for config in study_of(arms).runs()]
    assert sorted(names) == sorted(
        f"{arm.replace('/', '-')}-seed{seed}" for arm in arms for seed in (0, 1)
    )


def test_runs_of_one_architecture_stand_together():
    # So that each architecture is compiled once.
    arms = ["resnet50/transfer", "cbr_tiny/random", "resnet50/random"]
    models = [config.model for config in study_of(arms).runs()]
    assert models == ["resnet50"] * 4 + ["cbr_tiny"] * 2


def test_the_donor_is_not_handed_to_random_arms():
    arms = ["random", "transfer", "transfuse:none"]
    study = study_of([f"resnet50/{init}" for init in arms])
    base = dataclasses.replace(BASE, donor="weights.h5")
    study = dataclasses.replace(study, base=base)
    donors = {config.init: config.donor for config in study.runs()}
    assert donors == {
        "random": None,
        "transfer": "weights.h5",
        "transfuse:none": None,
    }


@pytest.mark.parametrize("text", ["resnet50", "resnet50/", "/random", ""])
def test_an_arm_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="An arm is written model/init"):
        studies.Arm.parse(text)


@pytest.mark.parametrize(
    ("arms", "seeds"),
    [([], (0,)), (["cbr_tiny/random"], ()), (["cbr_tiny/random"] * 2, (0,))],
)
def test_nothing_to_compare_or_the_same_twice_is_refused(arms, seeds):
    with pytest.raises(ValueError, match="no two alike"):
        study_of(arms, seeds)


def test_a_variant_with_a_factor_is_a_model():
    arm = studies.Arm.parse("resnet50:slim=block2/4/transfuse:block2")
    assert arm == studies.Arm("resnet50:slim=block2/4", "transfuse:block2")


def test_an_unknown_model_is_found_when_the_study_is_made():
    with pytest.raises(ValueError, match="Received: model='vgg'"):
        study_of(["vgg/random"])
