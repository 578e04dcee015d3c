"""Data and runs that many tests share, made once a session."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf import training

IMAGE_SIZE = 32


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory) -> pathlib.Path:
    """30 train and 7 test images of each of two classes, told by colour."""
    root = tmp_path_factory.mktemp("class_folders")
    generator = np.random.default_rng(0)
    for split, count in (("train", 30), ("test", 7)):
        for place, name in enumerate(("dark", "light")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(0, 120, [IMAGE_SIZE] * 2 + [3])
                pixels = tf.constant(noise + 60 * place, tf.uint8)
                path = folder / f"{number}.png"
                path.write_bytes(tf.io.encode_png(pixels).numpy())
    return root


@pytest.fixture(scope="session")
def synthetic_data_dir(tmp_path_factory) -> pathlib.Path:
    """The synthetic fundus set at 64 pixels, prepared."""
    import transfusion_datasets

    data_dir = tmp_path_factory.mktemp("tfds")
    transfusion_datasets.prepare(
        "transfusion_synthetic_fundus/n64", data_dir=str(data_dir)
    )
    return data_dir


@pytest.fixture(scope="session")
def folder_config(class_folders) -> training.TrainConfig:
    """A run of seconds: CBR-Tiny on the class folders."""
    return training.TrainConfig(
        model="cbr_tiny",
        task=f"folder:{class_folders}",
        image_size=IMAGE_SIZE,
        batch_size=8,
        num_epochs=2,
        eval_every_steps=3,
        batch_norm_momentum=0.5,
    )


@pytest.fixture(scope="session")
def trainer() -> training.Trainer:
    """One trainer, so that equal architectures are compiled once."""
    return training.Trainer()
