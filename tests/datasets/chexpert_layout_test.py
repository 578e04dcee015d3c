import collections
import gzip
import importlib.util
import pathlib
import re
import shutil

import numpy as np
import pytest

from tests.datasets.chexpert_files import (
    BLANK,
    HEADER,
    STUDIES,
    TEST,
    VALID,
    row,
    write_batches,
    write_chexlocalize,
    write_csv,
    write_image,
    write_images,
    write_version,
)
from transfusion_datasets import chest_xrays
from transfusion_datasets.transfusion_chexpert import layout
from transfusion_tf.raw import errors, items, label_states


def report_counts(part: list[items.Item]) -> dict[str, dict[str, int]]:
    labels = np.array([item.values["labels"] for item in part])
    return label_states.count_states(labels, chest_xrays.LABEL_NAMES)


def ids(part: object) -> list[str]:
    return sorted(item.image_id for item in part)  # type: ignore[attr-defined]


def expected_ids(images: list[tuple[int, str]]) -> list[str]:
    return sorted(f"patient{p:05d}/{t.removesuffix('.jpg')}" for p, t in images)


@pytest.mark.parametrize("level", ["folder", "parent"])
@pytest.mark.parametrize(
    ("make", "splits"),
    [
        (
            lambda root: write_version(root, "CheXpert-v1.0-small"),
            {"train": STUDIES, "validation": VALID},
        ),
        (
            lambda root: write_version(root, "CheXpert-v1.0"),
            {"train": STUDIES, "validation": VALID},
        ),
        (write_batches, {"train": STUDIES, "validation": VALID}),
        (write_chexlocalize, {"validation": VALID, "test": TEST}),
    ],
    ids=["small", "full", "batches", "chexlocalize"],
)
def test_every_image_of_every_layout_is_found(
    tmp_path: pathlib.Path, make, splits, level: str
) -> None:
    folder = make(tmp_path)
    parts = layout.read(tmp_path if level == "parent" else folder).splits
    assert list(parts) == list(splits)
    for name, images in splits.items():
        assert ids(parts[name]) == expected_ids(images)
        for item in parts[name]:
            assert pathlib.Path(item.path).is_file()
            patient, study, view = item.image_id.split("/")
            assert item.path.endswith(f"{patient}/{study}/{view}.jpg")


def test_study_labels_are_those_of_every_image_of_the_study(
    tmp_path: pathlib.Path,
) -> None:
    folder = write_version(tmp_path, "CheXpert-v1.0")
    write_images(folder / "test", TEST)
    write_image(folder / "test/patient64741/study1/view2_lateral.jpg", 9)
    labels = ("1", "0") + ("0",) * 12
    studies = [
        [f"CheXpert-v1.0/test/patient{p}/study1", *labels] for p, _ in TEST
    ]
    write_csv(
        folder / "groundtruth.csv",
        studies,
        ("Study", *chest_xrays.LABEL_NAMES),
    )
    part = layout.read(folder).splits["test"]
    assert ids(part) == expected_ids(
        [*TEST, (64741, "study1/view2_lateral.jpg")]
    )
    for item in part:
        assert item.values["labels"][:3] == (1, 0, 0)
        assert item.values["view"] in item.path
        assert (item.values["sex"], item.values["age"]) == ("Unknown", -1)


def test_only_frontal_views_are_kept_where_asked_for(
    tmp_path: pathlib.Path,
) -> None:
    folder = write_version(tmp_path, "CheXpert-v1.0")
    part = layout.read(folder, views=("frontal",)).splits["train"]
    assert ids(part) == expected_ids([s for s in STUDIES if "frontal" in s[1]])


def test_two_versions_side_by_side_are_told_apart_or_asked_about(
    tmp_path: pathlib.Path,
) -> None:
    write_version(tmp_path, "CheXpert-v1.0")
    write_version(tmp_path, "CheXpert-v1.0-small")
    with pytest.raises(
        errors.ManualDirError, match=r"more than one.*-small.train\.csv"
    ):
        layout.read(tmp_path)
    for only in ("CheXpert-v1.0", "CheXpert-v1.0-small"):
        part = layout.read(tmp_path, only=only).splits["train"]
        assert all(f"/{only}/" in item.path for item in part)


def test_a_version_that_is_not_there_is_an_error(
    tmp_path: pathlib.Path,
) -> None:
    write_version(tmp_path, "CheXpert-v1.0")
    with pytest.raises(errors.ManualDirError, match="no CheXpert-v1.0-small"):
        layout.read(tmp_path, only="CheXpert-v1.0-small")


