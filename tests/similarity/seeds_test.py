import itertools

import keras
import numpy as np
import pytest
import scipy.stats

from transfusion_tf import similarity
from transfusion_tf.similarity import seed_bands


def model(seed, filters=4):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input([6, 6, 3]),
            keras.layers.Conv2D(filters, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="dense"),
        ]
    )


@pytest.fixture(scope="module")
def images():
    values = np.random.default_rng(0).normal(size=[150, 6, 6, 3])
    return values.astype(np.float32)


def bands(values, sizes, confidence=0.95):
    return seed_bands.bands_of(
        "cka", "conv", values, 0 * values, sizes, confidence
    )


@pytest.mark.parametrize("null", ["closed_form", "permutation"])
def test_scores_are_those_of_compare_pair_by_pair(images, null):
    groups = {"random": [model(0), model(1)], "transfer": [model(2), model(3)]}
    options = {
        "measures": ["cca", "pwcca"],
        "null": null,
        "num_permutations": 2,
        "max_positions": None,
    }
    data = [images[:80], images[80:]]
    found = similarity.compare_seeds(groups, data, **options)
    models = [*groups["random"], *groups["transfer"]]
    pairs = {
        pair: similarity.compare(
            models[pair[0]],
            models[pair[1]],
            data,
            **options,
        )
        for pair in itertools.permutations(range(4), 2)
    }
    places = {
        ("random", "random"): [(0, 1)],
        ("transfer", "transfer"): [(2, 3)],
        ("random", "transfer"): [(0, 2), (0, 3), (1, 2), (1, 3)],
    }
    assert len(found.bands) == 2 * 2 * 3
    for band in found.bands:
        layer = ["conv", "dense"].index(band.layer)

        def both(place, array, band=band, layer=layer):
            ways = [place, place[::-1]] if band.measure == "pwcca" else [place]
            return np.mean(
                [
                    getattr(pairs[w], array)[band.measure][layer, layer]
                    for w in ways
                ]
            )

        expected = [both(place, "values") for place in places[band.groups]]
        np.testing.assert_allclose(band.scores, expected, atol=2e-6)
        assert band.mean == pytest.approx(np.mean(band.scores))
        nulls = [both(place, "null") for place in places[band.groups]]
        assert band.null == pytest.approx(np.mean(nulls), abs=2e-6)
        assert np.isnan([band.low, band.drop_high]).all()  # Two a group.
    assert found.num_images == 150


def test_a_sum_over_two_models_has_students_interval():
    # The mean over pairs of a_i + a_j is twice the mean of a.
    a = np.random.default_rng(0).normal(size=7)
    (band,) = bands(a[:, None] + a, {"random": 7}, 0.9)
    expected = scipy.stats.t.interval(
        0.9, 6, loc=2 * a.mean(), scale=2 * a.std(ddof=1) / np.sqrt(7)
    )
    assert band.mean == pytest.approx(2 * a.mean())
    np.testing.assert_allclose([band.low, band.high], expected)
    assert len(band.scores) == 21
    assert np.isnan(band.drop)


def test_a_sum_over_two_groups_has_welchs_interval():
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=5), 3 * generator.normal(size=4)
    both = np.concatenate([a, b])
    *_, between = bands(both[:, None] + both, {"random": 5, "transfer": 4})
    expected = scipy.stats.ttest_ind(
        a, -b, equal_var=False
    ).confidence_interval()
    assert between.groups == ("random", "transfer")
    np.testing.assert_allclose([between.low, between.high], expected)
    assert between.drop == pytest.approx(0.0, abs=1e-12)


def test_how_far_groups_are_apart_leaves_out_what_models_bring_themselves():
    both = np.random.default_rng(2).normal(size=7)
    values = both[:, None] + both
    values[:3, 3:] -= 0.25
    values[3:, :3] -= 0.25
    *_, between = bands(values, {"random": 3, "transfer": 4})
    found = between.drop, between.drop_low, between.drop_high
    np.testing.assert_allclose(found, 0.25, atol=1e-12)


def test_intervals_over_seeds_hold_the_truth_as_often_as_they_say():
    # Models are points; the score of two is 1 over 1 plus their distance.
    generator = np.random.default_rng(3)

    def distances(count):
        points = generator.normal(size=[count, 3])
        points[: count // 2] += [1.0, 0.0, 0.0]
        return 1 / (1 + np.linalg.norm(points[:, None] - points[None], axis=-1))

    many, upper = distances(2000), np.triu_indices(1000, 1)
    truth = many[:1000, 1000:].mean()
    within = [
        many[:1000, :1000][upper].mean(),
        many[1000:, 1000:][upper].mean(),
    ]
    drop = np.mean(within) - truth
    inside = []
    for _ in range(300):
        *_, between = bands(distances(10), {"random": 5, "transfer": 5}, 0.9)
        inside.append(
            [
                between.low < truth < between.high,
                between.drop_low < drop < between.drop_high,
            ]
        )
    shares = np.mean(inside, axis=0)
    # 300 intervals are known to 1.7 %.
    assert (shares > 0.85).all() and (shares < 0.98).all(), shares


def test_a_table_has_a_column_for_each_group_and_each_two(images):
    groups = {"random": [model(s) for s in range(3)], "transfer": [model(4)]}
    found = similarity.compare_seeds(groups, [images], spatial="average")
    random, between = found.bands[0], found.bands[1]
    lines = found.markdown("cca").splitlines()
    assert lines[0] == (
        "| cca | random | random and transfer | below within, random and "
        "transfer |"
    )
    assert lines[2] == (
        f"| conv | {random.mean:.3f} [{random.low:.3f}, {random.high:.3f}] "
        f"({random.null:.3f}) | {between.mean:.3f} ({between.null:.3f}) | - |"
    )
    row = found.to_rows()[1]
    assert (row["group_a"], row["group_b"]) == ("random", "transfer")
    assert (row["num_pairs"], row["num_images"]) == (3, 150)
    assert row["mean"] == between.mean
    with pytest.raises(ValueError, match="not computed.*'svcca'.*cca, cka"):
        found.markdown("svcca")


def test_errors_name_what_is_wrong(images):
    one = model(0)
    with pytest.raises(ValueError, match="1 models.*at least 2"):
        similarity.compare_seeds({"random": [one]}, [images])
    with pytest.raises(ValueError, match="twice among random 0, transfer 0"):
        similarity.compare_seeds({"random": [one], "transfer": [one]}, [images])
    other = keras.Sequential(
        [keras.Input([6, 6, 3]), keras.layers.Conv2D(2, 3, name="other")]
    )
    with pytest.raises(ValueError, match="conv, dense of random 0; other of"):
        similarity.compare_seeds({"random": [one, other]}, [images])
    with pytest.raises(ValueError, match="confidence=95"):
        similarity.compare_seeds({"a": [one, other]}, [images], confidence=95)
