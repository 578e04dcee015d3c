import pytest

from transfusion_tf import initialization

STAGES = ("conv1", "block1", "block2", "block3")


def sources_of(scheme: str) -> list[str]:
    plan = initialization.parse_scheme(scheme, STAGES)
    assert tuple(plan.stages) == STAGES
    return [source.name for source in plan.stages.values()]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("random", ["random"] * 4),
        ("transfer", ["copy"] * 4),
        ("mean_var", ["mean_var"] * 4),
        ("empirical", ["empirical"] * 4),
        ("shuffle", ["shuffle"] * 4),
        ("gabor", ["gabor", "random", "random", "random"]),
        ("transfuse:none", ["random"] * 4),
        ("transfuse:conv1", ["copy", "random", "random", "random"]),
        ("transfuse:block2", ["copy", "copy", "copy", "random"]),
        ("transfuse:block3", ["copy"] * 4),
        ("wt_st:none", ["mean_var"] * 4),
        ("wt_st:block1", ["copy", "copy", "mean_var", "mean_var"]),
        (
            "conv1=copy,block1..block2=mean_var,block3..=random",
            ["copy", "mean_var", "mean_var", "random"],
        ),
        (
            "..block1=shuffle,block2..=empirical",
            [*["shuffle"] * 2, *["empirical"] * 2],
        ),
        ("block1..=random,conv1=gabor", ["gabor"] + ["random"] * 3),
    ],
)
def test_a_scheme_names_a_source_for_each_stage_in_order(scheme, expected):
    assert sources_of(scheme) == expected


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("imagenet", r"scheme='imagenet'.*transfuse:STAGE"),
        ("transfuse", r"scheme='transfuse'"),
        ("transfuse:", r"no such stage.*''"),
        ("transfuse:block9", r"'block9'.*conv1, block1, block2, block3"),
        ("random:block1", r"Unknown initialization"),
        ("conv1=copy", r"no source for block1, block2, block3.*block1\.\.="),
        ("conv1=copy,..=random", r"'conv1' twice"),
        ("block2..block1=copy,..=random", r"forwards.*block1\.\.block2"),
        ("conv1=donor,block1..=random", r"'conv1=donor'.*Sources are random"),
        ("conv1=copy,block7=random", r"'block7'.*Its stages are conv1"),
        ("..=gabor", r"first stage.*conv1=gabor"),
    ],
)
def test_an_impossible_scheme_says_what_would_be_right(scheme, message):
    with pytest.raises(ValueError, match=message):
        initialization.parse_scheme(scheme, STAGES)


@pytest.mark.parametrize(
    ("scheme", "policies", "needs", "may_use"),
    [
        ("random", {}, False, False),
        ("gabor", {}, False, True),
        ("transfer", {}, True, True),
        ("transfuse:none", {}, False, False),
        ("random", {"other_batch_norm": "transfer"}, True, True),
        ("random", {"copied_batch_norm": "mean_var"}, False, False),
        ("mean_var", {"other_batch_norm": "recalibrate"}, True, True),
    ],
)
def test_a_plan_knows_whether_it_takes_from_a_donor(
    scheme, policies, needs, may_use
):
    plan = initialization.parse_scheme(scheme, STAGES, **policies)
    assert (plan.needs_donor, plan.may_use_donor) == (needs, may_use)


def test_recalibrated_stages_are_those_of_the_policy():
    plan = initialization.parse_scheme(
        "transfuse:block1", STAGES, copied_batch_norm="recalibrate"
    )
    assert plan.recalibrated == ("conv1", "block1")
    plan = initialization.parse_scheme(
        "transfuse:block1", STAGES, other_batch_norm="recalibrate"
    )
    assert plan.recalibrated == ("block2", "block3")
