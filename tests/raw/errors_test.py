import pickle

import pytest

from transfusion_tf.raw import errors


def bad(*names: str) -> errors.BadImageError:
    return errors.BadImageError("It is torn.", names=names)


def test_what_is_reported_is_raised_where_nobody_collects() -> None:
    with pytest.raises(errors.BadImageError, match="torn"):
        errors.report(bad())


def test_everything_is_collected_for_a_list() -> None:
    with errors.collecting() as found:
        errors.report(bad("a", "b"))
        errors.report(bad(), is_skippable=False)
    assert [error.count for error in found] == [2, 1]
    with pytest.raises(errors.BadImageError):
        errors.report(bad())


def test_what_skipping_does_not_mend_is_raised() -> None:
    with (
        pytest.raises(errors.PatientLeakError),
        errors.collecting(max_skipped=10),
    ):
        errors.report(errors.PatientLeakError("leak"), is_skippable=False)


def test_more_than_may_be_skipped_is_an_error_with_counts() -> None:
    with (
        pytest.raises(
            errors.TooManyBadError, match=r"4 with --max_bad=3.*torn.*--check"
        ),
        errors.collecting(max_skipped=3) as found,
    ):
        errors.report(bad("a", "b"))
        errors.report(bad("c"))
        assert len(found) == 2
        errors.report(bad("d"))


def test_an_error_keeps_its_names_through_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(bad("a", "b")))
    assert isinstance(error, errors.BadImageError)
    assert (str(error), error.names) == ("It is torn.", ("a", "b"))
