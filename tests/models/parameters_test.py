"""Parameter counts, against those of the paper and of the publishers."""

import pytest

from transfusion_tf import models

HEAD_5 = {1280: 1280 * 5 + 5, 2048: 2048 * 5 + 5}


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("cbr_large_t", 8_532_480),
        ("cbr_large_w", 8_432_128),
        ("cbr_small", 2_108_672),
        ("cbr_tiny", 1_076_480),
        ("cbr_tiny_as_printed", 4_303_360),
    ],
)
def test_cbr_counts_are_those_of_table_1_by_its_rule(built, name, count):
    assert models.parameter_counts(built(name)).paper_rule == count


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("cbr_large_t", 8_539_173),
        ("cbr_large_w", 8_443_461),
        ("cbr_small", 2_114_341),
        ("cbr_tiny", 1_079_845),
    ],
)
def test_cbr_trainable_counts_are_those_of_all_learned_values(
    built, name, count
):
    assert models.parameter_counts(built(name)).trainable == count


@pytest.mark.parametrize("name", ["cbr_large_t", "cbr_tiny"])
def test_total_adds_two_moving_statistics_a_channel(built, name):
    counts = models.parameter_counts(built(name))
    widths = {"cbr_large_t": 32 * 31, "cbr_tiny": 32 * 15}[name]
    assert counts.total - counts.trainable == 2 * widths


@pytest.mark.parametrize(
    ("name", "backbone"),
    [("resnet50", 23_587_712), ("inception_v3", 21_802_784)],
)
def test_imagenet_backbones_have_the_published_counts(built, name, backbone):
    counts = models.parameter_counts(built(name))
    assert counts.total - HEAD_5[2048] == backbone
    assert counts.paper_rule is None


def test_lite0_has_the_count_of_its_published_file(built):
    # 4,694,024 numbers with the 1000-way head.
    counts = models.parameter_counts(built("efficientnet_lite0"))
    head_1000 = 1280 * 1000 + 1000
    assert counts.total - HEAD_5[1280] + head_1000 == 4_694_024
