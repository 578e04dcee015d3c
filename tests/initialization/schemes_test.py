"""What each scheme gives each variable, against a donor that shows it."""

import collections

import numpy as np
import pytest
import scipy.stats

from transfusion_tf import initialization, models
from transfusion_tf.initialization import donors


def values_of(staged):
    return {key: v.numpy() for key, v in staged.variables().items()}


def donor_of(architecture, size=None):
    """A donor of which each tensor has a mean and a deviation of its own."""
    layout = models.layout(architecture)
    rng = np.random.default_rng(3)
    values = {}
    for place, layer in enumerate(layout.layers):
        for name, shape in layer.shapes.items():
            drawn = rng.normal(0.1 + place / 100, 0.02 + place / 1000, shape)
            if name == "moving_variance":
                drawn = np.abs(drawn) + 0.01
            values[f"{layer.name}/{name}"] = drawn.astype(np.float32)
    return donors.make(
        "a donor", architecture, values, content=b"x", source="memory"
    )


@pytest.fixture(scope="module")
def donor():
    return donor_of("cbr_tiny")


def initialized(staged, scheme, donor=None, seed=0, **policies):
    plan = initialization.parse_scheme(
        scheme, [s.name for s in staged.stages], **policies
    )
    records = initialization.initialize(staged, plan, seed=seed, donor=donor)
    return values_of(staged), {r.variable: r for r in records}


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def test_the_ends_of_transfusion_are_transfer_and_random(built, donor):
    staged = built("cbr_tiny")
    last, _ = initialized(staged, "transfuse:conv4", donor)
    assert_equal(last, initialized(staged, "transfer", donor)[0])
    none, _ = initialized(staged, "transfuse:none")
    assert_equal(none, initialized(staged, "random")[0])


def test_transfusion_copies_a_prefix_and_draws_the_rest_as_random_does(
    built, donor
):
    staged = built("cbr_tiny")
    random, _ = initialized(staged, "random")
    transfused, records = initialized(staged, "transfuse:conv2", donor)
    for key, value in transfused.items():
        is_copied = key.startswith(("conv1", "conv2"))
        expected = donor.values[key] if is_copied else random[key]
        np.testing.assert_array_equal(value, expected)
        assert records[key].source == ("copy" if is_copied else "random")


def test_wt_st_is_mean_var_where_transfusion_is_random(built, donor):
    staged = built("cbr_tiny")
    mean_var, _ = initialized(staged, "mean_var", donor)
    mixed, _ = initialized(staged, "wt_st:conv2", donor)
    for key, value in mixed.items():
        is_copied = key.startswith(("conv1", "conv2"))
        expected = donor.values[key] if is_copied else mean_var[key]
        np.testing.assert_array_equal(value, expected)


KERNELS = [f"conv{i}_conv/kernel" for i in (1, 2, 3, 4)]


def test_mean_var_has_the_donors_two_moments_and_nothing_else(built, donor):
    values, records = initialized(built("cbr_tiny"), "mean_var", donor)
    for key in KERNELS:
        drawn, original = values[key].ravel(), donor.values[key].ravel()
        n = drawn.size
        # Four standard errors of a mean and of a standard deviation.
        error = original.std() / np.sqrt(n)
        assert abs(drawn.mean() - original.mean()) < 4 * error
        assert abs(drawn.std() - original.std()) < 4 * error / np.sqrt(2)
        assert abs(np.corrcoef(drawn, original)[0, 1]) < 4 / np.sqrt(n)
        standard = (drawn - original.mean()) / original.std()
        assert scipy.stats.kstest(standard, "norm").pvalue > 1e-4
        assert records[key].detail.startswith("normal(mean=")
        assert records[key].donor_sha256 == donor.sha256


def test_tensors_of_one_shape_are_drawn_independently(built):
    staged = built("efficientnet_lite0")
    donor = donor_of("efficientnet_lite0")
    values, _ = initialized(staged, "mean_var", donor)
    first, second = (values[f"block6_{i}_expand_conv/kernel"] for i in (2, 3))
    n = first.size
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / n**0.5


