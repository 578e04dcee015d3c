"""Draws chest X-rays, and labels them as reports or as radiologists would.

An X-ray is drawn from random streams of its own (seed, purpose, patient,
study) in coordinates that do not depend on its size. What is drawn is known;
the labels for training are what a program reads from reports: some uncertain,
most of what is absent not mentioned, at the rates of CheXpert. Anatomy,
exposure, position, devices and harmless shadows vary independently of the
findings, so that grey levels alone do not give these away.
"""

import math
from collections.abc import Mapping

import numpy as np

from transfusion_datasets import canvas, chest_xrays, processing
from transfusion_datasets.transfusion_synthetic_cxr import anatomy, findings
from transfusion_tf.raw import images, items, label_states

VERSION = 1
SEED = 20190121
NUM_PATIENTS = {"train": 400, "validation": 100, "test": 200}
FINDINGS = tuple(findings.DRAW)
NO_FINDING, DEVICES = "No Finding", "Support Devices"
DRAWN = "drawn"  # What an X-ray shows: a value of items, not a feature.

# Counts of CheXpert's official train.csv, all views.
NUM_OFFICIAL = 223_414
# Positive, negative, uncertain; the rest is not mentioned.
OFFICIAL = {
    "Cardiomegaly": (27_000, 11_116, 8_087),
    "Edema": (52_246, 20_726, 12_984),
    "Consolidation": (14_783, 28_097, 27_742),
    "Atelectasis": (33_376, 1_328, 33_739),
    "Pleural Effusion": (86_187, 35_396, 11_628),
}
_NO_FINDING_SHARE = 22_381 / NUM_OFFICIAL
_DEVICES_SHARE = 116_001 / NUM_OFFICIAL
_AP_SHARE = 161_590 / (161_590 + 29_420)
_MALE_SHARE = 132_636 / (132_636 + 90_777)
_AGE, _AGE_RANGE = (60.4, 17.8), (18, 90)  # Mean and deviation; years.

_TWO_STUDIES = 0.5  # Share of the patients who have two.
_PERSISTENCE = 0.6  # Correlation of a finding's tendency in two studies.
# Strokes of the letters that tell the sides apart: x, y, x, y each.
_LETTERS = {
    "R": (
        (-0.6, -1, -0.6, 1),
        (-0.6, -1, 0.6, -1),
        (0.6, -1, 0.6, 0),
        (-0.6, 0, 0.6, 0),
        (-0.1, 0, 0.7, 1),
    ),
    "L": ((-0.6, -1, -0.6, 1), (-0.6, 1, 0.7, 1)),
}


def studies(split: str) -> list[items.Item]:
    """Lists the X-rays of a split: one or two studies of each patient.

    Args:
        split: `train`, `validation` or `test`.

    Returns:
        The X-rays in order of patient. Findings and, of `train`, the states
        of their labels are as frequent as in CheXpert, to within rounding.
        What an X-ray shows is in its values at `DRAWN`.

    Example:
    >>> [study.image_id for study in studies("validation")[:2]]
    ['s0400/study1/view1_frontal', 's0400/study2/view1_frontal']
    """
    first = sum(list(NUM_PATIENTS.values())[: list(NUM_PATIENTS).index(split)])
    rng = np.random.default_rng([SEED, 1, first])
    count = NUM_PATIENTS[split]
    sexes = np.where(_stratified(count, _MALE_SHARE, rng), "Male", "Female")
    ages = np.clip(rng.normal(*_AGE, count), *_AGE_RANGE).astype(int)
    has_two = _stratified(count, _TWO_STUDIES, rng)
    owners = np.repeat(np.arange(count), 1 + has_two)
    visits = 1 + (np.diff(owners, prepend=-1) == 0)
    is_ap = _stratified(len(owners), _AP_SHARE, rng)
    shown = _choose_findings(owners, rng)
    shown[DEVICES] = _stratified(len(owners), _DEVICES_SHARE, rng)
    if split == "train":
        labels = _labels_of_reports(shown, rng)
    else:
        labels = _labels_of_radiologists(shown)
    return [
        items.Item(
            image_id=f"s{first + owner:04d}/study{visit}/view1_frontal",
            patient_id=f"s{first + owner:04d}",
            values={
                "labels": tuple(map(int, labels[i])),
                "view": "frontal",
                "projection": "AP" if is_ap[i] else "PA",
                "sex": str(sexes[owner]),
                "age": int(ages[owner]),
                "study_id": f"s{first + owner:04d}/study{visit}",
                DRAWN: tuple(name for name in shown if shown[name][i]),
            },
        )
        for i, (owner, visit) in enumerate(zip(owners, visits, strict=True))
    ]


