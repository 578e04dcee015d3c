import collections
import dataclasses
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn import linear_model, metrics, pipeline, preprocessing

from transfusion_datasets import canvas
from transfusion_datasets.transfusion_synthetic_fundus import generator
from transfusion_datasets.transfusion_synthetic_fundus import (
    transfusion_synthetic_fundus_dataset_builder as synthetic,
)
from transfusion_tf.raw import items

FEW = {"train": 4, "validation": 2, "test": 3}


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """The checks of tfds itself, on a few patients."""

    DATASET_CLASS = synthetic.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["n64"]
    EXAMPLE_DIR = "."  # There are no raw files.
    SPLITS = {name: 2 * count for name, count in FEW.items()}

    def setUp(self) -> None:
        patch = mock.patch.dict(generator.NUM_PATIENTS, FEW)
        patch.start()
        self.addCleanup(patch.stop)
        super().setUp()


@pytest.fixture(scope="module")
def drawn() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """All of train and test at 64 pixels, and what is referable."""
    parts = {}
    for split in ("train", "test"):
        eyes = generator.patients(split)
        pixels = np.stack([generator.draw(eye, 64) for eye in eyes])
        referable = np.array([eye.values["grade"] >= 2 for eye in eyes])
        parts[split] = (pixels, referable)
    return parts


def regression_auc(features: dict[str, np.ndarray], drawn: dict) -> float:
    model = pipeline.make_pipeline(
        preprocessing.StandardScaler(),
        linear_model.LogisticRegression(C=0.1, max_iter=2000),
    )
    model.fit(features["train"], drawn["train"][1])
    scores = model.decision_function(features["test"])
    return metrics.roc_auc_score(drawn["test"][1], scores)


def channel_histograms(image: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [np.histogram(image[..., c], 32, (0, 256))[0] for c in range(3)]
    )


def colour_histogram(image: np.ndarray) -> np.ndarray:
    pixels = image.reshape(-1, 3)
    return np.histogramdd(pixels, (6, 6, 6), [(0, 256)] * 3)[0].ravel()


@pytest.mark.parametrize("histogram", [channel_histograms, colour_histogram])
def test_colour_histograms_do_not_give_the_grade_away(
    histogram: Callable[[np.ndarray], np.ndarray], drawn: dict
) -> None:
    features = {
        split: np.sqrt([histogram(image) for image in pixels])
        for split, (pixels, _) in drawn.items()
    }
    assert regression_auc(features, drawn) < 0.75


def fine_structure(image: np.ndarray) -> np.ndarray:
    tone = image / image.mean()
    detail = (tone - canvas.blur(tone, 2.0))[12:-12, 12:-12]
    levels = (0.005, 0.01, 0.03, 0.1, 0.9, 0.97, 0.99, 0.995)
    return np.quantile(detail.reshape(-1, 3), levels, axis=0).ravel()


def test_the_grade_shows_in_fine_structure(drawn: dict) -> None:
    features = {
        split: np.array([fine_structure(image) for image in pixels])
        for split, (pixels, _) in drawn.items()
    }
    assert regression_auc(features, drawn) > 0.85


def test_splits_have_the_stated_sizes_and_no_patient_in_two() -> None:
    parts = {name: generator.patients(name) for name in generator.NUM_PATIENTS}
    assert {n: len(p) for n, p in parts.items()} == {
        "train": 400,
        "validation": 100,
        "test": 200,
    }
    items.check_patient_disjoint(parts)
    names = [eye.image_id for part in parts.values() for eye in part]
    assert len(set(names)) == 700


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_grade_occurs_and_about_40_percent_are_referable(
    split: str,
) -> None:
    grades = [eye.values["grade"] for eye in generator.patients(split)]
    assert set(grades) == set(range(5))
    assert np.mean(np.array(grades) >= 2) == pytest.approx(0.4, abs=0.05)


def test_most_patients_have_one_grade_in_both_eyes() -> None:
    by_patient = collections.defaultdict(list)
    for split in generator.NUM_PATIENTS:
        for eye in generator.patients(split):
            by_patient[eye.patient_id].append(eye)
    pairs = list(by_patient.values())
    assert all(
        [e.values["eye"] for e in pair] == ["left", "right"] for pair in pairs
    )
    differences = np.array(
        [abs(a.values["grade"] - b.values["grade"]) for a, b in pairs]
    )
    assert differences.max() == 1
    # Three standard errors about the share of the EyePACS test patients.
    assert (differences == 0).mean() == pytest.approx(0.876, abs=0.053)


