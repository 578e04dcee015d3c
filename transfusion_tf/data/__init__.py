"""Tasks, prepared data -> batches, augmentation, patient-wise subsets.

The order and the augmentation of an epoch are a pure function of the seed and
the epoch, so the arms of a comparison see the same batches, and a stopped run
goes on with the batch it would have seen next.
"""

from transfusion_tf.data.augmentation import (
    AUGMENTATION_NAMES,
    NUM_DRAWS,
    augment,
)
from transfusion_tf.data.preprocessing import (
    PREPROCESSING_NAMES,
    normalize,
)
from transfusion_tf.data.reader import PADDING_ID, SplitReader
from transfusion_tf.data.splits import (
    SPLIT_NAMES,
    Split,
    check_patients_disjoint,
    open_split,
)
from transfusion_tf.data.subsets import subset
from transfusion_tf.data.tasks import TASK_NAMES, Task, task

__all__ = [
    "AUGMENTATION_NAMES",
    "NUM_DRAWS",
    "PADDING_ID",
    "PREPROCESSING_NAMES",
    "SPLIT_NAMES",
    "TASK_NAMES",
    "Split",
    "SplitReader",
    "Task",
    "augment",
    "check_patients_disjoint",
    "normalize",
    "open_split",
    "subset",
    "task",
]
