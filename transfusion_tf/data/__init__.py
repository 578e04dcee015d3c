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
from transfusion_tf.data.completion import complete
from transfusion_tf.data.folds import deal, parse_fold
from transfusion_tf.data.index import MANIFEST, read_records, write_index
from transfusion_tf.data.label_policies import (
    BLANK_NAMES,
    POLICY_NAMES,
    LabelPolicy,
    describe_targets,
)
from transfusion_tf.data.opening import (
    SPLIT_NAMES,
    given_splits,
    open_split,
    open_task,
)
from transfusion_tf.data.preprocessing import (
    PREPROCESSING_NAMES,
    normalize,
)
from transfusion_tf.data.reader import PADDING_ID, Part, SplitReader
from transfusion_tf.data.splits import (
    Split,
    check_patients_disjoint,
    concatenate,
)
from transfusion_tf.data.subsets import subset
from transfusion_tf.data.tasks import TASK_NAMES, Task, task
from transfusion_tf.raw.label_states import count_states

__all__ = [
    "AUGMENTATION_NAMES",
    "BLANK_NAMES",
    "LabelPolicy",
    "MANIFEST",
    "NUM_DRAWS",
    "PADDING_ID",
    "Part",
    "POLICY_NAMES",
    "PREPROCESSING_NAMES",
    "SPLIT_NAMES",
    "Split",
    "SplitReader",
    "TASK_NAMES",
    "Task",
    "augment",
    "check_patients_disjoint",
    "complete",
    "concatenate",
    "count_states",
    "deal",
    "describe_targets",
    "given_splits",
    "normalize",
    "open_split",
    "open_task",
    "parse_fold",
    "read_records",
    "subset",
    "task",
    "write_index",
]
