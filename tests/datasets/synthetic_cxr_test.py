import dataclasses
import itertools
import pathlib
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn import (
    base,
    ensemble,
    linear_model,
    metrics,
    pipeline,
    preprocessing,
)

import transfusion_datasets
from tests.datasets.chexpert_layout_test import COUNTS
from transfusion_datasets import canvas, chest_xrays
from transfusion_datasets.transfusion_synthetic_cxr import (
    anatomy,
    findings,
    generator,
)
from transfusion_datasets.transfusion_synthetic_cxr import (
    transfusion_synthetic_cxr_dataset_builder as synthetic,
)
from transfusion_tf import data
from transfusion_tf.data import tasks
from transfusion_tf.raw import images, items, label_states

FEW = {"train": 4, "validation": 2, "test": 3}
NUM_IMAGES = {"train": 600, "validation": 150, "test": 300}
OFFICIAL = 223_414  # Rows of CheXpert's train.csv.
STATES = (
    label_states.UNMENTIONED,
    label_states.NEGATIVE,
    label_states.POSITIVE,
    label_states.UNCERTAIN,
)


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """The checks of tfds itself, on a few patients."""

    DATASET_CLASS = synthetic.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["n64"]
    EXAMPLE_DIR = "."  # There are no raw files.
    SPLITS = {"train": 6, "validation": 3, "test": 5}

    def setUp(self) -> None:
        patch = mock.patch.dict(generator.NUM_PATIENTS, FEW)
        patch.start()
        self.addCleanup(patch.stop)
        super().setUp()


def shows(study: items.Item, *names: str) -> items.Item:
    """The same study with other things to be seen."""
    values = {**study.values, generator.DRAWN: names}
    return dataclasses.replace(study, values=values)


def column(part: list[items.Item], name: str) -> np.ndarray:
    place = chest_xrays.LABEL_NAMES.index(name)
    return np.array([item.values["labels"][place] for item in part])


def is_drawn(part: list[items.Item], name: str) -> np.ndarray:
    return np.array([name in item.values[generator.DRAWN] for item in part])


# What can be seen.


@pytest.fixture(scope="module")
def drawn() -> dict[str, tuple[np.ndarray, list[items.Item]]]:
    """All of train and test at 64 pixels."""
    parts = {name: generator.studies(name) for name in ("train", "test")}
    return {
        name: (np.stack([generator.draw(s, 64) for s in part]), part)
        for name, part in parts.items()
    }


LINES = pipeline.make_pipeline(
    preprocessing.StandardScaler(),
    linear_model.LogisticRegression(C=0.03, max_iter=2000),
)
TREES = ensemble.RandomForestClassifier(300, min_samples_leaf=3, random_state=0)


def auc_of(
    model: base.ClassifierMixin,
    features: Callable[[np.ndarray], np.ndarray],
    finding: str,
    drawn: dict,
) -> float:
    measured = {
        name: np.stack([features(image) for image in pixels])
        for name, (pixels, _) in drawn.items()
    }
    model.fit(measured["train"], is_drawn(drawn["train"][1], finding))
    return metrics.roc_auc_score(
        is_drawn(drawn["test"][1], finding),
        model.predict_proba(measured["test"])[:, 1],
    )


def histogram(image: np.ndarray) -> np.ndarray:
    return np.sqrt(np.histogram(image, 32, (0, 256))[0])


@pytest.mark.parametrize("model", [LINES, TREES], ids=["lines", "trees"])
@pytest.mark.parametrize("finding", generator.FINDINGS)
def test_the_grey_histogram_does_not_give_a_finding_away(
    finding: str, model: base.ClassifierMixin, drawn: dict
) -> None:
    assert auc_of(model, histogram, finding, drawn) < 0.75


def normalized(image: np.ndarray) -> np.ndarray:
    grey = image[..., 0].astype(np.float64)
    return (grey - grey.mean()) / grey.std()


def shapes(image: np.ndarray) -> np.ndarray:
    """Coarse grey levels, and how much fine detail there is where."""
    grey = normalized(image)[..., None]
    fine = np.abs(grey - canvas.blur(grey, 2.0))
    return np.concatenate(
        [canvas.shrink(grey, 4).ravel(), canvas.shrink(fine, 8).ravel()]
    )


