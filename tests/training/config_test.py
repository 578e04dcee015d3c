import dataclasses

import pytest

from transfusion_tf import training


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model", "resnet18", "model=.resnet18.*Models are resnet50"),
        ("augmentation", "mixup", "Received: augmentation='mixup'"),
        ("preprocessing", "yuv", "Use one of caffe, tf, torch, lite"),
        ("optimizer", "lamb", "Use one of adam, sgd"),
        ("strategy", "horovod", "Use one of default, mirrored"),
        ("batch_size", 0, "Use --batch_size=1 or more"),
        ("num_epochs", -1, "`num_epochs` must be at least 1"),
        ("num_steps", 0, "`num_steps` must be at least 1"),
        ("learning_rate", 0.0, "`learning_rate` must be greater than 0.0"),
        ("batch_norm_momentum", 1.0, "must be less than 1.0"),
        ("auc_threshold", 1.0, "must be less than 1.0"),
        ("image_size", 0, "`image_size` must be at least 1"),
        ("early_stopping", 0, "`early_stopping` must be at least 1"),
    ],
)
def test_an_impossible_value_is_refused_with_the_mend(field, value, message):
    with pytest.raises(ValueError, match=message):
        training.TrainConfig(**{field: value})


def test_xla_with_several_replicas_is_refused():
    with pytest.raises(ValueError, match="on one device only"):
        training.TrainConfig(jit_compile=True, strategy="mirrored")


def test_every_field_explains_itself_in_its_own_words():
    helps = [
        field.metadata["help"]
        for field in dataclasses.fields(training.TrainConfig)
    ]
    assert all(text.endswith(".") for text in helps)
    assert len(set(helps)) == len(helps)


def test_a_record_holds_every_choice_and_no_location():
    config = training.TrainConfig(data_dir="/secret", seed=7)
    record = config.record()
    fields = {f.name for f in dataclasses.fields(config)}
    assert set(record) == fields - set(training.LOCATION_FIELDS)
    assert "/secret" not in str(record)
    restored = training.TrainConfig.from_record(record, data_dir="/secret")
    assert restored == config


def test_runs_of_a_study_have_names_of_their_own():
    names = {
        training.TrainConfig(model=model, init=init, seed=seed).run_name
        for model in ("cbr_tiny", "cbr_small")
        for init in ("random", "transfer")
        for seed in (0, 1)
    }
    assert len(names) == 8
