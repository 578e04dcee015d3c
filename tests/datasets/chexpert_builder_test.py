import io
import pathlib
import shutil
import tempfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import transfusion_datasets
from tests.datasets.chexpert_files import (
    BLANK,
    row,
    write_csv,
    write_version,
)
from transfusion_datasets import chest_xrays
from transfusion_datasets.transfusion_chexpert import (
    transfusion_chexpert_dataset_builder as chexpert,
)
from transfusion_tf import data, training
from transfusion_tf.raw import errors

ALL = "CheXpert-v1.0-small"


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """The checks of tfds itself, on X-rays made on the fly."""

    DATASET_CLASS = chexpert.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["all224"]
    SPLITS = {"train": 12, "validation": 1}

    @classmethod
    def setUpClass(cls) -> None:
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        write_version(pathlib.Path(cls.EXAMPLE_DIR), ALL)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.EXAMPLE_DIR)
        super().tearDownClass()


def write_xray(path: pathlib.Path, number: int, **save: object) -> None:
    """A wide image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    grey = rng.integers(50, 256, (20, 32), np.uint8)
    Image.fromarray(grey).save(path, **save)


def name_of(part: str, patient: int, view: str = "frontal") -> str:
    return f"{part}/patient{patient:05d}/study1/view1_{view}.jpg"


def labels(**states: str) -> tuple[str, ...]:
    return tuple(states.get(n, "") for n in chest_xrays.LABEL_NAMES)


# What the radiologists' reports say of Edema, by patient.
EDEMA = {1: "1.0", 2: "0.0", 3: "-1.0", 4: ""}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """40 patients with a frontal view, every fourth with a lateral one."""
    root = tmp_path_factory.mktemp("raw") / ALL
    train = [(number, "frontal") for number in range(1, 41)]
    train += [(number, "lateral") for number in range(4, 41, 4)]
    told = [
        row(
            f"{ALL}/{name_of('train', number, view)}",
            labels(Edema=EDEMA[(number - 1) % 4 + 1], Cardiomegaly="1.0"),
        )
        for number, view in train
    ]
    write_csv(root / "train.csv", told)
    write_csv(
        root / "valid.csv",
        [row(f"{ALL}/{name_of('valid', n)}", BLANK) for n in (41, 42)],
    )
    for place, (number, view) in enumerate(train):
        write_xray(root / name_of("train", number, view), place)
    for number in (41, 42):
        write_xray(root / name_of("valid", number), 100 + number)
    prepared = tmp_path_factory.mktemp("prepared")
    transfusion_datasets.prepare(
        "transfusion_chexpert/all32", manual_dir=root, data_dir=prepared
    )
    return prepared


def config_of(data_dir: pathlib.Path, **values: object) -> training.TrainConfig:
    return training.TrainConfig(
        task="chexpert5",
        data_dir=str(data_dir),
        dataset_config="all32",
        image_size=32,
        **values,
    )


def test_the_longer_side_is_brought_to_size_and_the_shape_kept(
    data_dir: pathlib.Path,
) -> None:
    builder = transfusion_datasets.prepared_builder(
        "transfusion_chexpert/all32", data_dir=data_dir
    )
    for example in tfds.as_numpy(builder.as_dataset(split="train")):
        image = example["image"]
        assert image.shape == (32, 32, 1)
        # 20 rows of the X-ray between two black bars; JPEG rings a little.
        assert image[:4].max() < 40 and image[-4:].max() < 40
        assert image[8:24].mean() > 100


def test_original_keeps_the_bytes_of_a_file_unless_it_asks_to_be_turned(
    tmp_path: pathlib.Path,
) -> None:
    upright, turned = tmp_path / "a.jpg", tmp_path / "b.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    write_xray(upright, 0)
    write_xray(turned, 0, exif=exif)
    item = chest_xrays.items.Item("a", "1", str(upright))
    kept = chest_xrays.process(item, size=None)
    assert kept.example["image"] == upright.read_bytes()
    assert kept.notes == ()
    item = chest_xrays.items.Item("b", "1", str(turned))
    made = chest_xrays.process(item, size=None)
    assert made.notes == ("rotated", "re-encoded")
    image = Image.open(io.BytesIO(made.example["image"]))
    assert (image.width, image.height) == (20, 32)


def test_the_official_validation_is_scored_and_another_held_out(
    data_dir: pathlib.Path,
) -> None:
    run_data = training.TaskData(training.TaskDataKey.of(config_of(data_dir)))
    run_data.check_disjoint()
    assert run_data.test.split.num_examples == 2
    counts = [
        reader.split.num_examples
        for reader in (run_data.train, run_data.validation)
    ]
    assert sum(counts) == 50 and min(counts) > 0
    assert "validation split is scored as test" in run_data.describe()


def test_labels_are_the_tasks_findings_in_its_order(
    data_dir: pathlib.Path,
) -> None:
    task = data.task("chexpert5")
    split = data.open_split(
        task, "train", data_dir=str(data_dir), dataset_config="all32"
    )
    by_patient = dict(zip(split.patients, split.labels.tolist(), strict=True))
    assert by_patient["patient00001"] == [-2, 1, -2, 1, -2]
    assert by_patient["patient00002"] == [-2, 1, -2, 0, -2]
    assert by_patient["patient00003"] == [-2, 1, -2, -1, -2]
    assert by_patient["patient00004"] == [-2, 1, -2, -2, -2]


@pytest.mark.parametrize(
    ("view", "kept", "text"),
    [
        ("frontal", 40, "train split: 10 not frontal."),
        ("lateral", 10, "validation split: 2 not lateral."),
        ("all", 50, "views: all"),
    ],
)
def test_views_are_kept_as_asked_and_the_others_counted(
    data_dir: pathlib.Path, view: str, kept: int, text: str
) -> None:
    # With the two frontal ones of valid.csv, which has no lateral ones.
    kept += 2 * (view != "lateral")
    for fold in (None, "1/5"):
        config = config_of(data_dir, view=view, fold=fold)
        run_data = training.TaskData(training.TaskDataKey.of(config))
        run_data.check_disjoint()
        sizes = [
            run_data.reader(name).split.num_examples
            for name in data.SPLIT_NAMES
        ]
        assert sum(sizes) == kept and min(sizes) > 0
        assert text in run_data.describe()


@pytest.mark.parametrize(
    ("policy", "mean"),
    [("u_zeros", 0.25), ("u_ones", 0.5), ("u_ignore", 1 / 3)],
)
def test_policy_filter_and_counts_are_recorded(
    data_dir: pathlib.Path, policy: str, mean: float
) -> None:
    config = config_of(data_dir, view="frontal", label_policy=policy)
    run_data = training.TaskData(training.TaskDataKey.of(config))
    states = run_data.summary()["train"]["label_counts"]["Edema"]
    n = run_data.train.split.num_examples
    assert sum(states.values()) == n
    targets = run_data.summary()["train"]["targets"]["Edema"]
    positive, uncertain = states["positive"], states["uncertain"]
    expected = {
        "u_zeros": (n, positive / n),
        "u_ones": (n, (positive + uncertain) / n),
        "u_ignore": (n - uncertain, positive / (n - uncertain)),
    }[policy]
    assert targets["num_learnt"] == expected[0]
    assert targets["mean_target"] == pytest.approx(expected[1])
    assert targets["mean_target"] == pytest.approx(mean, abs=0.06)
    assert f"Label policy: {policy}, blank=zero" in run_data.describe()


def test_the_same_patient_in_train_and_valid_is_refused(
    tmp_path: pathlib.Path,
) -> None:
    folder = write_version(tmp_path / "raw", ALL)
    shutil.copytree(
        folder / "train/patient00001", folder / "valid/patient00001"
    )
    names = [
        f"{ALL}/valid/patient00001/study2/view1_{view}.jpg"
        for view in ("frontal", "lateral")
    ]
    old = f"{ALL}/valid/patient64541/study1/view1_frontal.jpg"
    write_csv(folder / "valid.csv", [row(name) for name in (*names, old)])
    with pytest.raises(errors.DataError, match="patient00001"):
        transfusion_datasets.prepare(
            "transfusion_chexpert/all32",
            manual_dir=folder,
            data_dir=tmp_path / "data",
        )
