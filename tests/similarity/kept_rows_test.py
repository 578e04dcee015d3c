import numpy as np
import pytest

from tests.similarity import oracles
from transfusion_tf import similarity
from transfusion_tf.similarity import collecting, kept_rows, scores


def both(layers, num_blocks=1, batch_size=15):
    """The same layers, as kept rows and as moments of all of them."""
    sizes = {name: values.shape[1] for name, values in layers.items()}
    kept = kept_rows.KeptRows(sizes, num_blocks=num_blocks)
    state = similarity.RepresentationMoments(sizes, num_blocks=num_blocks)
    count = len(next(iter(layers.values())))
    for start in range(0, count, batch_size):
        rows = slice(start, start + batch_size)
        batch = {name: values[rows] for name, values in layers.items()}
        groups = np.arange(count)[rows]
        kept.update_state(batch, groups)
        state.update_state(batch, groups)
    return kept, state.result()


def of_low_rank(num_neurons, seed):
    """60 rows in 6 directions, with an offset."""
    generator = np.random.default_rng(seed)
    shared = np.random.default_rng(9).normal(size=[60, 3])
    own = generator.normal(size=[60, 3])
    mix = generator.normal(size=[6, num_neurons])
    return np.concatenate([shared, own], axis=1) @ mix + 50.0


def score(measure, moments, *names):
    return scores.compute(measure, moments, *names, allow_small_n=True)


@pytest.mark.parametrize("measure", similarity.MEASURES)
def test_moments_of_a_pair_are_those_of_all_layers(measure):
    x, y = oracles.layers(num_datapoints=100)
    kept, whole = both({"x": x, "y": y, "z": x[:, :4] * y[:, :4]}, 4)
    for names in (("x", "y"), ("z", "x")):
        pair = kept.pair(*names)
        assert tuple(pair.layers) == names
        ours = [score(measure, m, *names) for m in (pair, *pair.blocks)]
        theirs = [score(measure, m, *names) for m in (whole, *whole.blocks)]
        assert len(ours) == 5
        for name in ("values", "null", "p_value"):
            np.testing.assert_allclose(
                [getattr(cell, name) for cell in ours],
                [getattr(cell, name) for cell in theirs],
                atol=1e-9,
            )


@pytest.mark.parametrize(
    "measure", [m for m in similarity.MEASURES if m != "pwcca"]
)
@pytest.mark.parametrize("sizes", [(90, 70), (90, 8), (8, 90)])
def test_layers_wider_than_their_rows_score_the_same(
    measure, sizes, monkeypatch
):
    monkeypatch.setattr(kept_rows, "_COLUMNS", 32)
    x, y = (of_low_rank(size, seed) for seed, size in enumerate(sizes))
    kept, whole = both({"x": x, "y": y}, num_blocks=4)
    assert (kept.is_wide("x"), kept.is_wide("y")) == tuple(
        size > 60 for size in sizes
    )
    pair = kept.pair("x", "y")
    assert max(pair.layers.values()) == 60
    for ours, theirs in zip(
        (pair, *pair.blocks), (whole, *whole.blocks), strict=True
    ):
        found, expected = (score(measure, m, "x", "y") for m in (ours, theirs))
        assert found.values == pytest.approx(expected.values, abs=1e-8)
        assert found.null == pytest.approx(expected.null, abs=1e-8, nan_ok=True)
        assert found.p_value == pytest.approx(
            expected.p_value, rel=1e-5, nan_ok=True
        )


def test_a_wide_layer_that_is_constant_stays_so():
    x = of_low_rank(90, 0)
    kept, _ = both({"x": x, "y": np.full([60, 90], 0.1, np.float32)})
    cell = score("cka", kept.pair("x", "y"), "x", "y")
    assert np.isnan(cell.values) and "'y' constant" in cell.notes[0]


def test_a_layer_with_itself_is_there_twice():
    x, _ = oracles.layers(num_datapoints=100)
    kept, _ = both({"x": x})
    pair = kept.pair("x", "x")
    assert list(pair.layers.values()) == [12, 12]
    assert score("cca", pair, *pair.layers).values == pytest.approx(1.0)


def test_a_value_that_is_not_finite_is_an_error_with_the_layers_name():
    kept = kept_rows.KeptRows({"x": 2, "y": 1})
    batch = {"x": np.zeros([3, 2]), "y": np.array([[0.0], [np.nan], [1.0]])}
    with pytest.raises(ValueError, match="'y' are not finite.*1 of 3"):
        kept.update_state(batch, np.arange(3))


def choose(num_neurons, num_images, **options):
    defaults = {"num_blocks": 1, "keep_rows": False, "max_gigabytes": 4.0}
    return collecting.choose(
        list(num_neurons.items()), 16, num_images, **(defaults | options)
    )


def test_the_lesser_memory_is_chosen():
    # Of 10,000 neurons: moments 24e8 bytes; 16 positions an image in float32:
    # 640,000 bytes an image, as much as moments at 3,750 images.
    layers = {(7, 7): 10_000}
    assert choose(layers, 3_700).is_rows
    assert not choose(layers, 3_800).is_rows
    # Of 4 positions there are 4; of one more grid the neurons add up.
    assert choose({(2, 2): 10_000}, 3_800).is_rows
    assert choose({(7, 7): 7000, (): 7000}, 3_800).is_rows
    assert choose(layers, 3_800, num_blocks=2, max_gigabytes=5).is_rows
    assert choose(layers, 3_700).note == (
        "rows of all layers, 2.37 GB; their moments would take 2.40 GB"
    )
    assert choose(layers, 3_800).note == "moments of all layers, 2.40 GB"


def test_little_memory_is_taken_by_moments_and_by_rows_where_they_are_needed():
    assert not choose({(): 6000}, 10).is_rows
    assert choose({(): 6000}, 10, keep_rows=True).is_rows


def test_of_a_stream_of_unknown_length_large_moments_are_not_begun():
    assert choose({(): 10_000}, None).is_rows
    assert not choose({(): 6000}, None).is_rows
    note = choose({(): 50_000}, None).note
    assert (
        note == "rows of all layers, unknown; their moments would take 60.00 GB"
    )


def test_what_does_not_fit_is_refused_before_it_is_collected():
    with pytest.raises(ValueError, match="rows of all.*5.00 GB of rows, 60.00"):
        choose({(): 50_000}, 25_000)
    with pytest.raises(ValueError, match="moments of all.*600.00.*, 9.60 GB"):
        choose({(): 20_000}, 7_500_000)
    with pytest.raises(ValueError, match="max_gigabytes=0.1.*max_neurons=64"):
        choose({(): 6000}, 10, max_gigabytes=0.1)
