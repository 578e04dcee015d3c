import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data.fake_splits import fake_split
from transfusion_tf import data


def write_image(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full([4, 4, 3], value, np.uint8)
    # Equal files would count as one patient.
    pixels[0] = np.frombuffer(str(path).encode()[-12:], np.uint8).reshape(4, 3)
    path.write_bytes(tf.io.encode_png(pixels).numpy())


@pytest.fixture
def class_folders(tmp_path):
    for place, name in enumerate(["cat", "dog"]):
        for number in range(40):
            write_image(tmp_path / name / f"{number}.jpg", 100 * place)
    return tmp_path


def test_class_folders_are_split_without_loss_or_overlap(class_folders):
    task = data.task(f"folder:{class_folders}")
    assert task.classes == ("cat", "dog")
    splits = [data.open_split(task, name) for name in data.SPLIT_NAMES]
    names = np.concatenate([split.image_ids for split in splits])
    assert len(set(names)) == len(names) == 80
    data.check_patients_disjoint(splits)
    for split in splits:
        expected = [int(name.startswith("dog")) for name in split.image_ids]
        np.testing.assert_array_equal(split.labels, expected)


def test_any_stretch_of_a_folder_is_a_random_sample(class_folders):
    split = data.open_split(data.task(f"folder:{class_folders}"), "train")
    halves = np.array_split(split.labels, 2)
    # By chance: three standard errors of a share of 30 of 60.
    for half in halves:
        assert half.mean() == pytest.approx(split.labels.mean(), abs=0.2)


def test_given_folders_are_kept_and_validation_is_taken_from_train(tmp_path):
    for split, count in [("train", 60), ("test", 5)]:
        for name in ("cat", "dog"):
            for number in range(count):
                write_image(tmp_path / split / name / f"{number}.jpg")
    task = data.task(f"folder:{tmp_path}")
    sizes = {
        name: data.open_split(task, name).num_examples
        for name in data.SPLIT_NAMES
    }
    assert sizes["test"] == 10
    assert sizes["train"] + sizes["validation"] == 120
    assert 0 < sizes["validation"] < 30


def test_the_sample_photographs_are_counted(sample_data):
    # ../shared/data/README.md of the sample: 1,000 and 200 of each class.
    task = data.task(f"folder:{sample_data / 'cifar10_jpeg'}")
    assert len(task.classes) == 10
    test = data.open_split(task, "test")
    assert np.bincount(test.labels).tolist() == [200] * 10


def test_a_damaged_image_is_named_before_training(class_folders):
    damaged = class_folders / "dog" / "17.jpg"
    damaged.write_bytes(damaged.read_bytes()[:60])
    task = data.task(f"folder:{class_folders}")
    with pytest.raises(ValueError, match=r"cannot be decoded.*dog/17\.jpg"):
        for name in data.SPLIT_NAMES:
            data.open_split(task, name)


def test_a_directory_without_classes_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="0 class folders were found"):
        data.task(f"folder:{tmp_path}")
    with pytest.raises(FileNotFoundError, match="0 class folders were found"):
        data.task(f"folder:{tmp_path / 'nowhere'}")


def test_unprepared_data_come_with_the_command_that_prepares_them(tmp_path):
    task = data.task("eyepacs_referable")
    command = (
        "python -m launch.prepare_data "
        f"--dataset=transfusion_eyepacs/circle112 --data_dir={tmp_path}"
    )
    with pytest.raises(FileNotFoundError, match=command):
        data.open_split(
            task, "train", data_dir=str(tmp_path), dataset_config="circle112"
        )
    with pytest.raises(ValueError, match="Received: no --data_dir"):
        data.open_split(task, "train")


def test_an_unknown_task_or_split_is_refused():
    with pytest.raises(ValueError, match="eyepacs_referable, .*folder:PATH"):
        data.task("eyepacs")
    with pytest.raises(ValueError, match="Use one of train, validation, test"):
        data.open_split(data.task("eyepacs_referable"), "dev")


def test_a_patient_in_two_splits_is_refused():
    train, test = fake_split(5), fake_split(5, name="test")
    data.check_patients_disjoint([train, test])
    test = test.take(np.arange(10))
    test.patients[3] = "trai4"
    train.patients[7] = "trai4"
    with pytest.raises(ValueError, match="train and test.*patients trai4"):
        data.check_patients_disjoint([train, test])


def test_prepared_data_are_read_as_they_were_written(synthetic_data_dir):
    task = data.task("synthetic_fundus_referable")
    splits = [
        data.open_split(task, name, data_dir=str(synthetic_data_dir))
        for name in data.SPLIT_NAMES
    ]
    data.check_patients_disjoint(splits)
    assert [split.num_examples for split in splits] == [400, 100, 200]
    # Two eyes a patient.
    assert [split.num_patients for split in splits] == [200, 50, 100]
    directory = synthetic_data_dir / "transfusion_synthetic_fundus/n64"
    (builder,) = (
        tfds.builder_from_directory(path) for path in directory.iterdir()
    )
    reader = data.SplitReader(splits[2], 64)
    (batch,) = reader.evaluation_batches(200).as_numpy_iterator()
    pixels = {
        example["image_id"].decode(): (example["image"], example["grade"])
        for example in tfds.as_numpy(builder.as_dataset(split="test"))
    }
    for place, name in enumerate(splits[2].image_ids):
        np.testing.assert_array_equal(batch["image"][place], pixels[name][0])
        assert batch["label"][place] == pixels[name][1]


@pytest.mark.parametrize("label", [-2, 5])
def test_a_label_out_of_range_is_refused_naming_the_image(
    synthetic_data_dir, monkeypatch, label
):
    import transfusion_tf.data.prepared as module

    def with_a_bad_label(*arguments):
        split = open_prepared(*arguments)
        split.labels[3] = label
        return split

    open_prepared = module.open_prepared
    monkeypatch.setattr(module, "open_prepared", with_a_bad_label)
    task = data.task("synthetic_fundus_referable")
    with pytest.raises(ValueError, match=f"label {label} of image.*0 to 4"):
        data.open_split(task, "test", data_dir=str(synthetic_data_dir))
