"""The learning rate as a pure function of the step."""

_WARMUP_EPOCHS = 5
_DROP_EPOCHS = (30, 60, 90)


def learning_rate_at(
    step: int, *, schedule: str, highest: float, steps_per_epoch: int
) -> float:
    """Returns the learning rate of a step.

    Args:
        step: Steps done before this one, from 0.
        schedule: "constant", or "warmup_step": from 0 linearly to the highest
            rate over 5 epochs, then divided by 10 at epochs 30, 60 and 90.
        highest: The highest learning rate.
        steps_per_epoch: Steps in an epoch, at least 1.

    Returns:
        The learning rate, 0 to `highest`.

    Raises:
        ValueError: If there is no such schedule.

    Example:
    >>> [learning_rate_at(step, schedule="warmup_step", highest=1.0,
    ...                   steps_per_epoch=2) for step in (0, 5, 10, 60)]
    [0.0, 0.5, 1.0, 0.1]

    Source: training of the CheXpert models (see the README, Deviations).
    """
    if schedule == "constant":
        return highest
    if schedule != "warmup_step":
        raise ValueError(
            f"There is no such schedule. Received: schedule={schedule!r}. "
            "Use constant or warmup_step."
        )
    epoch = step / steps_per_epoch
    if epoch < _WARMUP_EPOCHS:
        return highest * epoch / _WARMUP_EPOCHS
    num_drops = sum(epoch >= drop for drop in _DROP_EPOCHS)
    return highest / 10**num_drops