def sides(image: np.ndarray) -> np.ndarray:
    """How dark zones of the lungs are, and how unlike the other side's."""
    grey = normalized(image)
    zones = np.array(
        [
            [np.quantile(grey[y : y + 6, x : x + 6], 0.3) for x in columns]
            for columns in ((8, 13, 18), (50, 45, 40))
            for y in range(12, 48, 4)
        ]
    ).ravel()
    unlike = np.abs(np.subtract(*np.split(zones, 2)))
    return np.concatenate([zones, unlike, np.sort(unlike)[-8:]])


def bands(image: np.ndarray) -> np.ndarray:
    """How bright lines across the lower lungs are, and the fine detail."""
    grey = canvas.blur(normalized(image)[..., None], 0.5)[..., 0]
    flat = np.lib.stride_tricks.sliding_window_view(grey, 8, axis=1).mean(-1)
    lines = (2 * flat[2:-2] - flat[:-4] - flat[4:])[20:50]
    brightest = [
        np.quantile(lines[:, columns], (0.9, 0.97, 1.0))
        for columns in (slice(4, 24), slice(36, 54))
    ]
    fine = shapes(image)[-64:]
    return np.concatenate([*np.sort(brightest, axis=0), fine])


@pytest.mark.parametrize(
    ("finding", "structure"),
    [
        ("Cardiomegaly", shapes),
        ("Edema", shapes),
        ("Consolidation", sides),
        ("Atelectasis", bands),
        ("Pleural Effusion", shapes),
    ],
)
def test_a_finding_shows_in_the_structure(
    finding: str, structure: Callable[[np.ndarray], np.ndarray], drawn: dict
) -> None:
    assert auc_of(LINES, structure, finding, drawn) > 0.8


