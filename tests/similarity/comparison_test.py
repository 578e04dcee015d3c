import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf import similarity
from transfusion_tf.similarity import capturing, collecting

NAMES = ["conv", "deep", "dense"]
SCORES = {
    "cca": lambda x, y: similarity.cca(x, y).mean,
    "svcca": lambda x, y: similarity.svcca(x, y).mean,
    "pwcca": lambda x, y: similarity.pwcca(x, y, "x").mean,
    "cka": lambda x, y: similarity.cka(x, y).score,
    "procrustes": lambda x, y: similarity.procrustes(x, y).score,
    "linear_regression": lambda x, y: similarity.linear_regression(x, y).score,
}


def functional(seed=0, name="functional"):
    keras.utils.set_random_seed(seed)
    images = keras.Input([8, 8, 3])
    x = keras.layers.Conv2D(5, 3, padding="same", name="conv")(images)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.Conv2D(4, 3, 2, padding="same", name="deep")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dense(3, name="dense")(x)
    return keras.Model(images, x, name=name)


class Block(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.deep = keras.layers.Conv2D(4, 3, 2, padding="same", name="deep")

    def call(self, inputs):
        return self.deep(inputs)


class Subclassed(keras.Model):
    """The same network; its middle convolution lies within a block."""

    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(5, 3, padding="same", name="conv")
        self.block = Block(name="block")
        self.pool = keras.layers.GlobalAveragePooling2D(name="pool")
        self.dense = keras.layers.Dense(3, name="dense")
        self.spare = keras.layers.Dense(3, name="spare")

    def call(self, inputs):
        x = tf.nn.relu(self.conv(inputs))
        return self.dense(self.pool(self.block(x)))


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    smooth = generator.normal(size=[120, 4, 4, 3]).repeat(2, 1).repeat(2, 2)
    noise = generator.normal(size=[120, 8, 8, 3])
    return (smooth + noise).astype(np.float32)


def batches(images, size):
    return tf.data.Dataset.from_tensor_slices(images).batch(size)


def gathered(model, images):
    """Activations by a second model, the ordinary way."""
    outputs = {name: model.get_layer(name).output for name in NAMES}
    return {
        name: values.numpy()
        for name, values in keras.Model(model.input, outputs)(images).items()
    }


def pooled(values, factor):
    count, height, width, channels = values.shape
    grid = [count, height // factor, factor, width // factor, factor, channels]
    return values.reshape(grid).mean((2, 4), dtype=np.float64)


def rows(values):
    return values.reshape(-1, values.shape[-1])


def test_scores_are_those_of_activations_gathered_by_hand(images):
    models = [functional(0), functional(1, "other")]
    matrix = similarity.compare(
        *models,
        batches(images, 32),
        layers=NAMES,
        measures=similarity.MEASURES,
        max_positions=None,
    )
    a, b = (gathered(model, images) for model in models)
    grids = {"conv": 8, "deep": 4, "dense": 1}
    means = [
        {name: v.mean((1, 2)) if v.ndim > 2 else v for name, v in side.items()}
        for side in (a, b)
    ]
    for i, first in enumerate(NAMES):
        for j, second in enumerate(NAMES):
            grid = min(grids[first], grids[second])
            if grid == 1:
                x, y = means[0][first], means[1][second]
            else:
                x, y = (
                    rows(pooled(side[name], grids[name] // grid))
                    for side, name in ((a, first), (b, second))
                )
            for measure, score in SCORES.items():
                assert matrix.values[measure][i, j] == pytest.approx(
                    score(x, y), abs=2e-6
                ), (measure, first, second)
            assert matrix.num_datapoints[i, j] == len(x)
    assert matrix.num_images == 120
    assert any(
        "model_a: conv is average-pooled from 8 x 8 to 4 x 4" in note
        for note in matrix.notes
    )


def test_null_levels_and_p_values_are_those_of_the_measure(images):
    models = [functional(0), functional(1, "other")]
    matrix = similarity.compare(
        *models, [images], layers=NAMES, spatial="average"
    )
    a, b = (gathered(model, images) for model in models)
    x, y = a["conv"].mean((1, 2)), b["dense"]
    cca, cka = similarity.cca(x, y), similarity.cka(x, y)
    assert matrix.null["cca"][0, 2] == pytest.approx(cca.null, rel=1e-6)
    assert matrix.p_value["cca"][0, 2] == pytest.approx(cca.p_value, rel=1e-3)
    assert matrix.p_value["cka"][0, 2] == pytest.approx(cka.p_value, rel=1e-3)
    assert np.isnan(matrix.low["cca"]).all()


def test_images_not_positions_are_counted_for_the_null_level(images):
    model = functional()
    matrix = similarity.compare(
        model, None, batches(images, 50), layers=["conv"], max_positions=7
    )
    expected = similarity.exchangeable_null_mean((5, 5), 120)
    assert matrix.null["cca"][0, 0] == pytest.approx(expected)
    assert matrix.num_datapoints[0, 0] == 7 * 120


def test_the_null_level_by_permutation_is_of_images_permuted_by_hand(images):
    models = [functional(0), functional(1, "other")]
    matrix = similarity.compare(
        *models,
        batches(images, 50),
        layers=["conv", "deep"],
        measures=similarity.MEASURES,
        max_positions=None,
        null="permutation",
        num_permutations=3,
        seed=4,
    )
    a, b = (gathered(model, images) for model in models)
    x, y = pooled(a["conv"], 2), b["deep"].astype(np.float64)
    generator = np.random.default_rng(4)
    orders = [generator.permutation(120) for _ in range(3)]
    for measure, score in SCORES.items():
        nulls = [score(rows(x), rows(y[order])) for order in orders]
        value = score(rows(x), rows(y))
        assert matrix.values[measure][0, 1] == pytest.approx(value, abs=2e-6)
        assert matrix.null[measure][0, 1] == pytest.approx(
            np.mean(nulls), abs=2e-6
        )
        count = sum(null >= value for null in nulls)
        assert matrix.p_value[measure][0, 1] == (1 + count) / 4


def test_of_images_permutation_and_closed_form_agree(images):
    # Noise alone: unrelated, if not for the network's nearly linear maps.
    noise = np.random.default_rng(3).normal(size=[300, 8, 8, 3])
    closed, permuted = (
        similarity.compare(
            functional(0),
            functional(1, "other"),
            [noise.astype(np.float32)],
            layers=["conv", "deep"],
            measures=["cca", "cka", "linear_regression"],
            spatial="average",
            null=null,
            num_permutations=100,
        )
        for null in ("closed_form", "permutation")
    )
    for measure in closed.measures:
        np.testing.assert_allclose(
            permuted.values[measure], closed.values[measure], atol=1e-9
        )
        np.testing.assert_allclose(
            permuted.null[measure], closed.null[measure], atol=0.012
        )
        # All below 1 in 100: the layers are of the same images.
        assert closed.p_value[measure].max() < 1e-4
        np.testing.assert_allclose(permuted.p_value[measure], 1 / 101)


class Sampled(keras.Model):
    """Two layers that see the noise of the images, and the border."""

    def __init__(self):
        super().__init__()
        self.first = keras.layers.Lambda(lambda x: x[..., :3], name="first")
        self.second = keras.layers.Lambda(lambda x: x[..., 3:], name="second")

    def call(self, inputs):
        return tf.concat([self.first(inputs), self.second(inputs)], -1)


def test_what_all_images_share_at_a_position_is_in_the_null_level():
    generator = np.random.default_rng(0)
    images = generator.normal(size=[100, 4, 4, 6]).astype(np.float32)
    images[:, 0] += 3.0  # A border that all images have.

    def result(**options):
        return similarity.compare(
            Sampled(),
            None,
            [images],
            layers=["first"],
            layers_b=["second"],
            measures=["cca", "cka"],
            **options,
        )

    closed = result()
    matrix = result(null="permutation")
    for measure in matrix.measures:
        (score,), (null,) = matrix.values[measure][0], matrix.null[measure][0]
        assert null > 0.25 and abs(score - null) < 0.02
        assert matrix.p_value[measure][0, 0] > 0.05
    # The formulas know nothing of it.
    assert closed.null["cca"] < 0.2 and np.isnan(closed.null["cka"])
    assert any("null='permutation'" in note for note in closed.notes)
    few = result(null="permutation", max_positions=5)
    assert any("layers of a grid and images" in note for note in few.notes)
    assert abs(few.values["cca"] - few.null["cca"]) < 0.03


def test_no_null_level_where_none_is_asked_for(images):
    matrix = similarity.compare(
        functional(), None, [images], layers=["conv"], null=None
    )
    for measure in matrix.measures:
        assert np.isnan(matrix.null[measure]).all()
        assert np.isnan(matrix.p_value[measure]).all()


def test_a_diagonal_is_1_beside_its_null_level(images):
    matrix = similarity.compare(
        functional(),
        None,
        batches(images, 50),
        layers=NAMES,
        null="permutation",
    )
    for measure in matrix.measures:
        np.testing.assert_allclose(np.diag(matrix.values[measure]), 1.0)
        np.testing.assert_allclose(matrix.p_value[measure], 1 / 21)
        assert matrix.null[measure].max() < 0.5


def test_kept_rows_take_no_more_memory_than_they_may(images):
    # 120 images of 16 positions and 5 channels, 4 bytes each: 38,400 bytes.
    def keep(gigabytes):
        return similarity.compare(
            functional(),
            None,
            iter(batches(images, 50)),
            layers=["conv"],
            null="permutation",
            max_gigabytes=gigabytes,
        )

    keep(38_400 / 1e9)
    with pytest.raises(ValueError, match="rows of all images take more mem"):
        keep(38_399 / 1e9)


@pytest.mark.parametrize("spatial", ["positions", "average"])
def test_a_model_with_itself_is_1_on_the_diagonal(images, spatial):
    matrix = similarity.compare(
        functional(), None, [images], layers=NAMES, spatial=spatial
    )
    for values in matrix.values.values():
        np.testing.assert_allclose(np.diag(values), 1.0, atol=1e-9)
        assert values.max() <= 1.0
    cca = matrix.values["cca"]
    np.testing.assert_array_equal(cca, cca.T)
    pwcca = matrix.values["pwcca"]
    assert np.abs(pwcca - pwcca.T).max() > 1e-4


def test_both_sides_take_the_same_positions(images):
    first = functional()
    second = keras.models.clone_model(first)
    second.set_weights(first.get_weights())
    matrix = similarity.compare(
        first, second, [images], layers=["conv"], max_positions=3
    )
    for values in matrix.values.values():
        assert values[0, 0] == pytest.approx(1.0, abs=1e-9)


def test_flattened_maps_are_neurons(images):
    matrix = similarity.compare(
        functional(),
        functional(1, "other"),
        [images],
        layers=["deep"],
        measures=["cka"],
        spatial="flatten",
    )
    a, b = (
        gathered(model, images)["deep"].reshape(120, -1)
        for model in (functional(), functional(1))
    )
    assert matrix.values["cka"][0, 0] == pytest.approx(
        similarity.cka(a, b).score, abs=1e-6
    )
    assert matrix.num_datapoints.tolist() == [[120]]


def test_a_subclassed_model_equals_the_functional_one(images):
    model, other = functional(), functional(1, "other")
    subclassed = Subclassed()
    subclassed(images[:1])
    for name, layer in capturing.layers_of(subclassed).items():
        if layer.weights and name in ("conv", "block/deep", "dense"):
            layer.set_weights(
                model.get_layer(name.rpartition("/")[2]).get_weights()
            )
    expected, got = (
        similarity.compare(
            side,
            other,
            batches(images, 50),
            layers=layers,
            layers_b=NAMES,
        )
        for side, layers in (
            (model, NAMES),
            (subclassed, ["conv", "block/deep", "dense"]),
        )
    )
    for measure in expected.measures:
        np.testing.assert_allclose(
            got.values[measure], expected.values[measure], atol=1e-6
        )
    assert "call" not in vars(subclassed.conv)


def test_a_subclassed_model_is_built_by_the_first_batch(images):
    matrix = similarity.compare(
        Subclassed(), None, [images], layers=["block"], measures=["cka"]
    )
    assert matrix.values["cka"][0, 0] == pytest.approx(1.0)


def test_a_sequential_model_by_default_has_its_layers_with_weights(images):
    model = keras.Sequential(
        [
            keras.Input([8, 8, 3]),
            keras.layers.Conv2D(3, 3, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, name="dense"),
        ]
    )
    matrix = similarity.compare(model, None, [images], measures=["cka"])
    assert matrix.layers_a == matrix.layers_b == ("conv", "dense")


def test_sizes_of_batches_do_not_matter(images):
    models = functional(), functional(1, "other")
    results = [
        similarity.compare(
            *models, batches(images, size), layers=NAMES, max_positions=5
        )
        for size in (7, 64, 120)
    ]
    for measure in results[0].measures:
        for other in results[1:]:
            # The forward pass itself, in float32, differs by batch.
            np.testing.assert_allclose(
                other.values[measure], results[0].values[measure], atol=2e-6
            )


def test_models_run_in_inference_mode(images):
    model = keras.Sequential(
        [
            keras.Input([8, 8, 3]),
            keras.layers.Dropout(0.5),
            keras.layers.BatchNormalization(name="norm"),
        ]
    )
    before = model.get_weights()
    matrix = similarity.compare(
        model, functional(), [images], layers=["norm"], layers_b=["conv"]
    )
    for values, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(values, expected)
    again = similarity.compare(
        model, functional(), [images], layers=["norm"], layers_b=["conv"]
    )
    assert again.values["cca"] == matrix.values["cca"]


class Doubled(keras.Model):
    """Sums of few integers, exact in float32 in any batch."""

    def __init__(self):
        super().__init__()
        self.double = keras.layers.Lambda(lambda x: 2 * x, name="double")
        self.square = keras.layers.Lambda(lambda x: x * x, name="square")

    def call(self, inputs):
        return self.square(self.double(inputs))


def test_streaming_is_exact_where_the_forward_pass_is(images):
    whole = np.rint(images * 3)
    results = [
        similarity.compare(
            Doubled(),
            None,
            batches(whole, size),
            layers=["double", "square"],
            max_positions=5,
        )
        for size in (7, 64, 120)
    ]
    for measure in results[0].measures:
        for other in results[1:]:
            np.testing.assert_allclose(
                other.values[measure], results[0].values[measure], atol=1e-10
            )


def test_the_seed_chooses_positions_and_neurons(images):
    def values(**kwargs):
        return similarity.compare(
            functional(),
            functional(1, "other"),
            [images],
            layers=["conv"],
            measures=["cka"],
            **kwargs,
        ).values["cka"][0, 0]

    assert values(max_positions=4) == values(max_positions=4)
    assert values(max_positions=4) != values(max_positions=4, seed=1)
    few = {"max_neurons": 3, "max_positions": None}
    assert values(**few) == values(**few)
    assert values(**few) != values(**few, seed=2)
    assert values(**few) != values(max_positions=None)


def test_dictionaries_and_tuples_hold_the_images(images):
    model = functional()

    def values(dataset):
        return similarity.compare(
            model, None, dataset, layers=NAMES, measures=["cka"]
        ).values["cka"]

    expected = values([images])
    label = np.zeros(120)
    for batch in ({"image": images}, (images, label), ({"image": images}, 0)):
        np.testing.assert_array_equal(values([batch]), expected)


def test_intervals_hold_the_score_and_narrow_with_confidence(images):
    def result(confidence):
        return similarity.compare(
            functional(),
            functional(1, "other"),
            batches(images, 20),
            layers=["conv", "deep"],
            measures=["cka", "pwcca"],
            num_blocks=6,
            confidence=confidence,
        )

    wide, narrow = result(0.95), result(0.5)
    for measure in wide.measures:
        assert (wide.low[measure] < narrow.low[measure]).all()
        assert (narrow.low[measure] < narrow.values[measure]).all()
        assert (narrow.high[measure] < wide.high[measure]).all()


def test_tables_rows_and_pictures(images):
    matrix = similarity.compare(
        functional(),
        None,
        batches(images, 10),
        layers=["conv", "dense"],
        layers_b=["deep"],
        measures=["cca", "procrustes"],
        num_blocks=12,
        confidence=0.9,
    )
    lines = matrix.markdown("cca").splitlines()
    assert lines[0] == "| cca | deep |"
    value, low, high, null = (
        array["cca"][1, 0]
        for array in (matrix.values, matrix.low, matrix.high, matrix.null)
    )
    assert lines[3] == (
        f"| dense | {value:.3f} [{low:.3f}, {high:.3f}] ({null:.3f}) |"
    )
    table = matrix.to_rows()
    assert len(table) == 4
    assert table[1]["measure"] == "cca"
    assert table[1]["layer_a"] == "dense"
    assert table[1]["value"] == value
    assert table[1]["num_datapoints"] == matrix.num_datapoints[1, 0]
    picture = matrix.heatmap("cca", cell_size=3)
    assert picture.shape == (6, 3, 3)
    assert picture.dtype == np.uint8
    with pytest.raises(ValueError, match="not computed.*'cka'"):
        matrix.markdown("cka")


def test_a_picture_is_dark_at_0_light_at_1_and_grey_where_undefined():
    values = {"cka": np.array([[0.0, 1.0], [-0.5, np.nan]])}
    matrix = similarity.SimilarityMatrix(
        ("cka",),
        ("a", "b"),
        ("a", "b"),
        *[values] * 5,
        10,
        np.full([2, 2], 10),
    )
    picture = matrix.heatmap("cka", cell_size=1)
    np.testing.assert_array_equal(picture[0, 0], [68, 1, 84])
    np.testing.assert_array_equal(picture[0, 1], [253, 231, 37])
    np.testing.assert_array_equal(picture[1, 0], picture[0, 0])
    np.testing.assert_array_equal(picture[1, 1], [200, 200, 200])


def test_a_constant_layer_is_undefined_with_a_note(images):
    model = functional()
    kernel, bias = model.get_layer("dense").get_weights()
    model.get_layer("dense").set_weights([0 * kernel, bias])
    with pytest.warns(UserWarning, match="dense.*constant"):
        matrix = similarity.compare(model, None, [images], layers=NAMES)
    assert np.isnan(matrix.values["cca"][2]).all()
    assert "| - |" in matrix.markdown("cka")
    assert matrix.heatmap("cca", 1)[2, 2].tolist() == [200, 200, 200]


def test_few_images_for_a_layer_are_refused_or_noted_by_its_name(images):
    model = functional()
    with pytest.raises(ValueError, match=r"model_a: conv.*datapoints=15"):
        similarity.compare(
            model, None, [images[:15]], layers=["conv"], spatial="average"
        )
    with pytest.warns(UserWarning, match="model_a: conv.*datapoints a dir"):
        matrix = similarity.compare(
            model,
            None,
            [images[:15]],
            layers=["conv"],
            spatial="average",
            allow_small_n=True,
        )
    assert any("conv" in note for note in matrix.notes)


def test_a_model_is_left_as_it_was_when_it_fails():
    model = functional()
    with pytest.raises(ValueError):
        similarity.compare(model, None, [np.zeros([2, 8, 8, 4], np.float32)])
    assert "call" not in vars(model.get_layer("conv"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ["conv", "cnov"]}, "'cnov' of model.*conv, relu, deep"),
        ({"layers": ["conv", "conv"]}, "each once.*Name some of.*conv"),
        ({"layers": []}, "each once"),
        ({"measures": ["cca", "ccca"]}, "ccca.*some of cca, svcca"),
        ({"spatial": "mean"}, "'mean'.*positions, average, flatten"),
        ({"max_positions": 0}, "max_positions=0"),
        ({"max_neurons": 0}, "num_sampled=0"),
        ({"null": "analytic"}, "'analytic'.*closed_form.*permutation"),
        ({"num_permutations": 0}, "num_permutations=0"),
        ({"confidence": 0.9}, "num_blocks=1.*num_blocks=20"),
        ({"confidence": 95, "num_blocks": 5}, "confidence=95"),
        ({"dataset": []}, "empty dataset"),
        ({"dataset": [{"images": 1}]}, r"at 'image'.*\['images'\]"),
        ({"dataset": np.zeros([2, 8, 8, 3])}, "Images come in batches"),
        (
            {"dataset": [np.full([9, 8, 8, 3], np.nan, np.float32)]},
            "NaN or infinite in batch 0",
        ),
        (
            {
                "dataset": [
                    np.ones([9, 8, 8, 3], np.float32),
                    np.ones([9, 7, 8, 3], np.float32),
                ]
            },
            r"batch 1 of shape \(9, 7, 8, 3\).*first is of \(9, 8, 8, 3\)",
        ),
    ],
)
def test_errors_name_what_is_wrong(images, change, message):
    arguments = {"dataset": [images], "layers": NAMES} | change
    with pytest.raises(ValueError, match=f"(?s){message}"):
        similarity.compare(functional(), None, **arguments)


def test_a_diverged_layer_is_named(images):
    model = functional()
    kernel, bias = model.get_layer("deep").get_weights()
    model.get_layer("deep").set_weights([kernel * np.nan, bias])
    with pytest.raises(ValueError, match="model_a: deep.*not finite"):
        similarity.compare(model, None, [images], layers=["conv", "deep"])


def test_grids_that_do_not_divide_are_an_error(images):
    model = keras.Sequential(
        [
            keras.Input([8, 8, 3]),
            keras.layers.Conv2D(3, 3, name="six"),
            keras.layers.Conv2D(3, 3, name="four"),
        ]
    )
    with pytest.raises(ValueError, match="six of 6 x 6.*four of 4 x 4"):
        similarity.compare(model, None, [images])
    matrix = similarity.compare(model, None, [images], spatial="average")
    assert matrix.values["cca"].shape == (2, 2)


def test_a_layer_that_does_not_run_once_is_an_error(images):
    with pytest.raises(ValueError, match="'spare', which ran 0 times"):
        similarity.compare(
            Subclassed(), None, [images], layers=["conv", "spare"]
        )


@pytest.fixture
def rows_are_kept(monkeypatch):
    """Layers of tests are small: their moments fit into any memory."""
    monkeypatch.setattr(collecting, "_LITTLE_GIGABYTES", 0.0)


def test_maps_flattened_to_more_neurons_than_images(images, rows_are_kept):
    del rows_are_kept
    matrix = similarity.compare(
        functional(),
        functional(1, "other"),
        batches(images[:50], 20),
        layers=["deep"],  # 4 x 4 x 4 neurons.
        measures=["cka", "procrustes"],
        spatial="flatten",
    )
    a, b = (
        gathered(model, images[:50])["deep"].reshape(50, -1)
        for model in (functional(), functional(1))
    )
    for measure in matrix.measures:
        assert matrix.values[measure][0, 0] == pytest.approx(
            SCORES[measure](a, b), abs=1e-6
        )
    assert any(note.startswith("rows of all") for note in matrix.notes)


@pytest.mark.parametrize("spatial", ["positions", "average"])
def test_kept_rows_and_moments_give_one_matrix(images, spatial, monkeypatch):
    def result(gigabytes):
        monkeypatch.setattr(collecting, "_LITTLE_GIGABYTES", gigabytes)
        return similarity.compare(
            functional(),
            None,
            iter(batches(images, 30)),  # Read once; nobody knows its length.
            layers=["conv", "dense"],
            layers_b=["deep"],
            measures=similarity.MEASURES,
            spatial=spatial,
            num_blocks=4,
            confidence=0.9,
        )

    kept, whole = result(0.0), result(1.0)
    assert any(note.startswith("rows of all") for note in kept.notes)
    assert any(note.startswith("moments of all") for note in whole.notes)
    for measure in whole.measures:
        for array in ("values", "null", "p_value", "low", "high"):
            np.testing.assert_allclose(
                getattr(kept, array)[measure],
                getattr(whole, array)[measure],
                atol=1e-7,
            )


def test_pwcca_of_neurons_that_are_not_kept_is_an_error(images, rows_are_kept):
    del rows_are_kept
    with pytest.raises(ValueError, match="weighs neurons.*model_a: deep"):
        similarity.compare(
            functional(),
            None,
            [images[:50]],
            layers=["deep"],
            measures=["pwcca"],
            spatial="flatten",
        )


def test_layers_that_fit_nowhere_are_refused_at_the_first_batch():
    model = keras.Sequential(
        [keras.Input([4]), keras.layers.Dense(9000, name="wide")]
    )
    images = np.random.default_rng(0).normal(size=[8, 4]).astype(np.float32)
    matrix = similarity.compare(model, None, [images], measures=["cka"])
    assert matrix.values["cka"][0, 0] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="0.29 GB of rows, 1.94 GB of moments"):
        similarity.compare(model, None, [images] * 1000, max_gigabytes=0.2)


def test_positions_are_different_ones_and_follow_the_image():
    chosen = similarity.positions_of_images(
        tf.range(50, dtype=tf.int64), 64, 10, seed=3
    ).numpy()
    assert all(len(set(row)) == 10 for row in chosen)
    assert len({tuple(sorted(row)) for row in chosen}) == 50
    # Each position is taken by about 10 in 64 images.
    counts = np.bincount(chosen.ravel(), minlength=64)
    assert 0 < counts.min() and counts.max() < 25
