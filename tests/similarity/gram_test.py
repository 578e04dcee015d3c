import itertools
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.launch import running
from tests.similarity import oracles
from transfusion_tf import similarity
from transfusion_tf.similarity import gram


def published():
    """The data of Kornblith's notebook."""
    generator = np.random.RandomState(1337)
    x = generator.randn(100, 10)
    return x, generator.randn(100, 10) + x


def gram_in_numpy(x):
    centred = x.astype(np.float64) - x.astype(np.float64).mean(0)
    return centred @ centred.T


def biased_in_numpy(k, m):
    h = np.eye(len(k)) - 1 / len(k)

    def hsic(a, b):
        return np.trace(a @ h @ b @ h)

    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def hsic_in_numpy(k, m):
    """Song et al. 2012, equation 5, as printed."""
    n, one = len(k), np.ones(len(k))
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    return (
        np.trace(k @ m)
        + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ k @ m @ one)
    ) / (n * (n - 3))


def debiased_in_numpy(k, m):
    return hsic_in_numpy(k, m) / np.sqrt(
        hsic_in_numpy(k, k) * hsic_in_numpy(m, m)
    )


def cka(x, y, debiased=True):
    grams = similarity.linear_gram(x), similarity.linear_gram(y)
    return float(similarity.cka_from_grams(*grams, debiased=debiased))


def streamed(batches, names="ab"):
    state = similarity.MinibatchCKA(list(names))
    for batch in batches:
        state.update_state(dict(zip(names, batch, strict=True)))
    return state


def test_the_published_figures():
    x, y = published()
    rbf = [similarity.rbf_gram(side, 0.5) for side in (x, y)]
    assert round(cka(x, y, debiased=False), 5) == 0.55761
    assert round(cka(x, y), 5) == 0.51346
    score = float(similarity.cka_from_grams(*rbf, debiased=False))
    assert round(score, 5) == 0.65483


@pytest.mark.parametrize("size", [5, 200])
def test_scores_equal_the_definitions(size):
    # Fewer and more neurons than datapoints; Grams that are not centred too.
    x, y = oracles.layers(60, (size, 9))
    grams = [side.astype(np.float64) @ side.T for side in (x, y)]
    for debiased, definition in (
        (False, biased_in_numpy),
        (True, debiased_in_numpy),
    ):
        expected = definition(*map(gram_in_numpy, (x, y)))
        assert cka(x, y, debiased) == pytest.approx(expected, abs=1e-12)
        score = similarity.cka_from_grams(*grams, debiased=debiased)
        assert float(score) == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(
        similarity.linear_gram(x), gram_in_numpy(x), atol=1e-10
    )


@pytest.mark.parametrize("count", [20, 21])
def test_the_gaussian_gram_equals_the_notebooks(count):
    x = published()[0][:count]
    products = x @ x.T
    norms = np.diag(products)
    squared = norms[:, None] + norms - 2 * products
    expected = np.exp(-squared / (2 * 0.7**2 * np.median(squared)))
    np.testing.assert_allclose(
        similarity.rbf_gram(x, 0.7), expected, atol=1e-12
    )


@pytest.mark.parametrize("debiased", [True, False])
def test_what_cka_does_not_see_and_what_it_does(debiased):
    x, y = (side.astype(np.float64) for side in oracles.layers())
    score = cka(x, y, debiased)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    for same in (x @ rotation, 1e-5 * x, x + 1000.0, x[:, ::-1]):
        assert cka(same, y, debiased) == pytest.approx(score, abs=1e-9)
    order = np.random.default_rng(2).permutation(len(x))
    assert cka(x[order], y[order], debiased) == pytest.approx(score, abs=1e-12)
    stretched = x * np.linspace(1, 5, 12)
    assert abs(cka(stretched, y, debiased) - score) > 0.01
    assert abs(cka(x[order], y, debiased) - score) > 0.1
    # The Gaussian kernel sees distances, so the same of it.
    rbf = [similarity.rbf_gram(s) for s in (x, y, 3 * x @ rotation - 7)]
    same = [similarity.cka_from_grams(k, rbf[1]) for k in (rbf[0], rbf[2])]
    assert float(same[0]) == pytest.approx(float(same[1]), abs=1e-9)