def test_empirical_values_are_the_donors_with_replacement(built, donor):
    values, _ = initialized(built("cbr_tiny"), "empirical", donor)
    for key in KERNELS:
        drawn, original = values[key].ravel(), donor.values[key].ravel()
        assert np.isin(drawn, original).all()
        # Of n draws from n values a share of 1 - 1/e is distinct.
        share = len(np.unique(drawn)) / len(np.unique(original))
        assert share == pytest.approx(1 - np.exp(-1), abs=0.02)


def test_shuffled_values_are_a_permutation(built, donor):
    values, _ = initialized(built("cbr_tiny"), "shuffle", donor)
    for key in KERNELS:
        drawn, original = values[key], donor.values[key]
        assert not np.array_equal(drawn, original)
        np.testing.assert_array_equal(
            np.sort(drawn, None), np.sort(original, None)
        )


@pytest.mark.parametrize("scheme", ["mean_var", "empirical", "shuffle"])
def test_resampled_stages_have_identity_batch_norm(built, donor, scheme):
    values, records = initialized(built("cbr_tiny"), scheme, donor)
    constants = {
        "gamma": 1,
        "beta": 0,
        "moving_mean": 0,
        "moving_variance": 1,
    }
    for stage in ("conv1", "conv4"):
        for name, constant in constants.items():
            assert (values[f"{stage}_bn/{name}"] == constant).all()
            assert records[f"{stage}_bn/{name}"].source == "random"


@pytest.mark.parametrize("scheme", ["mean_var", "empirical", "shuffle"])
def test_biases_are_zeros_unless_they_are_to_be_resampled(scheme):
    staged = models.build("resnet50", num_outputs=2, image_shape=(32, 32, 3))
    donor = donor_of("resnet50")
    key = "conv1_conv/bias"
    assert not initialized(staged, scheme, donor)[0][key].any()
    values, records = initialized(staged, scheme, donor, resample_biases=True)
    assert values[key].std() > 0
    assert records[key].source == scheme


@pytest.mark.parametrize("policy", initialization.BATCH_NORM_POLICIES)
@pytest.mark.parametrize("where", ["copied", "other"])
def test_batch_norm_policies_hold_for_their_stages_alone(
    built, donor, policy, where
):
    staged = built("cbr_tiny")
    default, _ = initialized(staged, "wt_st:conv2", donor)
    values, records = initialized(
        staged, "wt_st:conv2", donor, **{f"{where}_batch_norm": policy}
    )
    for key, value in values.items():
        is_copied = key.startswith(("conv1", "conv2"))
        is_meant = "_bn/" in key and is_copied == (where == "copied")
        if not is_meant:
            np.testing.assert_array_equal(value, default[key])
            continue
        name = key.rpartition("/")[2]
        identity = float(name in ("gamma", "moving_variance"))
        source = records[key].source
        if policy == "transfer":
            np.testing.assert_array_equal(value, donor.values[key])
        elif policy == "mean_var":
            assert value.std() > 0
            assert source == "mean_var"
            assert not np.array_equal(value, donor.values[key])
        elif policy == "identity" or "moving" in name or where == "other":
            assert (value == identity).all()
            is_later = policy == "recalibrate" and "moving" in name
            assert source == ("recalibrate" if is_later else "random")
        else:
            np.testing.assert_array_equal(value, donor.values[key])


def test_a_resampled_variance_is_never_negative_and_has_its_moments(built):
    staged = built("cbr_tiny")
    whole = donor_of("cbr_tiny")
    key = "conv4_bn/moving_variance"
    # A normal draw of these would be negative for one in three.
    skewed = np.random.default_rng(0).gamma(0.2, 1.0, 256).astype(np.float32)
    values = whole.values | {key: skewed}
    donor = donors.make("x", "cbr_tiny", values, content=b"", source="memory")
    drawn = np.concatenate(
        [
            initialized(
                staged, "mean_var", donor, seed, other_batch_norm="mean_var"
            )[0][key]
            for seed in range(40)
        ]
    )
    assert drawn.min() >= 0
    n = drawn.size
    assert drawn.mean() == pytest.approx(
        float(skewed.mean()), abs=4 * float(skewed.std()) / n**0.5
    )
    assert drawn.std() == pytest.approx(float(skewed.std()), rel=0.1)


