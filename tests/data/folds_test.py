import numpy as np
import pytest

from tests.data.fake_splits import fake_split
from transfusion_tf import data


@pytest.mark.parametrize("num_folds", [3, 5])
def test_each_patient_is_tested_once_and_validated_once(num_folds):
    whole = fake_split(23)
    tested, validated = [], []
    for number in range(1, num_folds + 1):
        parts = data.deal(whole, f"{number}/{num_folds}")
        assert [part.name for part in parts] == list(data.SPLIT_NAMES)
        data.check_patients_disjoint(parts)
        assert sum(part.num_examples for part in parts) == 46
        tested.append(parts[2].example_ids)
        validated.append(parts[1].example_ids)
        # As many patients in each fold, give or take one.
        assert abs(parts[2].num_patients - 23 / num_folds) < 1
    for ids in (tested, validated):
        np.testing.assert_array_equal(np.sort(np.concatenate(ids)), range(46))
    for number in range(num_folds):
        following = tested[(number + 1) % num_folds]
        np.testing.assert_array_equal(validated[number], following)


def test_folds_do_not_depend_on_the_order_of_the_examples():
    whole = fake_split(20)
    turned = whole.take(np.arange(40)[::-1])
    for number in range(1, 6):
        one = set(data.deal(whole, f"{number}/5")[2].image_ids)
        two = set(data.deal(turned, f"{number}/5")[2].image_ids)
        assert one == two


def test_two_splits_become_one_whose_ids_count_on():
    first = fake_split(3, name="train").take(np.array([1, 2, 5]))
    second = fake_split(2, name="validation")
    whole = data.concatenate([first, second], "all")
    np.testing.assert_array_equal(whole.example_ids, [1, 2, 5, *range(6, 10)])
    reader = data.SplitReader(whole, 8)
    (batch,) = reader.evaluation_batches(7).as_numpy_iterator()
    np.testing.assert_array_equal(batch["example_id"], whole.example_ids)
    # Every pixel of image k of a split has the value k.
    np.testing.assert_array_equal(
        batch["image"][:, 0, 0, 0], [1, 2, 5, 0, 1, 2, 3]
    )
    np.testing.assert_array_equal(batch["label"], whole.labels)


@pytest.mark.parametrize("fold", ["0/5", "6/5", "1/2", "1", "a/b", "1/5/5"])
def test_an_impossible_fold_is_refused(fold):
    with pytest.raises(ValueError, match=r"fold=.*Use --fold=1/5"):
        data.parse_fold(fold)


def test_fewer_patients_than_folds_are_refused():
    with pytest.raises(ValueError, match="fold='1/5', 4 patients"):
        data.deal(fake_split(4), "1/5")