def test_a_negative_score_is_kept():
    generator = np.random.default_rng(0)
    scores = [
        cka(*generator.normal(size=(2, 16, 8)), debiased=True)
        for _ in range(60)
    ]
    assert min(scores) < -0.1
    # Unrelated layers score 0 on average; clamped ones would not.
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(60)
    x, y = generator.normal(size=(2, 4, 3))
    assert cka(x, y) == pytest.approx(
        debiased_in_numpy(*map(gram_in_numpy, (x, y))), abs=1e-12
    )


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e8])
def test_a_constant_layer_has_no_score(constant):
    x = published()[0]
    flat = np.full([100, 3], constant)
    for debiased in (True, False):
        for make in (similarity.linear_gram, similarity.rbf_gram):
            pair = make(flat), make(x)
            score = similarity.cka_from_grams(*pair, debiased=debiased)
            assert np.isnan(score)
        uncentred = flat @ flat.T
        score = similarity.cka_from_grams(uncentred, uncentred)
        assert np.isnan(score)
    result = similarity.corrected_cka(flat, x)
    assert np.isnan(result.score)
    assert "x's neurons do not vary together" in result.notes[0]
    state = streamed([(flat, x)])
    np.testing.assert_array_equal(
        np.isnan(state.result()), [[True, True], [True, False]]
    )


def test_what_is_not_finite_is_never_a_score():
    x = published()[0]
    broken = gram_in_numpy(x)
    for place in ((3, 3), (3, 4)):
        for value in (np.nan, np.inf):
            bad = broken.copy()
            bad[place] = bad[place[::-1]] = value
            for debiased in (True, False):
                score = similarity.cka_from_grams(
                    bad, broken, debiased=debiased
                )
                assert np.isnan(score)
    x[2, 1] = np.nan
    for call in (
        similarity.linear_gram,
        similarity.rbf_gram,
        lambda x: similarity.corrected_cka(x, published()[0]),
        lambda x: streamed([(x, published()[0])]),
    ):
        with pytest.raises(ValueError, match=r"not finite\. Received: 1 of"):
            call(x)


def test_bad_grams_are_named():
    x, y = published()
    k = similarity.linear_gram(x)
    with pytest.raises(ValueError, match=r"square\. Received: gram_y of shape"):
        similarity.cka_from_grams(k, y)
    with pytest.raises(ValueError, match=r"symmetric\. Received: gram_x"):
        similarity.cka_from_grams(y[:10], k)
    with pytest.raises(ValueError, match=r"'gram_x': 100, 'gram_y': 99"):
        similarity.cka_from_grams(k, k[:99, :99])
    with pytest.raises(ValueError, match=r"at least 4.*num_datapoints=3"):
        similarity.cka_from_grams(k[:3, :3], k[:3, :3])
    with pytest.raises(ValueError, match=r"at least 3.*num_datapoints=2"):
        similarity.cka_from_grams(k[:2, :2], k[:2, :2], debiased=False)
    with pytest.raises(ValueError, match=r"threshold=0.*above 0"):
        similarity.rbf_gram(x, 0.0)


def test_within_a_graph_the_same():
    x, y = published()

    @tf.function
    def both(x, y):
        rbf = similarity.rbf_gram(x, 0.5), similarity.rbf_gram(y, 0.5)
        linear = similarity.linear_gram(x), similarity.linear_gram(y)
        return [
            similarity.cka_from_grams(*linear),
            similarity.cka_from_grams(*rbf, debiased=False),
        ]

    np.testing.assert_allclose(both(x, y), [0.5134565, 0.6548312], atol=1e-6)


def corrected_by_enumeration(x, y, same_neurons):
    """The mean over all that differ: 4 images, 2 neurons."""
    kernels = [
        [np.outer(neuron, neuron) for neuron in side.T] for side in (x, y)
    ]
    images = list(itertools.permutations(range(len(x)), 4))

    def hsic(k, m):
        # Of unrelated images i, j, q, r: cov of k and m, products apart.
        return np.mean(
            [
                k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
                for i, j, q, r in images
            ]
        )

    def mean(first, second, apart):
        return np.mean(
            [
                hsic(k, m)
                for p, k in enumerate(first)
                for q, m in enumerate(second)
                if p != q or not apart
            ]
        )

    norms = [mean(side, side, True) for side in kernels]
    return mean(*kernels, same_neurons) / np.sqrt(norms[0] * norms[1])


@pytest.mark.parametrize("sizes", [(3, 4), (9, 5)])
def test_corrected_equals_the_mean_over_images_and_neurons_that_differ(sizes):
    # 7 images: fewer and more than neurons, which take two ways to HSIC.
    x, y = oracles.layers(7, sizes, shared=2)
    expected = corrected_by_enumeration(
        x.astype(np.float64), y.astype(np.float64), False
    )
    result = similarity.corrected_cka(x, y)
    assert result.score == pytest.approx(expected, rel=1e-10)
    assert (result.num_datapoints, result.num_neurons) == (7, sizes)
    x, y = x[:, :3], y[:, :3]
    same = similarity.corrected_cka(x, y, same_neurons=True)
    assert same.score == pytest.approx(
        corrected_by_enumeration(
            x.astype(np.float64), y.astype(np.float64), True
        ),
        rel=1e-10,
    )
    itself = similarity.corrected_cka(x, x, same_neurons=True).score
    assert np.isnan(itself) or itself == pytest.approx(1.0, abs=1e-12)


