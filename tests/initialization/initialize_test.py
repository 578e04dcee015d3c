"""Draws and copies, variable by variable."""

import hashlib
import json

import keras
import numpy as np
import pytest

from transfusion_tf import initialization, models
from transfusion_tf.initialization import donors, sources


def _values(staged):
    return {key: v.numpy() for key, v in staged.variables().items()}


def _donor(staged, model=None, name="a donor", **changes):
    generator = np.random.default_rng(7)
    values = {
        key: generator.uniform(0.5, 1.5, variable.shape).astype("float32")
        for key, variable in staged.variables().items()
    }
    return donors.make(
        name,
        model or staged.name,
        {**values, **changes},
        content=b"content",
        source="memory",
    )


def _assert_equal(first, second):
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


@pytest.mark.parametrize("name", ["cbr_tiny", "efficientnet_lite0"])
def test_equal_seeds_give_equal_bits_whatever_was_there_before(built, name):
    staged = built(name)
    initialization.initialize(staged, "random", seed=3)
    before = _values(staged)
    for variable in staged.variables().values():
        variable.assign(np.full(variable.shape, 9.0))
    keras.utils.set_random_seed(99)
    initialization.initialize(staged, "random", seed=3)
    _assert_equal(_values(staged), before)


def test_another_instance_gets_the_same_bits(built):
    initialization.initialize(built("cbr_tiny"), "random", seed=3)
    other = models.build("cbr_tiny", num_outputs=5, image_shape=(64, 64, 3))
    initialization.initialize(other, "random", seed=3)
    _assert_equal(_values(other), _values(built("cbr_tiny")))


def test_another_seed_changes_every_kernel(built):
    staged = built("efficientnet_lite0")
    initialization.initialize(staged, "random", seed=0)
    before = _values(staged)
    initialization.initialize(staged, "random", seed=1)
    after = _values(staged)
    kernels = [key for key in after if key.endswith("/kernel")]
    assert len(kernels) == 50
    assert not any(np.array_equal(before[k], after[k]) for k in kernels)


def test_layers_of_one_shape_get_different_values(built):
    staged = built("efficientnet_lite0")
    initialization.initialize(staged, "random", seed=0)
    values = _values(staged)
    first, second = (values[f"block6_{i}_expand_conv/kernel"] for i in (2, 3))
    assert first.shape == second.shape
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02


def test_a_draw_is_the_initializers_at_the_hash_of_seed_and_key(built):
    staged = built("cbr_tiny")
    initialization.initialize(staged, "random", seed=5)
    digest = hashlib.sha256(b"5/conv2_conv/kernel").digest()
    seed = int.from_bytes(digest[:4], "big") % 2**31
    expected = keras.initializers.GlorotUniform(seed=seed)((5, 5, 32, 64))
    np.testing.assert_array_equal(
        staged.variables()["conv2_conv/kernel"].numpy(), expected
    )


def test_draws_have_the_bounds_of_glorot_and_fill_them(built):
    staged = built("cbr_tiny")
    initialization.initialize(staged, "random", seed=0)
    kernel = staged.variables()["conv3_conv/kernel"].numpy()
    bound = np.sqrt(6 / (25 * 64 + 25 * 128))
    assert 0.99 * bound < np.abs(kernel).max() <= bound
    np.testing.assert_allclose(kernel.var(), bound**2 / 3, rtol=0.02)


def test_lite0_draws_by_fan_out_also_in_depth(built):
    staged = built("efficientnet_lite0")
    initialization.initialize(staged, "random", seed=0)
    values = _values(staged)
    top = values["top_conv/kernel"]
    np.testing.assert_allclose(top.var(), 2 / 1280, rtol=0.02)
    depthwise = values["block7_1_depthwise_conv/kernel"]
    np.testing.assert_allclose(depthwise.var(), 2 / 9, rtol=0.05)


def test_random_batch_norm_is_the_identity(built):
    staged = built("cbr_tiny")
    initialization.initialize(staged, "transfer", seed=0, donor=_donor(staged))
    initialization.initialize(staged, "random", seed=0)
    values = _values(staged)
    for name, constant in [
        ("gamma", 1),
        ("beta", 0),
        ("moving_mean", 0),
        ("moving_variance", 1),
    ]:
        assert (values[f"conv1_bn/{name}"] == constant).all()


def test_transfer_copies_all_but_the_head(built):
    staged = built("cbr_tiny")
    donor = _donor(staged)
    initialization.initialize(staged, "random", seed=0)
    random = _values(staged)
    initialization.initialize(staged, "transfer", seed=0, donor=donor)
    head = {key: v for key, v in random.items() if key.startswith("head/")}
    assert set(head) == {"head/kernel", "head/bias"}
    # Two schemes that draw the same variable draw the same values.
    _assert_equal(_values(staged), {**donor.values, **head})


def test_the_donor_may_have_another_number_of_outputs(built):
    donor = _donor(built("cbr_tiny", num_outputs=2))
    staged = built("cbr_tiny")
    initialization.initialize(staged, "transfer", seed=0, donor=donor)
    assert staged.variables()["head/kernel"].shape == (256, 5)


