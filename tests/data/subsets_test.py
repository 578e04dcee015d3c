import numpy as np
import pytest

from tests.data.fake_splits import fake_split
from transfusion_tf import data


def test_subsets_are_nested_and_of_whole_patients():
    split = fake_split(50)
    previous = set()
    for num_examples in (2, 10, 11, 40, 100):
        chosen = data.subset(split, num_examples, seed=1)
        patients, counts = np.unique(chosen.patients, return_counts=True)
        assert set(counts) == {2}
        assert chosen.num_examples == num_examples - num_examples % 2
        assert previous <= set(patients)
        previous = set(patients)
    assert chosen.sha256 == split.sha256


def test_the_seed_chooses_the_family():
    split = fake_split(50)
    ids = {
        seed: tuple(data.subset(split, 20, seed=seed).image_ids)
        for seed in (0, 1, 2)
    }
    assert len(set(ids.values())) == 3
    assert ids[0] == tuple(data.subset(split, 20, seed=0).image_ids)


@pytest.mark.parametrize("num_examples", [0, -1, 101])
def test_a_subset_larger_than_the_split_is_refused(num_examples):
    with pytest.raises(ValueError, match="from 1 to 100"):
        data.subset(fake_split(50), num_examples)


def test_a_subset_smaller_than_its_first_patient_is_refused():
    with pytest.raises(ValueError, match="--num_train_examples=2 or more"):
        data.subset(fake_split(50), 1)


def test_the_hash_is_of_content_not_of_order():
    split = fake_split(5)
    reversed_split = split.take(np.arange(10)[::-1])
    assert reversed_split.sha256 == split.sha256
    assert split.take(np.arange(8)).sha256 != split.sha256