def heart_share(image: np.ndarray) -> float:
    """Measures the heart's width as a share of the lungs' outer width."""
    size = len(image)
    row = image[int(0.58 * size) : int(0.7 * size), :, 0].mean(axis=0)
    chest = np.arange(size // 8, size - size // 8)
    middle = int(0.52 * size)
    dark = np.quantile(row[chest], 0.1)
    dense = np.median(row[middle - 6 : middle + 6])
    lung = chest[row[chest] < (dark + dense) / 2]
    left, right = lung[lung < middle], lung[lung > middle]
    return (right.min() - left.max()) / (right.max() - left.min())


def test_cardiomegaly_widens_the_heart_by_about_half() -> None:
    some = generator.studies("train")[:30]
    normal, wide = (
        np.array([heart_share(generator.draw(s, 112)) for s in part])
        for part in (
            [shows(study) for study in some],
            [shows(study, "Cardiomegaly") for study in some],
        )
    )
    # A radiologist calls a heart large from half the width of the chest on.
    assert normal.mean() < 0.45
    assert wide.mean() > 0.5
    assert (wide > normal).all()
    assert (wide / normal).mean() == pytest.approx(1.55, abs=0.1)


# Where it can be seen. Rows and columns are in shares of the picture.


def added(finding: str, study: items.Item, size: int = 64) -> np.ndarray:
    """How much brighter a finding makes pixels, float `[size, size]`."""
    healthy, ill = (
        generator.draw(shows(study, *names), size).astype(np.float64)[..., 0]
        for names in ((), (finding,))
    )
    return ill - healthy


def spans(changed: np.ndarray) -> tuple[float, float, float, float]:
    """Top, bottom, left and right of what is changed."""
    rows, columns = np.nonzero(changed)
    size = len(changed)
    return (
        rows.min() / size,
        (rows.max() + 1) / size,
        columns.min() / size,
        (columns.max() + 1) / size,
    )


def is_one_sided(changed: np.ndarray) -> bool:
    return spans(changed)[3] < 0.56 or spans(changed)[2] > 0.44


@pytest.mark.parametrize("finding", generator.FINDINGS)
def test_a_finding_fills_air_and_changes_nothing_else(finding: str) -> None:
    for study in generator.studies("train")[:12]:
        change = added(finding, study)
        assert change.min() >= 0
        assert change.max() > 15
        top, bottom, left, right = spans(change)
        # The lungs: neither neck nor arms.
        assert 0.03 < top < bottom < 0.99
        assert 0.03 < left < right < 0.97


@pytest.mark.parametrize("finding", generator.FINDINGS)
def test_a_finding_leaves_the_tissue_and_takes_air(finding: str) -> None:
    for seed in range(5):
        patient, study, spots = np.random.default_rng(seed).spawn(3)
        chest = anatomy.make_chest(
            patient, study, is_female=True, is_ap=seed % 2 == 0
        )
        film = anatomy.Film(64, anatomy.Pose(0.0, 1.0, (0.0, 0.0)))
        anatomy.draw(film, chest)
        air, tissue = film.air.image.copy(), film.tissue.image.copy()
        findings.DRAW[finding](film, chest, spots)
        np.testing.assert_array_equal(film.tissue.image, tissue)
        assert (film.air.image <= air).all()
        assert film.air.image.min() >= 0
        taken = 1 - film.air.image.sum() / air.sum()
        assert 0.01 < taken < 0.6


def test_the_heart_grows_around_its_place() -> None:
    for study in generator.studies("train")[:12]:
        top, bottom, left, right = spans(added("Cardiomegaly", study))
        assert 0.3 < top < bottom < 0.95
        assert 0.2 < left < 0.5 < right


def test_an_effusion_lies_at_the_bottom_of_one_side_or_both() -> None:
    one_sided = []
    for study in generator.studies("train")[:40]:
        change = added("Pleural Effusion", study)
        assert spans(change)[0] > 0.4
        one_sided.append(is_one_sided(change))
    assert 0.3 < np.mean(one_sided) < 0.9


def test_edema_is_on_both_sides_and_strongest_at_the_roots() -> None:
    for study in generator.studies("train")[:12]:
        change = added("Edema", study)
        halves = change[:, :32].sum(), change[:, 32:].sum()
        assert min(halves) > 0.4 * max(halves)
        thirds = [part.sum() for part in np.split(change[8:56], 3)]
        assert np.argmax(thirds) == 1


def test_a_consolidation_is_one_patch() -> None:
    places = set()
    for study in generator.studies("train")[:12]:
        change = added("Consolidation", study)
        top, bottom, left, right = spans(change > 3)
        assert bottom - top < 0.45 and right - left < 0.4
        places.add((round(4 * top), left > 0.4))
    assert len(places) > 3


def test_an_atelectasis_raises_one_base_and_draws_bands_above_it() -> None:
    on_the_left = []
    for study in generator.studies("train")[:12]:
        change = added("Atelectasis", study)
        assert spans(change)[0] > 0.4
        assert is_one_sided(change > 3)
        on_the_left.append(spans(change > 3)[2] < 0.4)
    assert set(on_the_left) == {True, False}


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.combinations(generator.FINDINGS, 2))
)
def test_a_finding_looks_the_same_beside_another(
    first: str, second: str
) -> None:
    # Filling air twice leaves at most what either leaves, pixel by pixel.
    study = generator.studies("train")[3]
    one, other, both = (
        generator.draw(shows(study, *names), 64)
        for names in ((first,), (second,), (second, first))
    )
    assert (both >= np.maximum(one, other)).all()


def test_devices_are_bright_and_change_no_finding() -> None:
    kinds = []
    for study in generator.studies("train")[:12]:
        bare, wired = (
            generator.draw(shows(study, "Edema", *names), 64).astype(int)
            for names in ((), (generator.DEVICES,))
        )
        assert (wired >= bare).all()
        kinds.append((wired - bare > 20).mean())
    assert min(kinds) > 0
    assert max(kinds) < 0.15


# How it is drawn.


def test_drawing_again_gives_the_same_pixels() -> None:
    study = generator.studies("test")[5]
    np.testing.assert_array_equal(
        generator.draw(study, 64), generator.draw(study, 64)
    )


def test_the_drawing_does_not_change_between_releases() -> None:
    # Mean tones of the first four X-rays at 64 pixels, when the data set was
    # made; a change of the drawing needs a new VERSION of generator and
    # builder.
    tones = [
        generator.draw(study, 64).mean()
        for study in generator.studies("train")[:4]
    ]
    np.testing.assert_allclose(tones, (164.18, 136.04, 95.31, 112.04), atol=0.5)