def sampled(generator, num_images, sizes):
    """Gaussian images and weights: HSIC(k, l) = trace(S_x S_y)."""
    spectra = np.linspace(1, 0.3, 8), np.linspace(0.8, 1.5, 8)
    images = generator.normal(size=(num_images, 8))
    sides = [
        images @ (np.sqrt(s)[:, None] * generator.normal(size=(8, size)))
        for s, size in zip(spectra, sizes, strict=True)
    ]
    pairs = ((0, 1), (0, 0), (1, 1))
    return sides, np.array([spectra[i] @ spectra[j] for i, j in pairs])


def test_terms_of_small_samples_average_to_those_of_the_population():
    generator = np.random.default_rng(0)
    corrected = tf.function(similarity.corrected_hsic)
    terms, plain = [], []
    for _ in range(3000):
        (x, y), truth = sampled(generator, 8, (6, 5))
        terms.append(corrected(x, y))
        k, m = (gram_in_numpy(s) / s.shape[1] for s in (x, y))
        plain.append([hsic_in_numpy(*p) for p in ((k, m), (k, k), (m, m))])
    away = []
    for estimates in (np.array(terms), np.array(plain)):
        error = estimates.std(axis=0) / np.sqrt(len(estimates))
        away.append((estimates.mean(axis=0) - truth) / error)
    assert (np.abs(away[0]) < 3).all(), away
    # Without correction for neurons only HSIC of two layers is right.
    assert (away[1][1:] > 10).all(), away
    cross, *norms = np.mean(terms, axis=0)
    score = truth[0] / np.sqrt(truth[1] * truth[2])
    assert cross / np.sqrt(np.prod(norms)) == pytest.approx(score, abs=0.05)


def test_corrected_scores_what_all_neurons_and_images_would():
    generator = np.random.default_rng(0)
    scores = []
    for _ in range(40):
        (x, y), truth = sampled(generator, 100, (100, 100))
        corrected = similarity.corrected_cka(x, y).score
        scores.append((corrected, cka(x, y), cka(x, y, debiased=False)))
    means = np.mean(scores, axis=0)
    errors = np.std(scores, axis=0) / np.sqrt(40)
    away = (means - truth[0] / np.sqrt(truth[1] * truth[2])) / errors
    assert abs(away[0]) < 3, (means, errors)
    assert (away[1:] < -6).all(), (means, errors)


def test_corrected_refuses_what_it_cannot_correct():
    x, y = published()
    with pytest.raises(ValueError, match=r"num_neurons=\(1, 10\).*at least 2"):
        similarity.corrected_cka(x[:, :1], y)
    with pytest.raises(ValueError, match=r"\(9, 10\), same_neurons=True"):
        similarity.corrected_cka(x[:, :9], y, same_neurons=True)
    with pytest.raises(ValueError, match=r"at least 4.*num_datapoints=3"):
        similarity.corrected_cka(x[:3], y[:3])
    with pytest.raises(ValueError, match=r"'x': 99, 'y': 100"):
        similarity.corrected_cka(x[:99], y)
    alone = np.zeros_like(x)
    alone[:, 3] = x[:, 3]
    result = similarity.corrected_cka(y, alone)
    assert np.isnan(result.score) and result.notes[0].startswith("y's neurons")


def test_one_batch_equals_the_debiased_score():
    x, y = oracles.layers(61)
    result = streamed([(x, y, x[:, ::-1] ** 2)], "abc").result()
    sides = [gram_in_numpy(s) for s in (x, y, x.astype(np.float64) ** 2)]
    expected = [[debiased_in_numpy(k, m) for m in sides] for k in sides]
    np.testing.assert_allclose(result, expected, atol=1e-12)
    assert result.dtype == tf.float64


def test_batches_are_averaged_by_their_numbers_of_images():
    x, y = oracles.layers(50)
    parts = [slice(0, 30), slice(30, 46), slice(46, 50)]
    hsic = [
        sum(
            (part.stop - part.start)
            * hsic_in_numpy(gram_in_numpy(a[part]), gram_in_numpy(b[part]))
            for part in parts
        )
        for a, b in ((x, y), (x, x), (y, y))
    ]
    state = streamed([(x[part], y[part]) for part in parts])
    assert float(state.result()[0, 1]) == pytest.approx(
        hsic[0] / np.sqrt(hsic[1] * hsic[2]), abs=1e-12
    )
    assert state.notes == (
        "minibatch estimate: 3 batches of 16.7 datapoints on average",
    )