def test_records_say_what_each_variable_got(built):
    staged = built("cbr_tiny")
    donor = _donor(staged)
    records = initialization.initialize(staged, "transfer", seed=0, donor=donor)
    assert [r.variable for r in records] == list(staged.variables())
    by_key = {r.variable: r.to_json() for r in records}
    assert by_key["conv2_bn/moving_variance"] == {
        "variable": "conv2_bn/moving_variance",
        "stage": "conv2",
        "source": "copy",
        "detail": "a donor",
        "shape": [64],
        "donor_sha256": hashlib.sha256(b"content").hexdigest(),
    }
    head = by_key["head/kernel"]
    assert (head["stage"], head["source"]) == ("head", "random")
    assert head["detail"].startswith("GlorotUniform(")
    assert head["donor_sha256"] is None
    assert json.loads(json.dumps(list(by_key.values())))


def test_identity_batch_norm_leaves_the_donors_behind(built):
    staged = built("cbr_tiny")
    donor = _donor(staged)
    plan = initialization.Plan(
        "transfer",
        {stage.name: sources.Copy() for stage in staged.stages},
        copied_batch_norm="identity",
    )
    initialization.initialize(staged, plan, seed=0, donor=donor)
    values = _values(staged)
    assert (values["conv1_bn/moving_variance"] == 1).all()
    np.testing.assert_array_equal(
        values["conv1_conv/kernel"], donor.values["conv1_conv/kernel"]
    )


def test_stages_may_have_different_sources(built):
    staged = built("cbr_tiny")
    donor = _donor(staged)
    initialization.initialize(staged, "random", seed=0)
    random = _values(staged)
    plan = initialization.Plan(
        "first two",
        {
            "conv1": sources.Copy(),
            "conv2": sources.Copy(),
            "conv3": sources.Random(),
            "conv4": sources.Random(),
        },
    )
    initialization.initialize(staged, plan, seed=0, donor=donor)
    copied = ("conv1_", "conv2_")
    _assert_equal(
        _values(staged),
        {
            key: donor.values[key] if key.startswith(copied) else random[key]
            for key in random
        },
    )


def test_a_mixed_policy_draws_the_same_bits(built):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = models.build("cbr_tiny", num_outputs=5, image_shape=(32, 32, 3))
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    initialization.initialize(mixed, "random", seed=0)
    initialization.initialize(built("cbr_tiny"), "random", seed=0)
    _assert_equal(_values(mixed), _values(built("cbr_tiny")))


def test_an_unknown_scheme_lists_the_schemes(built):
    with pytest.raises(ValueError, match=r"scheme='he'.*random, transfer"):
        initialization.initialize(built("cbr_tiny"), "he", seed=0)


def test_transfer_without_donor_names_the_flag(built):
    with pytest.raises(ValueError, match=r"donor=None.*--donor=imagenet"):
        initialization.initialize(built("cbr_tiny"), "transfer", seed=0)


def test_a_donor_is_never_ignored(built):
    staged = built("cbr_tiny")
    with pytest.raises(ValueError, match=r"takes nothing.*--init=transfer"):
        initialization.initialize(
            staged, "random", seed=0, donor=_donor(staged)
        )


def test_a_donor_of_another_model_is_named(built):
    staged = built("cbr_tiny")
    donor = _donor(staged, model="cbr_small")
    with pytest.raises(ValueError, match=r"another model than cbr_tiny.*_smal"):
        initialization.initialize(staged, "transfer", seed=0, donor=donor)


def test_a_donor_of_other_shapes_changes_nothing(built):
    staged = built("cbr_tiny")
    initialization.initialize(staged, "random", seed=0)
    before = _values(staged)
    kernel = np.zeros((7, 7, 64, 128), "float32")
    donor = _donor(staged, **{"conv3_conv/kernel": kernel})
    message = (
        r"'conv3_conv'.*\(5, 5, 64, 128\) in the model.*"
        r"Received: \(7, 7, 64, 128\)"
    )
    with pytest.raises(ValueError, match=message):
        initialization.initialize(staged, "transfer", seed=0, donor=donor)
    _assert_equal(_values(staged), before)


def test_a_donor_without_a_layer_is_named(built):
    staged = built("cbr_tiny")
    whole = _donor(staged)
    part = {k: v for k, v in whole.values.items() if "conv4" not in k}
    donor = donors.make("part", "cbr_tiny", part, content=b"", source="memory")
    with pytest.raises(ValueError, match=r"no 'kernel' for layer 'conv4_conv'"):
        initialization.initialize(staged, "transfer", seed=0, donor=donor)


@pytest.mark.parametrize("seed", [-1, 0.5, "zero"])
def test_a_seed_is_a_whole_number(built, seed):
    with pytest.raises(ValueError, match=rf"from 0\. Received: seed='?{seed}"):
        initialization.initialize(built("cbr_tiny"), "random", seed=seed)


def test_a_plan_names_every_stage_once(built):
    plan = initialization.Plan("half", {"conv1": sources.Random()})
    with pytest.raises(ValueError, match=r"\['conv1'\].*conv1, conv2, conv3"):
        initialization.initialize(built("cbr_tiny"), plan, seed=0)


def test_an_unknown_batch_norm_policy_lists_the_policies():
    with pytest.raises(ValueError, match=r"'frozen'.*identity, mean_var"):
        initialization.Plan("x", {}, other_batch_norm="frozen")


def test_a_donor_must_be_finite(built):
    values = {"a/b": np.array([1.0, np.nan, np.inf], "float32")}
    with pytest.raises(ValueError, match=r"2 NaN or infinite of 3.*'a/b'"):
        donors.make("x", "cbr_tiny", values, content=b"", source="memory")