@pytest.mark.parametrize("place", range(10, 16))
def test_sizes_show_the_same_chest(place: int) -> None:
    study = generator.studies("train")[place]
    small = generator.draw(study, 56).astype(np.float64)
    large = generator.draw(study, 224).astype(np.float64)
    shrunk = canvas.shrink(large, 4)
    assert np.corrcoef(small.ravel(), shrunk.ravel())[0, 1] > 0.95
    assert small.mean() == pytest.approx(large.mean(), abs=2)


def test_studies_of_a_patient_differ_in_position_not_in_anatomy() -> None:
    first, second, other = (
        anatomy.make_chest(
            np.random.default_rng(patient),
            np.random.default_rng(study),
            is_female=True,
            is_ap=False,
        )
        for patient, study in ((1, 2), (1, 3), (4, 2))
    )
    for name in ("width", "apex", "heart", "wall", "density", "ribs"):
        assert getattr(first, name) == getattr(second, name)
        assert getattr(first, name) != getattr(other, name)
    np.testing.assert_array_equal(first.vessels, second.vessels)
    assert first.domes != second.domes
    assert first.turn != second.turn
    one, two = (
        shows(study)
        for study in generator.studies("train")
        if study.patient_id == "s0000"
    )
    assert np.any(generator.draw(one, 64) != generator.draw(two, 64))


def test_a_pose_is_undone_by_its_inverse() -> None:
    pose = anatomy.Pose(angle=0.3, zoom=1.2, shift=(0.1, -0.2))
    x, y = np.array([0.5, -0.7]), np.array([0.0, 0.3])
    np.testing.assert_allclose(pose.to_body(*pose.to_film(x, y)), (x, y))


def test_blobs_and_lines_lie_where_the_pose_puts_them() -> None:
    pose = anatomy.Pose(angle=0.3, zoom=1.2, shift=(0.1, -0.2))
    film = anatomy.Film(64, pose)
    film.add_blob((0.4, 0.3), (0.2, 0.05), 0.5)
    film.add_lines(np.array([(-0.6, 0.3, -0.2, 0.3, 0.1)]), 0.5)
    dense = film.attenuation(air=0.0)[..., 0] > 0.25
    near_blob = np.hypot((film.x - 0.4) / 0.2, (film.y - 0.3) / 0.05)
    near_line = np.hypot(
        np.clip(np.abs(film.x + 0.4) - 0.2, 0, None), film.y - 0.3
    )
    inside = (near_blob < 1) | (near_line < 0.05)
    # They may differ by the pixels of a border.
    assert inside.sum() > 50
    assert (dense != inside).sum() < 0.25 * inside.sum()


def test_a_grey_canvas_has_one_channel() -> None:
    picture = canvas.Canvas(16, 1.0, channels=1)
    picture.image += 1
    picture.blob((0.0, 0.0), (0.5, 0.5), tint=0.5)
    assert picture.image.shape == (16, 16, 1)
    assert picture.image[8, 8] == 0.5


# Who is labelled how.


@pytest.fixture(scope="module")
def parts() -> dict[str, list[items.Item]]:
    return {name: generator.studies(name) for name in generator.NUM_PATIENTS}


def test_splits_have_the_stated_sizes_and_no_patient_in_two(
    parts: dict[str, list[items.Item]],
) -> None:
    assert {n: len(part) for n, part in parts.items()} == NUM_IMAGES
    items.check_patient_disjoint(parts)
    items.check_ids_unique(parts)
    for name, part in parts.items():
        patients = {item.patient_id for item in part}
        assert len(patients) == generator.NUM_PATIENTS[name]
        assert len({item.values["study_id"] for item in part}) == len(part)
        assert all(
            item.image_id.startswith(item.values["study_id"])
            and item.values["study_id"].startswith(item.patient_id)
            for item in part
        )


