"""Training on data sets that tfds prepared, which come with fewer splits."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

import transfusion_datasets
from transfusion_tf import records, training

CLASSES = tuple("abcdefg")


def store(data_dir, **split_labels) -> None:
    """Stores a data set of noise under tfds' own schema."""

    def images(labels):
        rng = np.random.default_rng(len(labels))
        for place, label in enumerate(labels):
            image = rng.integers(0, 256, (32, 32, 3), np.uint8)
            yield place, {"image": image, "label": label}

    tfds.dataset_builders.store_as_tfds_dataset(
        name="foreign",
        version="1.0.0",
        data_dir=data_dir,
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(32, 32, 3)),
                "label": tfds.features.ClassLabel(names=list(CLASSES)),
            }
        ),
        split_datasets={
            name: list(images(labels)) for name, labels in split_labels.items()
        },
        config="small",
    )
    transfusion_datasets.prepare("tfds:foreign/small", data_dir=data_dir)


def config_of(data_dir, **values) -> training.TrainConfig:
    return training.TrainConfig(
        model="cbr_tiny",
        task="tfds:foreign/small",
        data_dir=str(data_dir),
        image_size=32,
        num_steps=2,
        batch_norm_momentum=0.5,
        **values,
    )


def test_pretraining_on_train_and_test_reports_top1_and_top5(trainer, tmp_path):
    store(tmp_path, train=[k % 7 for k in range(90)], test=[0, 1, 2])
    result = trainer.train(config_of(tmp_path), tmp_path / "run")
    assert 0 <= result["test"]["accuracy"] <= result["test"]["top5_accuracy"]
    run = records.RunDirectory(tmp_path / "run")
    recorded = run.config()["data"]
    assert recorded["rule"] == (
        "The data set's own splits. A tenth of the patients of train is held "
        "out for validation."
    )
    counts = [recorded[n]["num_examples"] for n in ("train", "validation")]
    assert sum(counts) == 90
    assert recorded["test"]["label_counts"] == [1, 1, 1]


def test_a_secret_test_set_is_left_and_validation_scored(trainer, tmp_path):
    """As imagenet2012: train, validation, and a test whose labels are -1."""
    store(
        tmp_path,
        train=[k % 7 for k in range(90)],
        validation=[3],
        test=[-1] * 4,
    )
    run_data = trainer.data(config_of(tmp_path))
    assert run_data.test.split.labels.tolist() == [3]
    told = run_data.describe()
    assert "The data set's validation split is scored as test" in told
    assert "test: 1 images of 1 patients\n    d 1" in told


def test_what_has_no_train_split_cannot_be_trained_on(trainer, tmp_path):
    store(tmp_path, test=[0, 1])
    with pytest.raises(ValueError, match="no split 'train'.*data with test"):
        trainer.train(config_of(tmp_path), tmp_path / "run")
    with pytest.raises(ValueError, match="nothing to cross-validate on"):
        trainer.train(config_of(tmp_path, fold="1/3"), tmp_path / "run")


def test_views_are_asked_for_in_vain_of_what_has_no_findings(trainer, tmp_path):
    store(tmp_path, train=[0, 1], test=[0])
    with pytest.raises(ValueError, match="Only tasks of findings"):
        trainer.data(config_of(tmp_path, view="frontal"))