def test_labels_keep_the_order_and_the_four_states_of_the_file(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "train.csv"
    labels = ("1.0", "0.0", "-1.0", "", "1", "0", "-1") + ("",) * 7
    name = "CheXpert-v1.0/train/patient00007/study3/view2_lateral.jpg"
    write_csv(path, [row(name, labels)])
    (item,) = layout.read_labels(path)
    assert item.values["labels"] == (1, 0, -1, -2, 1, 0, -1) + (-2,) * 7
    assert item == items.Item(
        "patient00007/study3/view2_lateral",
        "patient00007",
        name,
        {
            "labels": item.values["labels"],
            "view": "lateral",
            "projection": "none",
            "sex": "Female",
            "age": 61,
            "study_id": "patient00007/study3",
        },
    )


GOOD = "CheXpert-v1.0/train/patient00007/study3/view1_frontal.jpg"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(GOOD, ("nan", *BLANK[1:])), "No Finding='nan' in line 3"),
        (row(GOOD, (*BLANK[1:], "2")), "Support Devices='2' in line 3"),
        (row(GOOD, ("True", *BLANK[1:])), "No Finding='True'"),
        (row(GOOD, Sex="F"), "Sex='F' in line 3.*Male, Female"),
        (row(GOOD, Age="-3"), "Age='-3' in line 3"),
        (row(GOOD, **{"AP/PA": "XX"}), "AP/PA='XX' in line 3"),
        (row(GOOD, **{"Frontal/Lateral": "Top"}), "Frontal/Lateral='Top'"),
        (row(f"../{GOOD}"), r"Path='\.\./CheXpert"),
        (row(f"/{GOOD}"), "Path='/CheXpert"),
        (row(GOOD.replace("study3", "..")), r"Path='.*/\.\./view1"),
    ],
)
def test_a_bad_row_is_an_error_that_names_line_and_column(
    tmp_path: pathlib.Path, bad: list[str], message: str
) -> None:
    path = tmp_path / "train.csv"
    write_csv(path, [row(GOOD), bad])
    with pytest.raises(errors.LabelFileError, match=message):
        layout.read_labels(path)
    with errors.collecting() as found:
        assert len(layout.read_labels(path)) == 1
    assert len(found) == 1


@pytest.mark.parametrize("column", ["Path", "Edema"])
def test_a_column_that_is_missing_or_twice_is_named(
    tmp_path: pathlib.Path, column: str
) -> None:
    path = tmp_path / "train.csv"
    header = (*HEADER, *chest_xrays.LABEL_NAMES)
    write_csv(path, [row(GOOD)], tuple(n + "x" * (n == column) for n in header))
    with pytest.raises(errors.LabelFileError, match=f"without {column}"):
        layout.read_labels(path)
    write_csv(path, [[*row(GOOD), "1"]], (*header, column))
    with pytest.raises(errors.LabelFileError, match=f"'{column}' twice"):
        layout.read_labels(path)


def test_missing_images_are_counted_and_named(tmp_path: pathlib.Path) -> None:
    folder = write_version(tmp_path, "CheXpert-v1.0")
    shutil.rmtree(folder / "train" / "patient00001")
    (folder / "train/patient21513/study2/view1_lateral.jpg").unlink()
    with pytest.raises(
        errors.MissingImageError, match=r"3 of 12 images.*patient00001/study2"
    ) as raised:
        layout.read(folder)
    assert len(raised.value.names) == 3


@pytest.mark.parametrize("manual_dir", [None, "nowhere"])
def test_a_directory_is_asked_for(manual_dir: str | None) -> None:
    with pytest.raises(errors.ManualDirError, match="--manual_dir=DIR.*Stanf"):
        layout.check(manual_dir)