def test_drawing_again_gives_the_same_pixels() -> None:
    eye = generator.patients("test")[5]
    np.testing.assert_array_equal(
        generator.draw(eye, 64), generator.draw(eye, 64)
    )


def test_the_drawing_does_not_change_between_releases() -> None:
    # Mean tone of one eye at 64 pixels, when the data set was made;
    # a change of the drawing needs a new VERSION of generator and builder.
    image = generator.draw(generator.patients("train")[0], 64)
    tone = image.mean(axis=(0, 1))
    np.testing.assert_allclose(tone, (102.69, 69.67, 47.40), atol=0.5)


def test_sizes_show_the_same_eye() -> None:
    eye = generator.patients("train")[10]
    small = generator.draw(eye, 56).astype(np.float64)
    large = generator.draw(eye, 224).astype(np.float64)
    shrunk = canvas.shrink(large, 4)
    correlation = np.corrcoef(small.ravel(), shrunk.ravel())[0, 1]
    assert correlation > 0.95


def with_grade(eye: items.Item, grade: int) -> items.Item:
    return dataclasses.replace(eye, values=eye.values | {"grade": grade})


def test_lesions_and_nothing_else_depend_on_the_grade() -> None:
    eye = generator.patients("train")[0]
    healthy, mild = (
        generator.draw(with_grade(eye, grade), 96) for grade in (0, 1)
    )
    changed = np.any(healthy != mild, axis=2)
    # Two to six microaneurysms of a few pixels each.
    assert 0 < changed.mean() < 0.03


def test_higher_grades_cover_more_of_the_retina() -> None:
    shares = []
    for eye in generator.patients("train")[:6]:
        healthy, *diseased = (
            generator.draw(with_grade(eye, grade), 64).astype(np.int64)
            for grade in range(4)
        )
        shares.append(
            [(np.abs(d - healthy).max(axis=2) > 8).mean() for d in diseased]
        )
    mild, moderate, severe = np.mean(shares, axis=0)
    assert 0 < mild < moderate < severe


def test_the_disc_is_nasal_left_in_left_eyes_and_right_in_right_eyes() -> None:
    # In the mean of many eyes the disc is what is brightest.
    sums = {"left": np.zeros(64), "right": np.zeros(64)}
    for eye in generator.patients("train")[:40]:
        image = generator.draw(with_grade(eye, 0), 64).astype(np.float64)
        sums[eye.values["eye"]] += image[28:36].max(axis=(0, 2))
    assert sums["left"].argmax() < 32 < sums["right"].argmax()


def test_blur_keeps_a_flat_image_and_the_sum_of_a_point() -> None:
    flat = np.full((9, 9, 3), 0.25)
    np.testing.assert_allclose(canvas.blur(flat, 1.5), flat)
    point = np.zeros((21, 21, 1))
    point[10, 10] = 1
    blurred = canvas.blur(point, 1.5)
    np.testing.assert_allclose(blurred.sum(), 1)
    np.testing.assert_allclose(blurred, blurred.transpose(1, 0, 2))


def test_a_blob_has_the_area_of_its_ellipse() -> None:
    picture = canvas.Canvas(200, 1.0)
    picture.blob((0.1, -0.2), (0.5, 0.25), angle=0.7, colour=np.ones(3))
    area = picture.image[..., 0].sum() * picture.pixel**2
    np.testing.assert_allclose(area, np.pi * 0.5 * 0.25, rtol=0.01)


def test_a_stroke_has_the_area_of_its_length_and_width() -> None:
    picture = canvas.Canvas(200, 1.0)
    lines = np.array([(-0.5, -0.3, 0.4, 0.5, 0.05)])
    area = picture.strokes(lines).sum() * picture.pixel**2
    length = np.hypot(0.9, 0.8)
    expected = length * 0.05 + np.pi * 0.025**2  # Two round ends.
    np.testing.assert_allclose(area, expected, rtol=0.02)


def test_a_stroke_thinner_than_a_pixel_is_paler_not_wider() -> None:
    picture = canvas.Canvas(100, 1.0)
    lines = np.array([(-0.5, 0.001, 0.5, 0.001, 0.005)])
    cover = picture.strokes(lines)
    assert 0 < cover.max() < 0.5


def test_shapes_outside_the_canvas_draw_nothing() -> None:
    picture = canvas.Canvas(32, 1.0)
    picture.blob((3.0, 0.0), (0.2, 0.2), colour=np.ones(3))
    cover = picture.strokes(np.array([(2.0, 2.0, 2.5, 2.5, 0.1)]))
    assert picture.image.max() == cover.max() == 0
