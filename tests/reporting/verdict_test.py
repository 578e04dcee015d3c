import json
import re

import pytest

from tests.reporting import fabricate
from transfusion_tf.evaluation import Interval
from transfusion_tf.reporting.study import Arm, read_study
from transfusion_tf.reporting.summaries import Difference, summarize
from transfusion_tf.reporting.verdict import _difference_text, verdict


def interval(low, high):
    return Interval((low + high) / 2, low, high, 0.95, "by hand")


def text(joint, seed, by_seed=None):
    difference = Difference(
        Arm("cbr_tiny", "transfer"),
        Arm("cbr_tiny", "random"),
        (0, 1, 2),
        joint,
        seed,
        by_seed or {},
    )
    return _difference_text(difference, better="HELPS", worse="HURTS")


@pytest.mark.parametrize(
    ("joint", "seed", "helps", "hurts"),
    [
        ((0.1, 0.2), (0.05, 0.25), True, False),
        ((-0.2, -0.1), (-0.3, -0.01), False, True),
        ((-0.1, 0.2), (0.05, 0.25), False, False),
        ((0.1, 0.2), (-0.05, 0.25), False, False),
        ((0.0, 0.2), (0.05, 0.25), False, False),
    ],
)
def test_a_conclusion_needs_both_intervals_away_from_zero(
    joint, seed, helps, hurts
):
    told = text(interval(*joint), interval(*seed))
    assert (("HELPS" in told), ("HURTS" in told)) == (helps, hurts)


def test_an_interval_that_holds_zero_is_not_called_equality():
    told = text(interval(-0.1, 0.1), interval(-0.1, 0.1))
    assert "no difference can be told, which does not mean" in told


def test_below_three_seeds_nothing_is_concluded():
    runs = {0: interval(0.1, 0.2), 1: interval(-0.1, 0.1)}
    told = text(None, None, runs)
    assert "HELPS" not in told and "HURTS" not in told
    assert "1 of 2 lie above 0 and 0 below" in told
    assert "2 seeds cannot tell" in told and "train 3 or more" in told


def test_verdict_answers_transfer_layers_and_size(tmp_path):
    study = read_study(fabricate.write_study(tmp_path, 3))
    told = verdict(summarize(study))
    assert re.search(
        r"EfficientNet-Lite0 on synthetic, transfer from ImageNe"
        r"t.*minus random, test AUC: \+0\.2.*helps here\.",
        told,
    )
    assert "transfer: 24 (3 of 3 reached)" in told
    assert (
        "EfficientNet-Lite0, transfer: training changed the representation "
        "least in stem (0.91, null level 0.10) and most in top (0.59, null "
        "level 0.14); mean of 3 runs."
    ) in told
    assert re.search(
        r"CBR-Tiny, random, with 32% of the parameters, minus "
        r"EfficientNet-Lite0, transfer.*-0\.2.*behind here",
        told,
    )
    assert "200 test images of 100 patients of synthetic" in told


def test_reuse_names_the_stages_of_the_largest_and_smallest_gap(tmp_path):
    fabricate.write_study(tmp_path, 1)
    path = tmp_path / (
        "comparisons/efficientnet_lite0-random-seed0-before-after/"
        "comparison.json"
    )
    # Transfer scores 0.90 in stem and 0.58 in top.
    content = json.loads(path.read_text())
    content["stages"][0]["score"] = 0.2
    content["stages"][-1]["score"] = 0.5
    path.write_text(json.dumps(content))
    told = verdict(summarize(read_study(tmp_path)))
    assert "is largest in stem (+0.70) and smallest in top (+0.08)" in told


def test_the_compared_arms_do_not_depend_on_test_results(tmp_path):
    study = read_study(fabricate.write_study(tmp_path, 1))
    small = summarize(study).small
    assert small.first == Arm("cbr_tiny", "random")
    assert small.second == Arm("efficientnet_lite0", "transfer")
