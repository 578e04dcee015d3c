"""Every scheme on every model and variant, against rules written anew.

A step of training is done of random and transfer on every model; `make
conformance` (pytest --full) does one of every scheme on every model, and of
random on every variant. EfficientNet-Lite1 and Lite2, which are a larger Lite0,
are left to it too.
"""

import dataclasses
import functools

import numpy as np
import pytest

from transfusion_tf import initialization, models, records
from transfusion_tf.initialization import donors

# What a stage up to the middle one gets, and what one after it.
RULES = {
    "random": ("random", "random"),
    "transfer": ("copy", "copy"),
    "transfuse:{}": ("copy", "random"),
    "wt_st:{}": ("copy", "mean_var"),
    "mean_var": ("mean_var", "mean_var"),
    "empirical": ("empirical", "empirical"),
    "shuffle": ("shuffle", "shuffle"),
    "gabor": ("gabor", "random"),
    "..{}=shuffle,{}..=random": ("shuffle", "random"),
}
VARIANTS = ("{}", "{}:slim={}", "{}:truncate={}")
# Their first filters are 3 x 3.
SMALL_FILTERS = ("inception_v3", "efficientnet_lite")
IN_FULL_ONLY = ("efficientnet_lite1", "efficientnet_lite2")
ALL = [
    pytest.param(
        name,
        form,
        marks=[pytest.mark.full] if name in IN_FULL_ONLY else [],
    )
    for name in models.MODEL_NAMES
    for form in VARIANTS
]