def test_a_directory_of_other_things_is_told_what_was_looked_for(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(
        errors.ManualDirError, match=r"\['photos'\].*train\.csv, valid\.csv"
    ):
        layout.check(tmp_path)


# Measured on the official file; frontal: positive, negative, uncertain.
COUNTS = {
    "Atelectasis": (154_971, 1_328, 33_376, 33_739, 29_720, 1_025, 29_863),
    "Cardiomegaly": (177_211, 11_116, 27_000, 8_087, 23_385, 7_869, 6_707),
    "Consolidation": (152_792, 28_097, 14_783, 27_742, 12_983, 19_608, 24_381),
    "Edema": (137_458, 20_726, 52_246, 12_984, 49_675, 15_915, 11_818),
    "Pleural Effusion": (90_203, 35_396, 86_187, 11_628, 76_899, 25_299, 9_578),
}


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> list[items.Item]:
    """The rows of the real train.csv, from the wheel of torchxrayvision."""
    # Found, not imported: the package itself needs PyTorch.
    spec = importlib.util.find_spec("torchxrayvision")
    if spec is None or spec.origin is None:
        pytest.skip("torchxrayvision, which holds train.csv, is not installed")
    packed = pathlib.Path(spec.origin).parent / "data/chexpert_train.csv.gz"
    if not packed.exists():
        pytest.skip(f"torchxrayvision has no {packed.name}")
    path = tmp_path_factory.mktemp("official") / "train.csv"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return layout.read_labels(path)


def test_the_official_file_has_its_counts(official: list[items.Item]) -> None:
    assert len(official) == len({i.image_id for i in official}) == 223_414
    patients = {item.patient_id for item in official}
    assert patients == {f"patient{number:05d}" for number in range(1, 64_541)}
    assert len({item.values["study_id"] for item in official}) == 187_641

    def count(feature: str) -> dict[object, int]:
        return collections.Counter(i.values[feature] for i in official)

    assert count("view") == {"frontal": 191_027, "lateral": 32_387}
    assert count("projection") == {
        "AP": 161_590,
        "PA": 29_420,
        "LL": 16,
        "RL": 1,
        "none": 32_387,
    }
    assert count("sex") == {"Male": 132_636, "Female": 90_777, "Unknown": 1}
    ages = count("age")
    assert ages[chest_xrays.UNKNOWN_AGE] == 3
    assert (min(set(ages) - {-1}), max(ages)) == (18, 90)
    assert (
        max(collections.Counter(i.patient_id for i in official).values()) == 92
    )


def test_the_official_labels_have_their_counts(
    official: list[items.Item],
) -> None:
    states = report_counts(official)
    frontal = report_counts(
        [item for item in official if item.values["view"] == "frontal"]
    )
    order = ("unmentioned", "negative", "positive", "uncertain")
    for name, counts in COUNTS.items():
        assert tuple(states[name][state] for state in order) == counts[:4]
        found = (
            frontal[name][s] for s in ("positive", "negative", "uncertain")
        )
        assert tuple(found) == counts[4:]
    assert states["No Finding"] == {
        "positive": 22_381,
        "negative": 0,
        "uncertain": 0,
        "unmentioned": 201_033,
    }
    labels = np.array([item.values["labels"] for item in official])
    five = labels[:, [chest_xrays.LABEL_NAMES.index(name) for name in COUNTS]]
    assert (five == -1).any(axis=1).sum() == 64_085
    assert (five == -2).all(axis=1).sum() == 25_342
    healthy = labels[:, 0] == 1
    assert not (five[healthy] == 1).any()


def test_the_official_file_has_its_kinds_of_image(
    official: list[items.Item],
) -> None:
    names = collections.Counter(i.image_id.rpartition("/")[2] for i in official)
    assert names["view1_frontal"] == 187_625
    assert names["view2_lateral"] == 30_633
    assert names["view2_frontal"] == 3_361
    assert names["view3_lateral"] == 1_738
    assert all(re.fullmatch(r"view\d+_(frontal|lateral)", n) for n in names)


@pytest.mark.sample_data
def test_the_sample_has_the_counts_of_its_description(
    sample_data: pathlib.Path,
) -> None:
    folder = sample_data / "nih_in_chexpert_layout"
    if not folder.is_dir():
        pytest.skip("$TRANSFUSION_SAMPLE_DATA has no nih_in_chexpert_layout")
    parts = layout.read(folder).splits
    assert {n: len(part) for n, part in parts.items()} == {
        "train": 844,
        "validation": 156,
    }
    items.check_patient_disjoint(parts)
    told = {
        "Atelectasis": (85, 10),
        "Cardiomegaly": (79, 4),
        "Consolidation": (40, 2),
        "Edema": (28, 3),
        "Pleural Effusion": (147, 23),
        "No Finding": (416, 83),
    }
    counts = [report_counts(parts[n]) for n in parts]
    for name, positives in told.items():
        assert tuple(c[name]["positive"] for c in counts) == positives
        assert [c[name]["uncertain"] for c in counts] == [0, 0]
