import numpy as np
import pytest
import scipy.spatial
import scipy.stats
import sklearn.metrics

from transfusion_tf import similarity


def layers(num_datapoints=60):
    """Related layers in which no two distances are equal."""
    generator = np.random.default_rng(0)
    signal = generator.normal(size=(num_datapoints, 5))
    return [
        signal @ generator.normal(size=(5, size))
        + generator.normal(size=(num_datapoints, size))
        for size in (12, 9)
    ]


def neighbors_in_numpy(x, num_neighbors, distance):
    distances = scipy.spatial.distance.squareform(
        scipy.spatial.distance.pdist(x, distance)
    )
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1)[:, :num_neighbors]


def rotation(size, seed=3):
    raw = np.random.default_rng(seed).normal(size=(size, size))
    return np.linalg.qr(raw)[0]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("num_neighbors", [1, 10, 58])
def test_common_neighbors_equal_the_definition(distance, num_neighbors):
    x, y = layers()
    pairs = zip(
        *(neighbors_in_numpy(s, num_neighbors, distance) for s in (x, y)),
        strict=True,
    )
    expected = np.mean([len(set(a) & set(b)) for a, b in pairs])
    result = similarity.mutual_nearest_neighbors(
        x, y, num_neighbors, distance=distance
    )
    assert result.score == pytest.approx(expected / num_neighbors, abs=1e-12)
    assert result.null == num_neighbors / 59
    assert result.num_datapoints == 60
    assert result.num_neurons == (12, 9)
    assert result.notes == ()


def test_what_neighbors_do_not_see_and_what_they_do():
    def score(x, y, distance="euclidean"):
        return similarity.mutual_nearest_neighbors(
            x, y, distance=distance
        ).score

    x, y = layers()
    turned = 1e-3 * x @ rotation(12)
    for distance in ("euclidean", "cosine"):
        assert score(x, x, distance) == 1.0
        assert score(turned, y, distance) == score(x, y, distance)
        assert score(x, y, distance) == score(y, x, distance)
    # An offset is seen from the origin only, however large it is.
    assert score(x + 1e8, y) == score(x, y)
    assert score(x + 5.0, x, "cosine") < 0.9
    assert score(x * np.logspace(0, 2, 12), x) < 0.9
    order = np.random.default_rng(0).permutation(60)
    assert score(x[order], y[order]) == score(x, y)


def test_permuted_images_score_the_null_level():
    x, y = layers(40)
    generator = np.random.default_rng(0)
    results = [
        similarity.mutual_nearest_neighbors(x, y[generator.permutation(40)], 5)
        for _ in range(300)
    ]
    scores = [result.score for result in results]
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores) - results[0].null) < 3 * error


def test_neighbors_by_chance_are_noted():
    x, y = layers()
    x[:30] = x[0]  # All 29 others are as near: which 10 of them is chance.
    x[30:] += 1e3  # These have each other.
    result = similarity.mutual_nearest_neighbors(x, y, distance="euclidean")
    assert 0 < result.score < 1
    (note,) = result.notes
    assert note.startswith("x: 30 datapoints have no definite 10 neighbours")
    constant = similarity.mutual_nearest_neighbors(x, np.full([60, 3], 0.1))
    assert np.isnan(constant.score)
    assert constant.notes == ("y: a constant layer has no distances",)
    x[7] = 0.0
    dead = similarity.mutual_nearest_neighbors(y, x)
    assert np.isnan(dead.score)
    assert dead.notes == ("y: 1 datapoints are zeros",)


def test_neighbors_refuse_what_they_cannot_score():
    x, y = layers()
    for count in (0, 59):
        with pytest.raises(ValueError, match=rf"num_neighbors={count}, num_"):
            similarity.mutual_nearest_neighbors(x, y, count)
    with pytest.raises(ValueError, match=r"distance='cosin'.*cosine, euclid"):
        similarity.mutual_nearest_neighbors(x, y, distance="cosin")


