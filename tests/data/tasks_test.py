import numpy as np
import pytest

from transfusion_tf import data


def test_referable_is_moderate_or_worse():
    # Table 1 of the paper: AUC "from diagnosing moderate DR".
    task = data.task("eyepacs_referable")
    np.testing.assert_array_equal(task.targets(np.arange(5)), [0, 0, 1, 1, 1])


def test_the_score_is_the_probability_of_grade_two_or_more():
    logits = np.log(
        [[0.1, 0.2, 0.3, 0.15, 0.25], [0.96, 0.01, 0.01, 0.01, 0.01]]
    )
    scores = data.task("eyepacs_referable").scores(logits + 7.0)
    np.testing.assert_allclose(scores, [0.7, 0.03], rtol=1e-12)


@pytest.mark.parametrize("name", data.TASK_NAMES)
def test_every_named_task_describes_itself(name):
    task = data.task(name)
    assert task.name == name
    metrics = {"grades": "auc", "findings": "auc", "classes": "accuracy"}
    assert task.metric == metrics[task.kind]
    assert name.startswith(("chexpert", "synthetic_cxr")) == (
        task.kind == "findings"
    )
    assert name.endswith("_referable") == (task.kind == "grades")
    assert len(task.classes) == (14 if name == "chexpert14" else 5)


def test_the_labels_of_chexpert_are_those_of_the_prepared_data():
    from transfusion_datasets import chest_xrays

    assert data.task("chexpert14").classes == chest_xrays.LABEL_NAMES
    assert set(data.task("chexpert5").classes) < set(chest_xrays.LABEL_NAMES)
