"""Train, validation and test of data sets that come with fewer splits.

What is missing is held out of train, by a hash of the patients' names: which
patients are held out depends on nothing else.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from transfusion_tf.data import splits
from transfusion_tf.raw import items

_SALT = "held_out"
_TENTH = 1000  # Of the 10,000 buckets that patients hash to.
_VALIDATION, _TEST = range(_TENTH), range(_TENTH, 2 * _TENTH)


def complete(
    given: Mapping[str, splits.Split],
) -> tuple[dict[str, splits.Split], str]:
    """Holds out of train what a data set lacks.

    Args:
        given: The data set's own labelled splits by name.

    Returns:
        The splits, and the rule in words:

        * train, validation and test are taken as they are, and so is whatever
          there is where there is no train, to be scored on only;
        * of train and test, a tenth of train's patients becomes validation;
        * of train and validation, as in CheXpert and ImageNet, validation is
          what is scored: it becomes test, and a tenth of train's patients
          validation;
        * of train alone, a tenth of the patients each becomes validation and
          test.

    Example:
    >>> names = np.array([str(number) for number in range(100)])
    >>> train = splits.Split("train", names, names, np.zeros(100, int),
    ...                      np.arange(100), None)
    >>> parts, rule = complete({"train": train})
    >>> {name: part.num_examples for name, part in parts.items()}
    {'train': 76, 'validation': 15, 'test': 9}
    """
    names = set(given)
    if "train" not in names or names == {"train", "validation", "test"}:
        rules = dict.fromkeys(part.rule for part in given.values())
        return dict(given), " ".join(rules)
    train, others = given["train"], {}
    held_out = {"validation": _VALIDATION}
    if "test" in names:
        others["test"] = given["test"]
        rule = "A tenth of the patients of train is held out for validation."
    elif "validation" in names:
        others["test"] = dataclasses.replace(given["validation"], name="test")
        rule = (
            "The data set's validation split is scored as test; a tenth of "
            "the patients of train is held out for validation."
        )
    else:
        held_out["test"] = _TEST
        rule = (
            "Two tenths of the patients of train are held out for validation "
            "and test."
        )
    return _hold_out(train, held_out) | others, f"{train.rule} {rule}"


def _hold_out(
    train: splits.Split, held_out: Mapping[str, range]
) -> dict[str, splits.Split]:
    patients, places = np.unique(train.patients, return_inverse=True)
    buckets = np.array(
        [items.patient_bucket(str(name), salt=_SALT) for name in patients]
    )[places]
    parts = {"train": np.ones(len(buckets), bool)}
    for name, share in held_out.items():
        parts[name] = (buckets >= share.start) & (buckets < share.stop)
        parts["train"] &= ~parts[name]
    return {
        name: dataclasses.replace(train.take(np.flatnonzero(member)), name=name)
        for name, member in parts.items()
    }