@pytest.mark.parametrize("distance", ["correlation", "cosine", "euclidean"])
@pytest.mark.parametrize("comparison", ["spearman", "pearson"])
def test_rsa_equals_scipys(distance, comparison):
    x, y = layers()
    rdms = [scipy.spatial.distance.pdist(s, distance) for s in (x, y)]
    function = {
        "spearman": scipy.stats.spearmanr,
        "pearson": scipy.stats.pearsonr,
    }[comparison]
    result = similarity.rsa(x, y, distance=distance, comparison=comparison)
    assert result.score == pytest.approx(function(*rdms)[0], abs=1e-12)
    assert (result.null, result.num_datapoints) == (0.0, 60)
    assert result.num_neurons == (12, 9)


def test_rsa_defaults_to_the_fields():
    x, y = layers()
    rdms = [1 - np.corrcoef(s)[np.triu_indices(60, 1)] for s in (x, y)]
    ranks = [scipy.stats.rankdata(rdm) for rdm in rdms]
    expected = np.corrcoef(*ranks)[0, 1]
    assert similarity.rsa(x, y).score == pytest.approx(expected, abs=1e-9)


def test_what_rsa_does_not_see_and_what_it_does():
    x, y = layers()
    score = similarity.rsa(x, y, distance="euclidean").score
    moved = 1e-3 * x @ rotation(12) + 100.0
    same = similarity.rsa(moved, y, distance="euclidean").score
    assert same == pytest.approx(score, abs=1e-6)
    # Correlation over neurons does not see a datapoint's own offset.
    own = x + np.arange(60.0)[:, None]
    assert similarity.rsa(own, x).score == pytest.approx(1.0, abs=1e-6)
    assert similarity.rsa(own, x, distance="cosine").score < 0.9
    order = np.random.default_rng(0).permutation(60)
    assert abs(similarity.rsa(x[order], y).score) < 0.2 < score


def test_rsa_of_permuted_images_is_0_on_average():
    x, y = layers(12)
    generator = np.random.default_rng(0)
    scores = [
        similarity.rsa(x, y[generator.permutation(12)]).score
        for _ in range(400)
    ]
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(400)


def test_distances_that_are_not_defined_are_no_score():
    x, y = layers()
    flat = x.copy()
    flat[4] = 0.1
    for distance, layer, note in (
        ("correlation", flat, "y: 1 datapoints are the same in all neurons"),
        ("correlation", x[:, :1], "y: 60 datapoints are the same in all neu"),
        ("cosine", x * (np.arange(60) != 3)[:, None], "y: 1 datapoints are ze"),
        ("euclidean", np.full([60, 2], 0.1), "y: a constant layer has no dis"),
        ("euclidean", np.eye(60), "y: all distances are equal"),
    ):
        result = similarity.rsa(x, layer, distance=distance)
        assert np.isnan(result.score), distance
        assert result.notes[0].startswith(note)
    # A flat datapoint has distances of the other kinds.
    assert np.isfinite(similarity.rsa(x, flat, distance="cosine").score)


def test_rsa_refuses_what_it_cannot_score():
    x, y = layers()
    with pytest.raises(ValueError, match=r"num_datapoints=2.*at least 3"):
        similarity.rsa(x[:2], y[:2])
    with pytest.raises(ValueError, match=r"distance='cityblock'"):
        similarity.rsa(x, y, distance="cityblock")
    with pytest.raises(ValueError, match=r"comparison='kendall'"):
        similarity.rsa(x, y, comparison="kendall")


@pytest.mark.parametrize(
    "measure", [similarity.rsa, similarity.mutual_nearest_neighbors]
)
def test_bad_activations_are_named(measure):
    x, y = layers()
    with pytest.raises(ValueError, match=r"'x': 60, 'y': 59"):
        measure(x, y[:59])
    y[3, 4] = np.nan
    with pytest.raises(ValueError, match=r"'y' are not finite.*1 of 540"):
        measure(x, y)


