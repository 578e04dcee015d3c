import numpy as np
import pytest

from transfusion_tf import similarity


def stage(num_images=30, size=6, num_channels=10, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(num_images, size, size, num_channels))


def test_a_linear_change_of_the_channels_scores_one():
    before = stage()
    mix = np.random.default_rng(1).normal(size=(10, 10))
    result = similarity.paper_protocol(
        before, before @ mix + 2, num_positions=600, repeats=2
    )
    np.testing.assert_allclose(result.scores, 1.0, atol=1e-10)
    assert (result.num_datapoints, result.num_neurons) == (600, (10, 10))
    assert len(result.nulls) == 2
    assert max(result.nulls) < 0.3


def test_unrelated_stages_score_their_null_level():
    result = similarity.paper_protocol(
        stage(60), stage(60, seed=1), num_positions=2000, repeats=5
    )
    spread = np.std(result.scores) + np.std(result.nulls)
    assert abs(result.mean - result.null) < 4 * spread
    assert 0.03 < result.null < 0.1


def test_the_null_level_keeps_what_all_images_share_at_a_position():
    # Every image is the same map: permuting images changes nothing.
    shared = np.repeat(stage(1), 40, axis=0)
    result = similarity.paper_protocol(
        shared, shared, num_positions=700, repeats=2
    )
    np.testing.assert_allclose(result.nulls, 1.0, atol=1e-9)


def test_all_whole_stage_equals_cca_of_its_positions():
    before = stage()
    after = before + 0.5 * stage(seed=2)
    result = similarity.paper_protocol(before, after, repeats=1)
    expected = similarity.cca(before.reshape(-1, 10), after.reshape(-1, 10))
    assert result.mean == pytest.approx(expected.mean, abs=1e-12)
    assert result.notes == ("1080 positions: all that 30 images have",)


def test_same_channels_are_the_same_and_independent_ones_are_not():
    # 3 of 40 independent channels: the same 3 score 1, others the null.
    before = stage(num_channels=40)
    options = {"num_positions": 900, "num_channels": 3, "repeats": 4}
    same = similarity.paper_protocol(before, before, **options)
    other = similarity.paper_protocol(
        before, before, channels="independent", **options
    )
    assert same.mean == pytest.approx(1.0)
    assert other.mean < 0.5


def test_independent_channels_may_differ_in_number():
    result = similarity.paper_protocol(
        stage(),
        stage(num_channels=4),
        num_positions=600,
        repeats=1,
        channels="independent",
    )
    assert result.num_neurons == (10, 4)


def test_repeats_differ_and_the_seed_decides():
    before, after = stage(), stage() + stage(seed=1)
    first, again, other = (
        similarity.paper_protocol(before, after, num_positions=500, seed=s)
        for s in (0, 0, 1)
    )
    assert first.scores == again.scores and first.nulls == again.nulls
    assert len(set(first.scores)) == 5
    assert first.scores != other.scores


def test_dense_stages_and_svcca_are_scored():
    before = stage(400, 1)[:, 0, 0, :]
    result = similarity.paper_protocol(
        before, before * 3, measure="svcca", repeats=2
    )
    assert result.mean == pytest.approx(1.0)
    assert result.num_datapoints == 400


@pytest.mark.parametrize(
    ("measure", "score"),
    [
        ("cca", lambda x, y: similarity.cca(x, y).mean),
        ("pwcca", lambda x, y: similarity.pwcca(x, y, "x").mean),
        ("cka", lambda x, y: similarity.cka(x, y).score),
        ("procrustes", lambda x, y: similarity.procrustes(x, y).score),
        (
            "linear_regression",
            lambda x, y: similarity.linear_regression(x, y).score,
        ),
    ],
)
def test_each_measure_is_that_of_the_rows(measure, score):
    # All positions and channels are taken: nothing is sampled.
    before = stage()
    after = before[..., ::-1] ** 2 + before + stage(seed=1)
    result = similarity.paper_protocol(
        before, after, measure=measure, repeats=1, allow_small_n=True
    )
    x, y = (side.reshape(-1, side.shape[-1]) for side in (before, after))
    assert result.mean == pytest.approx(score(x, y), abs=1e-9)
    assert result.null < result.mean
    assert result.num_neurons == (10, 10)


def test_a_constant_stage_is_undefined_with_a_note():
    result = similarity.paper_protocol(
        np.zeros([30, 6, 6, 10]), stage(), num_positions=500, repeats=2
    )
    assert np.isnan(result.mean)
    assert result.notes == ("undefined: 'x' constant on these datapoints",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": "all"}, r"channels='all'.*same, independent"),
        ({"measure": "ccka"}, r"'ccka'.*cca, svcca, pwcca, cka"),
        ({"repeats": 0}, r"repeats=0"),
        ({"after": stage(29)}, r"30 and 29 images"),
        ({"after": stage(size=3)}, r"36 and 9 positions.*Average-pool"),
        ({"after": stage(num_channels=3)}, r"10 and 3 channels"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = {"before": stage(), "after": stage(), **changes}
    with pytest.raises(ValueError, match=message):
        similarity.paper_protocol(**arguments)


def test_one_image_is_refused():
    with pytest.raises(ValueError, match=r"permutes images.*1 images"):
        similarity.paper_protocol(stage(1), stage(1))
