import pytest

from transfusion_tf import training


def rate(step, schedule="warmup_step"):
    return training.learning_rate_at(
        step, schedule=schedule, highest=0.0125, steps_per_epoch=100
    )


def test_constant_is_constant():
    assert {rate(step, "constant") for step in (0, 1, 10**6)} == {0.0125}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.0),
        (250, 0.0125 / 2),
        (499, 0.0125 * 499 / 500),
        (500, 0.0125),
        (2999, 0.0125),
        (3000, 0.00125),
        (5999, 0.00125),
        (6000, 0.000125),
        (9000, 0.0000125),
        (20000, 0.0000125),
    ],
)
def test_warmup_then_a_tenth_at_epochs_30_60_90(step, expected):
    # spec of the CheXpert training: 0.1 * 32 / 256 = 0.0125 is the highest.
    assert rate(step) == pytest.approx(expected, rel=1e-12)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="Use constant or warmup_step"):
        rate(0, "cosine")