def predictions(num_classes=3, size=500):
    generator = np.random.default_rng(0)
    labels = generator.integers(num_classes, size=size)
    sides = [
        np.where(
            generator.random(size) < accuracy,
            labels,
            generator.integers(num_classes, size=size),
        )
        for accuracy in (0.6, 0.8)
    ]
    return *sides, labels


@pytest.mark.parametrize("num_classes", [2, 5])
def test_agreement_equals_scikit_learns(num_classes):
    a, b, labels = predictions(num_classes)
    result = similarity.prediction_similarity(a, b, labels)
    assert result.score == sklearn.metrics.accuracy_score(a, b)
    assert result.disagreement == pytest.approx(np.mean(a != b), abs=1e-12)
    kappa = sklearn.metrics.cohen_kappa_score(a, b)
    assert result.kappa == pytest.approx(kappa, abs=1e-12)
    table = sklearn.metrics.confusion_matrix(a, b) / len(a)
    assert result.null == pytest.approx(table.sum(0) @ table.sum(1), abs=1e-12)
    accuracies = [sklearn.metrics.accuracy_score(labels, s) for s in (a, b)]
    assert result.accuracies == pytest.approx(accuracies, abs=1e-12)
    right = a == labels, b == labels
    assert result.errors.score == np.mean(right[0] == right[1])
    assert result.errors.kappa == pytest.approx(
        sklearn.metrics.cohen_kappa_score(*right), abs=1e-12
    )
    first, second = accuracies
    assert result.errors.null == pytest.approx(
        first * second + (1 - first) * (1 - second), abs=1e-12
    )
    assert result.errors.errors is None


def test_the_null_level_is_what_permuted_predictions_agree_on():
    a, b, _ = predictions(3, 100)
    generator = np.random.default_rng(0)
    scores = [np.mean(a == generator.permutation(b)) for _ in range(2000)]
    null = similarity.prediction_similarity(a, b).null
    assert abs(np.mean(scores) - null) < 3 * np.std(scores) / np.sqrt(2000)


def test_agreement_of_the_same_and_of_opposites():
    a = np.array([0, 1, 1, 0])
    same = similarity.prediction_similarity(a, a)
    assert (same.score, same.kappa, same.accuracies) == (1.0, 1.0, None)
    opposite = similarity.prediction_similarity(a, 1 - a)
    assert (opposite.score, opposite.null, opposite.kappa) == (0.0, 0.5, -1.0)
    # Names of classes mean nothing but what they are called.
    renamed = similarity.prediction_similarity(a * 7 - 3, a * 7 - 3)
    assert renamed == same


def test_predictions_of_one_class_have_no_kappa():
    ones = np.ones(10, np.int64)
    result = similarity.prediction_similarity(ones, ones, ones - 1)
    assert (result.score, result.null) == (1.0, 1.0)
    assert np.isnan(result.kappa)
    assert result.notes == ("both always predict the same class",)
    # Of different ones each there is: chance agrees on nothing, as they do.
    different = similarity.prediction_similarity(ones, ones + 1)
    assert (different.score, different.kappa) == (0.0, 0.0)
    assert different.notes == ()


def test_bad_predictions_are_named():
    a, b, labels = predictions()
    with pytest.raises(ValueError, match=r"'labels': 499\}"):
        similarity.prediction_similarity(a, b, labels[:499])
    with pytest.raises(ValueError, match=r"predictions_b of dtype float64"):
        similarity.prediction_similarity(a, b * 0.1)
    with pytest.raises(ValueError, match=r"shape \(500, 2\).*argmax"):
        similarity.prediction_similarity(np.stack([a, b], 1), b)
    with pytest.raises(ValueError, match=r"'predictions_a': 0"):
        similarity.prediction_similarity(a[:0], b[:0])