def _stratified(
    count: int, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Chooses a share of `count` places, bool `[count]`."""
    return rng.permutation(count) < round(share * count)


def _state_counts(name: str, num_images: int) -> tuple[int, int, int]:
    """Scales the official counts: positive, negative, uncertain."""
    positive, negative, uncertain = (
        round(count * num_images / NUM_OFFICIAL) for count in OFFICIAL[name]
    )
    return positive, negative, uncertain


def _choose_findings(
    owners: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Chooses which images show a finding, bool `[num_images]` each.

    As many as CheXpert's positive and half its uncertain labels; the findings
    are independent of each other and tend to stay from study to study.
    """
    shown = {}
    for name in FINDINGS:
        positive, _, uncertain = _state_counts(name, len(owners))
        lasting = rng.normal(size=len(owners))[owners]
        passing = rng.normal(size=len(owners))
        tendency = (
            math.sqrt(_PERSISTENCE) * lasting
            + math.sqrt(1 - _PERSISTENCE) * passing
        )
        rank = tendency.argsort().argsort()
        shown[name] = rank >= len(owners) - positive - uncertain // 2
    return shown


def _labels_of_reports(
    shown: Mapping[str, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Labels images as a program reads reports, int8 `[num_images, 14]`."""
    num_images = len(shown[DEVICES])
    labels = _unmentioned(num_images)
    for name in FINDINGS:
        positive, negative, uncertain = _state_counts(name, num_images)
        order = rng.permutation(num_images)
        present, absent = order[shown[name][order]], order[~shown[name][order]]
        doubted = present[positive:]
        suspected, denied, _ = np.split(
            absent, np.cumsum([uncertain - len(doubted), negative])
        )
        column = labels[:, _column(name)]
        column[present[:positive]] = label_states.POSITIVE
        column[doubted] = column[suspected] = label_states.UNCERTAIN
        column[denied] = label_states.NEGATIVE
    # Never beside a finding that is positive or uncertain, as in CheXpert.
    is_clear = (
        (labels == label_states.UNMENTIONED) | (labels == label_states.NEGATIVE)
    ).all(axis=1)
    clear = rng.permutation(np.flatnonzero(is_clear))
    clear = clear[: round(_NO_FINDING_SHARE * num_images)]
    labels[clear, _column(NO_FINDING)] = label_states.POSITIVE
    labels[shown[DEVICES], _column(DEVICES)] = label_states.POSITIVE
    return labels


def _labels_of_radiologists(shown: Mapping[str, np.ndarray]) -> np.ndarray:
    """Labels images with what they show, int8 `[num_images, 14]`."""
    is_ill = np.any([shown[name] for name in FINDINGS], axis=0)
    labels = _unmentioned(len(is_ill))
    for name, is_shown in {**shown, NO_FINDING: ~is_ill}.items():
        labels[:, _column(name)] = np.where(
            is_shown, label_states.POSITIVE, label_states.NEGATIVE
        )
    return labels


def _unmentioned(num_images: int) -> np.ndarray:
    return np.full(
        (num_images, len(chest_xrays.LABEL_NAMES)),
        label_states.UNMENTIONED,
        np.int8,
    )


def _column(name: str) -> int:
    return chest_xrays.LABEL_NAMES.index(name)


def process(item: items.Item, *, size: int) -> processing.Processed:
    """Draws an X-ray as an example of `features.chest_xray()`.

    Args:
        item: Which study, and what it shows.
        size: Side of the square image, pixels.
    """
    features = {k: v for k, v in item.values.items() if k != DRAWN}
    return processing.Processed(
        {
            "image": images.encode_jpeg(draw(item, size)[..., 0]),
            "image_id": item.image_id,
            "patient_id": item.patient_id,
            **features,
        }
    )


def draw(study: items.Item, size: int) -> np.ndarray:
    """Draws one X-ray.

    Args:
        study: Which study, and what it shows.
        size: Side of the square image, pixels.

    Returns:
        The image, shape `[size, size, 1]`, uint8; dense is bright.

    Example:
    >>> study = studies("test")[0]
    >>> draw(study, 32).shape
    (32, 32, 1)
    """
    number = int(study.patient_id.removeprefix("s"))
    visit = int(study.values["study_id"].rpartition("study")[2])
    is_ap = study.values["projection"] == "AP"
    # One stream a purpose: anatomy, position, devices and camera are the same
    # whatever findings are drawn.
    day, pose, clutter, devices, camera, *spots = (
        np.random.default_rng([SEED, purpose, number, visit])
        for purpose in range(3, 8 + len(FINDINGS))
    )
    chest = anatomy.make_chest(
        np.random.default_rng([SEED, 2, number]),
        day,
        is_female=study.values["sex"] == "Female",
        is_ap=is_ap,
    )
    # Small images are drawn at twice their size against aliasing.
    factor = 2 if size <= 128 else 1
    film = anatomy.Film(size * factor, anatomy.make_pose(pose, is_ap=is_ap))
    anatomy.draw(film, chest)
    findings.draw(film, chest, study.values[DRAWN], spots)
    findings.draw_distractors(film, chest, clutter)
    if DEVICES in study.values[DRAWN]:
        findings.draw_devices(film, chest, devices)
    return _expose(film, chest, factor, camera)


def _expose(
    film: anatomy.Film,
    chest: anatomy.Chest,
    factor: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Exposes the film and quantises the picture."""
    picture = film.attenuation(chest.air) / 1.5
    # A patient who moves, at times; in units of half the picture's side.
    moved = rng.uniform(0, 0.015) if rng.random() < 0.3 else 0.0
    width = 0.35 * factor + moved / film.tissue.pixel
    picture = canvas.blur(picture, width)
    contrast, light = math.exp(rng.normal(0, 0.2)), rng.normal(0, 0.07)
    picture = 0.5 + light + contrast * (picture - 0.5)
    picture = np.clip(picture, 0, None) ** rng.uniform(0.7, 1.5)
    picture = picture * _beam(film, rng)
    picture = np.maximum(picture, _letter(film, rng))
    picture = canvas.shrink(picture, factor)
    # Last: how many numbers the noise takes depends on the size.
    noise = rng.uniform(0.005, 0.025)
    picture = picture + rng.normal(0, noise, picture.shape)
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _beam(film: anatomy.Film, rng: np.random.Generator) -> np.ndarray:
    """Finds what the rays are let onto, bool `[size, size, 1]`."""
    x, y = film.tissue.grid
    left, right, top, bottom = 1 - rng.uniform(-0.1, 0.12, 4)
    is_lit = (x > -left) & (x < right) & (y > -top) & (y < bottom)
    return is_lit[..., None]


def _letter(film: anatomy.Film, rng: np.random.Generator) -> np.ndarray:
    """Lays a letter of lead beside the shoulder, `[size, size, 1]`."""
    letter, side = ("R", -1.0) if rng.random() < 0.5 else ("L", 1.0)
    place = (side * rng.uniform(0.72, 0.82), rng.uniform(-0.85, -0.6))
    ends = 0.06 * np.array(_LETTERS[letter]) + np.tile(place, 2)
    widths = np.full((len(ends), 1), 0.03)
    return film.tissue.strokes(np.hstack([ends, widths]))[..., None]