def test_merged_states_equal_a_single_one_and_reset_forgets():
    x, y = oracles.layers(80)
    batches = [(x[s : s + 20], y[s : s + 20]) for s in range(0, 80, 20)]
    whole = streamed(batches)
    merged = streamed(batches[:1])
    merged.merge_state([streamed(batches[1:3]), streamed(batches[3:])])
    np.testing.assert_allclose(merged.result(), whole.result(), atol=1e-12)
    assert merged.notes == whole.notes
    merged.reset_state()
    with pytest.raises(ValueError, match=r"0 smaller batches and 0 others"):
        merged.result()
    merged.update_state(dict(zip("ab", batches[0], strict=True)))
    np.testing.assert_array_equal(
        merged.result(), streamed(batches[:1]).result()
    )


def test_large_means_cost_nothing():
    # Sums of float32 Grams with mean 50 lose the signal altogether.
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(2, 32, 50176)).astype(np.float32)
    there = [(side + np.float32(50)).astype(np.float32) for side in (x, y)]
    expected = debiased_in_numpy(*map(gram_in_numpy, there))
    assert abs(expected) > 0.01
    score = float(streamed([there]).result()[0, 1])
    assert score == pytest.approx(expected, abs=1e-9)
    narrow = [side @ side.T for side in there]
    with np.errstate(invalid="ignore"):
        assert not abs(debiased_in_numpy(*narrow) - expected) < 0.01


def test_the_state_updates_within_a_graph():
    x, y = oracles.layers(70)
    batches = [(x[s : s + 16], y[s : s + 16]) for s in range(0, 64, 16)]
    batches += [(x[64:], y[64:]), (x[:0], y[:0])]
    state = similarity.MinibatchCKA(["a", "b"])

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 12], tf.float32),
            tf.TensorSpec([None, 9], tf.float32),
        ]
    )
    def update(a, b):
        state.update_state({"a": a, "b": b})

    for batch in batches:
        update(*batch)
    eager = streamed(batches)
    np.testing.assert_allclose(state.result(), eager.result(), atol=1e-12)
    assert state.notes == eager.notes
    # What a graph cannot raise is raised by the result.
    update(x[:3], y[:3])
    with pytest.raises(ValueError, match=r"1 smaller batches and 5 others"):
        state.result()
    state.reset_state()
    broken = y[:16].copy()
    broken[3, 2] = np.inf
    update(x[:16], broken)
    with pytest.raises(ValueError, match=r"'b' are not finite.*1 batches"):
        state.result()


TWO_REPLICAS = """
import json
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.similarity import oracles
from transfusion_tf import similarity
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    state = similarity.MinibatchCKA(["a", "b"])
data = tf.data.Dataset.from_tensor_slices(tuple(oracles.layers(80))).batch(20)
@tf.function
def step(x, y):
    strategy.run(lambda x, y: state.update_state({"a": x, "b": y}), (x, y))
def see():
    for batch in strategy.experimental_distribute_dataset(data):
        step(*batch)
    return state.result().numpy().tolist()
first, notes = see(), state.notes
with strategy.scope():
    other = similarity.MinibatchCKA(["a", "b"])
other.merge_state([state])
merged = other.result().numpy().tolist()
state.reset_state()
print(json.dumps([notes, first, merged, see()]))
"""


def test_two_replicas_equal_the_batches_of_both():
    process = running.run_command([sys.executable, "-c", TWO_REPLICAS])
    assert process.returncode == 0, process.stderr[-2000:]
    notes, *results = json.loads(process.stdout.splitlines()[-1])
    x, y = oracles.layers(80)
    one = streamed([(x[s : s + 10], y[s : s + 10]) for s in range(0, 80, 10)])
    assert tuple(notes) == one.notes
    for result in results:
        np.testing.assert_allclose(result, one.result(), atol=1e-12)


def test_bad_batches_and_layers_are_named_by_the_state():
    x, y = oracles.layers(20)
    state = similarity.MinibatchCKA(["a", "b"])
    with pytest.raises(ValueError, match=r"Received: \['a'\]\. The state hol"):
        state.update_state({"a": x})
    with pytest.raises(ValueError, match=r"same datapoints.*'a': 20, 'b': 19"):
        state.update_state({"a": x, "b": y[:19]})
    with pytest.raises(ValueError, match=r"A batch needs at least 4.*=3"):
        state.update_state({"a": x[:3], "b": y[:3]})
    with pytest.raises(ValueError, match=r"must hold the same layers"):
        state.merge_state([similarity.MinibatchCKA(["b", "a"])])
    for names in ([], ["a", "a"]):
        with pytest.raises(ValueError, match=r"layers of different names"):
            similarity.MinibatchCKA(names)


def test_constants_are_centred_to_exact_zeros():
    values = tf.fill([7, 3], tf.constant(0.1, tf.float64))
    np.testing.assert_array_equal(gram.centre(values), np.zeros([7, 3]))