@pytest.mark.parametrize("name", COUNTS)
def test_report_labels_have_the_rates_of_chexpert(
    name: str, parts: dict[str, list[items.Item]]
) -> None:
    labels = column(parts["train"], name)
    for state, count in zip(STATES, COUNTS[name][:4], strict=True):
        found = (labels == state).sum()
        # "Not mentioned" carries the rounding of the three others.
        error = 1.5 if state == label_states.UNMENTIONED else 0.5
        assert found == pytest.approx(600 * count / OFFICIAL, abs=error + 1e-9)


@pytest.mark.parametrize("name", COUNTS)
def test_report_labels_are_of_what_is_drawn(
    name: str, parts: dict[str, list[items.Item]]
) -> None:
    labels, truth = column(parts["train"], name), is_drawn(parts["train"], name)
    assert truth[labels == label_states.POSITIVE].all()
    assert not truth[labels == label_states.NEGATIVE].any()
    assert not truth[labels == label_states.UNMENTIONED].any()
    doubted = truth[labels == label_states.UNCERTAIN]
    assert doubted.sum() == len(doubted) // 2


@pytest.mark.parametrize("split", NUM_IMAGES)
@pytest.mark.parametrize("name", COUNTS)
def test_findings_are_as_frequent_as_chexpert_suggests(
    name: str, split: str, parts: dict[str, list[items.Item]]
) -> None:
    _, _, positive, uncertain, *_ = COUNTS[name]
    share = (positive + uncertain / 2) / OFFICIAL
    count = is_drawn(parts[split], name).sum()
    assert count == pytest.approx(share * NUM_IMAGES[split], abs=1.5)


def test_no_finding_is_reported_at_chexperts_rate_where_there_is_none(
    parts: dict[str, list[items.Item]],
) -> None:
    labels = column(parts["train"], "No Finding")
    assert set(labels) == {label_states.POSITIVE, label_states.UNMENTIONED}
    # 22,381 of the rows of the official file.
    is_clear = labels == label_states.POSITIVE
    assert is_clear.sum() == round(600 * 22_381 / OFFICIAL)
    for name in COUNTS:
        found = set(column(parts["train"], name)[is_clear])
        assert found <= {label_states.NEGATIVE, label_states.UNMENTIONED}
        assert not is_drawn(parts["train"], name)[is_clear].any()


@pytest.mark.parametrize("split", ["validation", "test"])
def test_radiologists_labels_are_what_is_drawn(
    split: str, parts: dict[str, list[items.Item]]
) -> None:
    part = parts[split]
    truth = {
        name: is_drawn(part, name) for name in (*COUNTS, "Support Devices")
    }
    truth["No Finding"] = ~np.any([truth[name] for name in COUNTS], axis=0)
    assert 0.15 < truth["No Finding"].mean() < 0.35
    for name in chest_xrays.LABEL_NAMES:
        expected = truth.get(name, np.full(len(part), label_states.UNMENTIONED))
        np.testing.assert_array_equal(column(part, name), expected)


def test_devices_are_labelled_where_they_are_drawn(
    parts: dict[str, list[items.Item]],
) -> None:
    truth = is_drawn(parts["train"], "Support Devices")
    # 116,001 rows of the official file are positive.
    assert truth.sum() == round(600 * 116_001 / OFFICIAL)
    np.testing.assert_array_equal(
        column(parts["train"], "Support Devices"),
        np.where(truth, label_states.POSITIVE, label_states.UNMENTIONED),
    )


def test_views_sexes_and_ages_are_as_in_chexpert(
    parts: dict[str, list[items.Item]],
) -> None:
    everyone = [item for part in parts.values() for item in part]
    people = {item.patient_id: item.values for item in everyone}
    for item in everyone:
        for name in ("sex", "age"):
            assert item.values[name] == people[item.patient_id][name]
    assert {item.values["view"] for item in everyone} == {"frontal"}
    is_ap = [item.values["projection"] == "AP" for item in everyone]
    assert np.mean(is_ap) == pytest.approx(161_590 / 191_010, abs=0.005)
    is_male = [person["sex"] == "Male" for person in people.values()]
    assert np.mean(is_male) == pytest.approx(132_636 / 223_413, abs=0.005)
    ages = np.array([person["age"] for person in people.values()])
    # The official file has 18 to 90 years and a mean of 60.4.
    assert 18 <= ages.min() and ages.max() <= 90
    assert ages.mean() == pytest.approx(60.4, abs=2.5)