def middle_of(name):
    stages = models.stage_names(name)
    return stages[len(stages) // 2 - 1]


def named(name, form):
    return form.format(name, middle_of(name))


def size_of(name):
    return 75 if name == "inception_v3" else 32


@functools.lru_cache(maxsize=1)  # The tests of one model stand together.
def built(model):
    size = size_of(model.partition(":")[0])
    return models.build(model, num_outputs=3, image_shape=(size, size, 3))


@functools.lru_cache(maxsize=1)
def donor_of(name):
    """Another mean and deviation for each tensor: what it gave shows."""
    generator = np.random.default_rng(3)
    values = {}
    for layer in models.layout(name).layers:
        for variable, shape in layer.shapes.items():
            drawn = generator.normal(
                generator.uniform(1, 2), generator.uniform(0.01, 0.1), shape
            )
            values[f"{layer.name}/{variable}"] = drawn.astype(np.float32)
    return donors.make("a donor", name, values, content=b"x", source="test")


def filled(scheme, name):
    """The scheme with stages for its places, as a user writes it."""
    stages = models.stage_names(name)
    place = stages.index(middle_of(name))
    if scheme.startswith(".."):
        return f"..{stages[place]}=shuffle,{stages[place + 1]}..=random"
    return scheme.format(stages[place])


def initialize(staged, scheme, donor, seed=0):
    stages = [stage.name for stage in staged.stages]
    plan = initialization.parse_scheme(scheme, stages)
    takes = donor if plan.needs_donor else None
    written = initialization.initialize(staged, plan, seed=seed, donor=takes)
    values = {k: v.numpy() for k, v in staged.variables().items()}
    return values, written


def expected_source(rule, key, stage, place_of, middle, first_kernel):
    if stage == "head":
        return "random"
    source = rule[place_of[stage] > place_of[middle]]
    if source == "gabor":
        return "gabor" if key == first_kernel else "random"
    if source in ("random", "copy"):
        return source
    # Batch norm begins as the identity and biases as zeros.
    return source if "kernel" in key else "random"


def assert_value(source, value, theirs, drawn_alone, key):
    match source:
        case "copy":
            np.testing.assert_array_equal(value, theirs, err_msg=key)
        case "random":
            # The same bits as without any donor, whatever else is copied.
            np.testing.assert_array_equal(value, drawn_alone, err_msg=key)
        case "shuffle":
            np.testing.assert_array_equal(
                np.sort(value, None), np.sort(theirs, None)
            )
            assert value.size < 9 or not np.array_equal(value, theirs), key
        case "empirical":
            assert np.isin(value, theirs).all(), key
            assert value.size < 9 or not np.array_equal(value, theirs), key
        case "mean_var":
            mean, std = float(theirs.mean()), float(theirs.std())
            error = std / value.size**0.5
            assert abs(float(value.mean()) - mean) < 6 * error, key
            assert float(value.std()) == pytest.approx(
                std, rel=6 / (2 * value.size) ** 0.5
            ), key
        case "gabor":
            # Grey, and the donor of nothing.
            np.testing.assert_array_equal(value[..., :1, :], value[..., 1:2, :])


@pytest.mark.parametrize(("name", "form"), ALL)
def test_every_scheme_gives_every_variable_what_its_rule_says(
    name, form, subtests
):
    staged = built(named(name, form))
    middle = middle_of(name)
    place_of = {s.name: k for k, s in enumerate(staged.stages)}
    donor = donor_of(name)
    alone, _ = initialize(staged, "random", None)
    first_kernel = next(key for key in alone if key.endswith("/kernel"))
    for scheme, rule in RULES.items():
        if "truncate" in form and rule[1] != rule[0] and "{}" in scheme:
            continue  # Nothing comes after the stage that it names.
        scheme = filled(scheme, name)
        with subtests.test(scheme=scheme):
            if rule[0] == "gabor" and name.startswith(SMALL_FILTERS):
                with pytest.raises(ValueError, match="5 x 5"):
                    initialize(staged, scheme, donor)
                continue
            if "slim" in form and rule[1] != "random":
                # What is narrower cannot take what is wide.
                with pytest.raises(ValueError, match="The donor does not fit"):
                    initialize(staged, scheme, donor)
                continue
            values, written = initialize(staged, scheme, donor)
            assert [r.variable for r in written] == list(values)
            for record in written:
                key = record.variable
                source = expected_source(
                    rule, key, record.stage, place_of, middle, first_kernel
                )
                assert record.source == source, key
                assert record.shape == values[key].shape
                assert_value(
                    source, values[key], donor.values.get(key), alone[key], key
                )


def _trained(full):
    forms = VARIANTS if full else VARIANTS[:1]
    return [
        case
        for case in ALL
        if case.values[0] != "cbr_tiny" and case.values[1] in forms
    ]


def pytest_generate_tests(metafunc):
    if "trained_form" in metafunc.fixturenames:
        full = metafunc.config.getoption("full")
        metafunc.parametrize(("trained_name", "trained_form"), _trained(full))


def test_a_step_is_trained_from_random_and_from_its_own_donor(
    trained_name, trained_form, trainer, folder_config, tmp_path, request
):
    model = named(trained_name, trained_form)
    config = dataclasses.replace(
        folder_config,
        model=model,
        image_size=size_of(trained_name),
        num_steps=1,
        eval_every_steps=1,
    )
    first = trainer.train(config, tmp_path / "random")
    assert 0 <= first["test"]["accuracy"] <= 1
    if trained_form != VARIANTS[0]:
        return  # A variant is no donor.
    staged = trainer.program(config, trainer.data(config)).staged
    after = {k: v.numpy() for k, v in staged.variables().items()}
    schemes = ["transfer"]
    if request.config.getoption("full"):
        schemes += [filled(s, trained_name) for s in RULES if s != "random"]
    for scheme in dict.fromkeys(schemes):
        if scheme == "gabor" and trained_name.startswith(SMALL_FILTERS):
            continue
        path = tmp_path / "".join(filter(str.isalnum, scheme))
        again = dataclasses.replace(
            config,
            init=scheme,
            donor=None if scheme == "gabor" else str(tmp_path / "random"),
        )
        result = trainer.train(again, path)
        assert 0 <= result["test"]["accuracy"] <= 1
        if scheme == "transfer":
            run = records.RunDirectory(path)
            staged.model.load_weights(str(run.weights_path(0)))
            for key, variable in staged.variables().items():
                is_head = key.startswith("head/")
                same = np.array_equal(variable.numpy(), after[key])
                assert same != is_head, key