def test_an_empty_tensor_is_refused(built):
    whole = donor_of("cbr_tiny")
    staged = built("cbr_tiny")
    slot_shape = (5, 5, 0, 64)
    values = whole.values | {"conv2_conv/kernel": np.zeros(slot_shape, "f4")}
    donor = donors.make("x", "cbr_tiny", values, content=b"", source="memory")
    with pytest.raises(ValueError, match=r"conv2.*Received: \(5, 5, 0, 64"):
        initialized(staged, "mean_var", donor)


@pytest.mark.parametrize("name", ["resnet50", "inception_v3"])
@pytest.mark.parametrize(
    "scheme",
    ["random", "transfer", "mean_var", "empirical", "shuffle", "transfuse:{}",
     "wt_st:{}", "gabor"],
)  # fmt: skip
def test_the_record_of_a_scheme_tells_what_each_variable_got(name, scheme):
    staged = _network(name)
    stages = [stage.name for stage in staged.stages]
    second = stages[1]
    donor = _network_donor(name)
    scheme = scheme.format(second)
    if scheme == "gabor" and name == "inception_v3":
        # Its first filters are 3 x 3.
        with pytest.raises(ValueError, match=r"5 x 5.*\(3, 3, 3, 32\)"):
            initialized(staged, scheme)
        return
    takes = None if scheme == "random" else donor
    values, records = initialized(staged, scheme, takes)
    assert list(records) == list(staged.variables())
    counts = collections.Counter(r.source for r in records.values())
    num_kernels = sum(key.endswith("/kernel") for key in values) - 1
    prefix = sum(records[k].stage in stages[:2] for k in records)
    kernels_after = sum(
        k.endswith("/kernel") and records[k].stage in stages[2:]
        for k in records
    )
    expected = {
        "random": {"random": len(values)},
        "transfer": {"copy": len(values) - 2, "random": 2},
        "mean_var": {"mean_var": num_kernels},
        "empirical": {"empirical": num_kernels},
        "shuffle": {"shuffle": num_kernels},
        f"transfuse:{second}": {"copy": prefix},
        f"wt_st:{second}": {"copy": prefix, "mean_var": kernels_after},
        "gabor": {"gabor": 1},
    }[scheme]
    for source, count in expected.items():
        assert counts[source] == count
    assert set(counts) <= {*expected, "random"}
    for key, record in records.items():
        assert record.shape == values[key].shape
        assert (record.donor_sha256 is None) == (record.source == "random")


_NETWORKS: dict = {}
_DONORS: dict = {}


def _network(name):
    size = {"resnet50": 32, "inception_v3": 75}[name]
    if name not in _NETWORKS:
        _NETWORKS[name] = models.build(
            name, num_outputs=2, image_shape=(size, size, 3)
        )
    return _NETWORKS[name]


def _network_donor(name):
    if name not in _DONORS:
        _DONORS[name] = donor_of(name)
    return _DONORS[name]


def test_a_slim_model_takes_what_was_left_as_it_is(built):
    staged = models.build(
        "cbr_tiny:slim=conv2", num_outputs=2, image_shape=(32, 32, 3)
    )
    donor = donor_of("cbr_tiny")
    values, records = initialized(staged, "transfuse:conv2", donor)
    for key, record in records.items():
        assert record.source == (
            "copy" if key.startswith(("conv1", "conv2")) else "random"
        )
    np.testing.assert_array_equal(
        values["conv2_conv/kernel"], donor.values["conv2_conv/kernel"]
    )
    with pytest.raises(ValueError, match=r"'conv3_conv'.*\(5, 5, 64, 64\) in"):
        initialized(staged, "transfer", donor)


def test_a_truncated_model_takes_the_stages_that_it_has(built):
    staged = models.build(
        "cbr_tiny:truncate=conv2", num_outputs=2, image_shape=(32, 32, 3)
    )
    donor = donor_of("cbr_tiny")
    values, _ = initialized(staged, "transfer", donor)
    assert not any(key.startswith(("conv3", "conv4")) for key in values)
    np.testing.assert_array_equal(
        values["conv2_bn/gamma"], donor.values["conv2_bn/gamma"]
    )
