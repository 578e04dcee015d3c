"""What a run is: every choice that has an effect on its numbers."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from transfusion_tf import data, initialization, models
from transfusion_tf.training import strategies

OPTIMIZER_NAMES = ("adam", "sgd")
SCHEDULE_NAMES = ("constant", "warmup_step")
FROZEN_BATCH_NORM_NAMES = ("moving", "batch")
VIEW_NAMES = ("all", "frontal", "lateral")
BATCH_STATISTICS_NAMES = ("synchronized", "per_replica")
PRECISION_NAMES = ("float32", "mixed_bfloat16", "mixed_float16", "float64")

# Where data and devices lie and how data are buffered changes no number: not
# recorded, so that a published record holds no path and a run may move.
LOCATION_FIELDS = ("data_dir", "cache_gigabytes", "tpu")
# What computes; a finished run may be looked at on other devices.
DEVICE_FIELDS = ("strategy", "tpu", "num_cpu_devices")


def _field(default: Any, help_text: str, **metadata: Any) -> Any:
    return dataclasses.field(
        default=default, metadata={"help": help_text, **metadata}
    )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The configuration of one run; launchers make a flag of each field.

    Raises:
        ValueError: If a value is not possible, before anything is read.

    Example:
    >>> TrainConfig(batch_size=0)
    Traceback (most recent call last):
        ...
    ValueError: `batch_size` must be at least 1. Received: batch_size=0. \
Use --batch_size=1 or more.
    """

    model: str = _field(
        "resnet50",
        f"Architecture: {', '.join(models.MODEL_NAMES)}; or a variant, "
        f"{models.VARIANT_FORMS}.",
    )
    task: str = _field(
        "eyepacs_referable",
        f"What is learnt: {', '.join(data.TASK_NAMES)}, folder:PATH, or "
        "tfds:NAME.",
    )
    init: str = _field(
        "random",
        f"Scheme of initialization: {', '.join(initialization.SCHEMES)}.",
    )
    donor: str | None = _field(
        None,
        "Pretrained weights that transfer takes from: imagenet, a weights "
        "file, or a run directory. Default: imagenet, where init needs one.",
    )
    copied_batch_norm: str = _field(
        "transfer",
        "Batch norm of copied stages: the donor's, identity, mean_var (drawn "
        "from the donor's moments), or recalibrate (moving statistics "
        "estimated on training data).",
        choices=initialization.BATCH_NORM_POLICIES,
    )
    other_batch_norm: str = _field(
        "identity",
        "The same for the other stages; the paper's choice is identity.",
        choices=initialization.BATCH_NORM_POLICIES,
    )
    resample_biases: bool = _field(
        False,
        "Whether mean_var, empirical and shuffle resample the biases of "
        "convolutions too, where a model has any; else they are zeros.",
    )
    trainable: str = _field(
        "all", "What learns: all, head, or after:STAGE (frozen up to it)."
    )
    frozen_batch_norm: str = _field(
        "moving",
        "What batch norm of frozen stages uses in training: its moving "
        "statistics, or those of the batch, which the moving ones follow.",
        choices=FROZEN_BATCH_NORM_NAMES,
    )
    seed: int = _field(0, "Seed of initialization, order and augmentation.")
    data_dir: str | None = _field(
        None, "Where prepare_data wrote the data sets."
    )
    dataset_config: str | None = _field(
        None,
        "Prepared configuration of the data set to read, such as circle299. "
        "Default: the task's.",
    )
    image_size: int = _field(
        587, "Height and width of the network's input in pixels.", minimum=1
    )
    fold: str | None = _field(
        None,
        "i/k: of k folds of the train and validation patients, test on fold "
        "i, validate on the next, train on the others. Default: the data "
        "set's own splits.",
    )
    label_policy: str | None = _field(
        None,
        "What uncertain findings count as in training: "
        f"{', '.join(data.POLICY_NAMES)}=FILE. Default, where there are any: "
        "u_zeros.",
    )
    blank: str | None = _field(
        None,
        "What unmentioned findings count as: zero (negative) or mask (not "
        "known). Default: zero.",
        choices=data.BLANK_NAMES,
    )
    view: str | None = _field(
        None,
        "Chest X-rays to keep: all, frontal or lateral. Default: all.",
        choices=VIEW_NAMES,
    )
    num_train_examples: int | None = _field(
        None,
        "Train on a patient-wise subset of at most this many images. "
        "Default: all.",
        minimum=1,
    )
    subset_seed: int = _field(
        0, "Which nested family of subsets --num_train_examples takes from."
    )
    augmentation: str = _field(
        "flips",
        "What is done to training images on the device.",
        choices=data.AUGMENTATION_NAMES,
    )
    preprocessing: str | None = _field(
        None,
        "How pixels are scaled. Default: as the model's ImageNet weights "
        "expect, for every init.",
        choices=data.PREPROCESSING_NAMES,
    )
    batch_size: int = _field(8, "Images a step, over all replicas.", minimum=1)
    num_epochs: int = _field(5, "Passes over the training images.", minimum=1)
    num_steps: int | None = _field(
        None, "Steps of training, instead of --num_epochs.", minimum=1
    )
    optimizer: str = _field(
        "adam",
        "adam (the paper's on RETINA), or sgd with momentum 0.9 (its on "
        "CheXpert).",
        choices=OPTIMIZER_NAMES,
    )
    learning_rate: float = _field(
        1e-3, "Highest learning rate.", minimum_exclusive=0.0
    )
    schedule: str = _field(
        "constant",
        "Learning rate over time: constant, or warmup_step (linear warm-up "
        "over 5 epochs, a tenth after 30, 60 and 90 epochs).",
        choices=SCHEDULE_NAMES,
    )
    batch_norm_momentum: float = _field(
        0.99,
        "Weight of the past in batch norm's moving statistics, in [0, 1). "
        "Runs of a few hundred steps need about 0.9.",
        minimum=0.0,
        maximum_exclusive=1.0,
    )
    eval_every_steps: int | None = _field(
        None,
        "Steps between two evaluations on the validation split (the paper: "
        "1001). Default: an epoch.",
        minimum=1,
    )
    checkpoint_every_steps: int | None = _field(
        None,
        "Steps between two checkpoints to resume from. Default: as "
        "--eval_every_steps.",
        minimum=1,
    )
    keep_checkpoint_steps: tuple[int, ...] = _field(
        (), "Steps whose weights are kept, beside 0 and the last."
    )
    early_stopping: int | None = _field(
        None,
        "Stop after this many evaluations without a better validation "
        "metric and take the best weights. Default: train to the end and "
        "take the last.",
        minimum=1,
    )
    similarity_every_steps: int | None = _field(
        None,
        "Steps between two comparisons of every stage with step 0 (debiased "
        "CKA of its average over positions). Default: none.",
        minimum=1,
    )
    probe_examples: int = _field(
        200,
        "Images that stages are compared on: the first of the validation "
        "split.",
        minimum=4,
    )
    auc_threshold: float = _field(
        0.91,
        "Validation AUC whose first crossing is reported as steps to "
        "threshold (the paper: 0.91), in (0, 1).",
        minimum_exclusive=0.0,
        maximum_exclusive=1.0,
    )
    strategy: str = _field(
        "default",
        "default (one device), mirrored (all devices of this machine), "
        "multi_worker (machines that TF_CONFIG or Slurm names) or tpu.",
        choices=strategies.NAMES,
    )
    tpu: str = _field(
        "local", "Name or address of the TPU; local on its own machine."
    )
    num_cpu_devices: int = _field(
        1,
        "Logical devices to split the CPU into, for mirrored without GPUs.",
        minimum=1,
    )
    batch_statistics: str = _field(
        "synchronized",
        "Batch norm's statistics in training: of the whole batch, as on one "
        "device (synchronized), or of each replica's share (per_replica).",
        choices=BATCH_STATISTICS_NAMES,
    )
    precision: str = _field(
        "float32",
        "What layers compute in: float32, mixed_bfloat16 or mixed_float16 "
        "(head and loss in float32; the latter scales the loss), or float64 "
        "for checks.",
        choices=PRECISION_NAMES,
    )
    jit_compile: bool = _field(
        False, "Compile the training step with XLA (slower on CPU)."
    )
    num_threads: int = _field(
        0,
        "Threads of an operation; 0 takes all cores. Bits repeat only for "
        "an equal number.",
        minimum=0,
    )
    cache_gigabytes: float = _field(
        4.0,
        "Most memory to keep the decoded images of a split in.",
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        """Checks every value that can be checked without reading data."""
        for field in dataclasses.fields(self):
            _check_value(field, getattr(self, field.name))
        models.check_name(self.model)
        if self.fold is not None:
            data.parse_fold(self.fold)
        self._check_findings_options()
        if self.jit_compile and self.strategy != "default":
            raise ValueError(
                "XLA is asked for on one device only; on a TPU it is always "
                f"used. Received: jit_compile=True, strategy={self.strategy!r}"
                ". Leave out one of --jit_compile and --strategy."
            )
        if self.precision == "mixed_float16" and self.strategy == "tpu":
            raise ValueError(
                "A TPU computes in bfloat16, not in float16. Received: "
                "precision='mixed_float16', strategy='tpu'. Use "
                "--precision=mixed_bfloat16."
            )

    def _check_findings_options(self) -> None:
        data.LabelPolicy.parse(self.label_policy, self.blank)
        given = [
            f"{name}={getattr(self, name)!r}"
            for name in ("label_policy", "blank", "view")
            if getattr(self, name) is not None
        ]
        if given and not _has_findings(self.task):
            raise ValueError(
                "Only tasks of findings have uncertain or unmentioned labels "
                f"and views. Received: {', '.join(given)}, task="
                f"{self.task!r}. Leave them out, or use --task=chexpert5."
            )

    @property
    def run_name(self) -> str:
        """Name of the run within a study.

        Example:
        >>> TrainConfig(model="cbr_tiny", seed=3).run_name
        'cbr_tiny-random-seed3'
        """
        model, init = (
            re.sub(r"[:,=/]", "_", name) for name in (self.model, self.init)
        )
        fold = ""
        if self.fold is not None:
            fold = f"-fold{data.parse_fold(self.fold)[0]}"
        return f"{model}-{init}{fold}-seed{self.seed}"

    @classmethod
    def from_record(
        cls, record: Mapping[str, Any], **locations: Any
    ) -> "TrainConfig":
        """Makes a configuration of what `config.json` holds.

        Args:
            record: What `record` returned.
            **locations: The fields that are not recorded.

        Example:
        >>> config = TrainConfig(seed=5, keep_checkpoint_steps=(1, 2))
        >>> TrainConfig.from_record(config.record()) == config
        True
        """
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in record.items()
        }
        return cls(**values, **locations)

    def record(self) -> dict[str, Any]:
        """The fields that `config.json` holds: all but locations."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
            if name not in LOCATION_FIELDS
        }


def num_steps_of(config: TrainConfig, steps_per_epoch: int) -> int:
    """Returns the steps that a run will do if it is not stopped early."""
    return config.num_steps or config.num_epochs * steps_per_epoch


def differences(
    recorded: Mapping[str, Any], given: Mapping[str, Any]
) -> list[str]:
    """Lists the fields in which two recorded configurations differ.

    Example:
    >>> differences({"seed": 0, "model": "cbr_tiny"}, {"seed": 1,
    ...             "model": "cbr_tiny"})
    ['--seed: was 0, is 1']
    """
    names = sorted(set(recorded) | set(given))
    return [
        f"--{name}: was {recorded.get(name)!r}, is {given.get(name)!r}"
        for name in names
        if recorded.get(name) != given.get(name)
    ]


def _has_findings(task: str) -> bool:
    if task.startswith("tfds:"):
        return True  # Only its data can tell: checked when they are opened.
    return task in data.TASK_NAMES and data.task(task).kind == "findings"


def _check_value(field: dataclasses.Field, value: Any) -> None:
    if value is None and field.default is None:
        return
    rules = field.metadata
    if "choices" in rules and value not in rules["choices"]:
        raise ValueError(
            f"There is no such `{field.name}`. Received: {field.name}="
            f"{value!r}. Use one of {', '.join(rules['choices'])}."
        )
    limits = {
        "minimum": ("at least", lambda limit: value >= limit),
        "minimum_exclusive": ("greater than", lambda limit: value > limit),
        "maximum_exclusive": ("less than", lambda limit: value < limit),
    }
    for rule, (words, holds) in limits.items():
        if rule in rules and not holds(rules[rule]):
            limit = rules[rule]
            advice = (
                f"{limit} or more"
                if rule == "minimum"
                else f"a value {words} {limit}"
            )
            raise ValueError(
                f"`{field.name}` must be {words} {limit}. Received: "
                f"{field.name}={value!r}. Use --{field.name}={advice}."
            )