def test_findings_tend_to_stay_from_study_to_study(
    parts: dict[str, list[items.Item]],
) -> None:
    pairs = [
        (first, second)
        for part in parts.values()
        for first, second in itertools.pairwise(part)
        if first.patient_id == second.patient_id
    ]
    assert len(pairs) == 350
    for name in COUNTS:
        states = np.array([is_drawn(list(pair), name) for pair in pairs])
        agreement = np.corrcoef(states.T)[0, 1]
        assert 0.15 < agreement < 0.75


def test_findings_are_independent_of_each_other_and_of_devices(
    parts: dict[str, list[items.Item]],
) -> None:
    everyone = [item for part in parts.values() for item in part]
    truth = [is_drawn(everyone, name) for name in (*COUNTS, "Support Devices")]
    truth.append(np.array([i.values["projection"] == "AP" for i in everyone]))
    correlations = np.corrcoef(truth)[np.triu_indices(len(truth), 1)]
    # Four standard errors of the correlation of 700 patients.
    assert np.abs(correlations).max() < 4 / np.sqrt(700)


# Prepared and opened.


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("tfds")
    transfusion_datasets.prepare("transfusion_synthetic_cxr/n64", data_dir=path)
    return path


def test_the_task_reads_the_prepared_labels(
    data_dir: pathlib.Path, parts: dict[str, list[items.Item]]
) -> None:
    task = tasks.task("synthetic_cxr5")
    for name, part in parts.items():
        split = data.open_split(task, name, data_dir=str(data_dir))
        by_id = {item.image_id: item for item in part}
        ordered = [by_id[image_id] for image_id in split.image_ids]
        assert len(ordered) == NUM_IMAGES[name]
        assert split.num_patients == generator.NUM_PATIENTS[name]
        for place, finding in enumerate(task.classes):
            np.testing.assert_array_equal(
                split.labels[:, place], column(ordered, finding)
            )


def test_prepared_examples_hold_the_drawn_x_rays(
    data_dir: pathlib.Path,
) -> None:
    builder = transfusion_datasets.prepared_builder(
        "transfusion_synthetic_cxr/n64", data_dir=data_dir
    )
    assert builder.info.supervised_keys == ("image", "labels")
    assert builder.info.metadata["generator_version"] == generator.VERSION
    study = generator.studies("test")[0]
    example = next(
        example
        for example in tfds.as_numpy(builder.as_dataset(split="test"))
        if example["image_id"].decode() == study.image_id
    )
    assert "source_sha256" not in example
    assert example["image"].shape == (64, 64, 1)
    difference = example["image"].astype(int) - generator.draw(study, 64)
    assert np.abs(difference).mean() < 3  # What JPEG takes.
    assert example["age"] == study.values["age"]


def test_the_split_report_counts_the_states(data_dir: pathlib.Path) -> None:
    builder = transfusion_datasets.prepared_builder(
        "transfusion_synthetic_cxr/n64", data_dir=data_dir
    )
    report = transfusion_datasets.split_report(builder)["splits"]["train"]
    assert report["num_images"] == 600
    assert report["num_patients"] == 400
    assert report["notes"] == {}
    counts = report["label_counts"]
    assert counts["studies"] == {"all": 600}
    assert counts["view"] == {"frontal": 600, "lateral": 0}
    # 86,187, 35,396 and 11,628 of 223,414, of 600.
    assert counts["Pleural Effusion"] == {
        "positive": 231,
        "negative": 95,
        "uncertain": 31,
        "unmentioned": 243,
    }


def test_the_image_is_a_grey_jpeg() -> None:
    study = generator.studies("test")[0]
    example = generator.process(study, size=96).example
    picture = images.decode(example["image"], name="study", mode="L")
    assert (picture.width, picture.height) == (96, 96)
    assert example["image"][:2] == b"\xff\xd8"
    assert generator.DRAWN not in example


def test_the_configurations_are_those_of_the_documentation() -> None:
    configs = list(synthetic.Builder.builder_configs)
    assert configs == ["n64", "n96", "n224"]
    readme = pathlib.Path(synthetic.__file__).with_name("README.md").read_text()
    assert all(f"`{name}`" in readme for name in configs)
