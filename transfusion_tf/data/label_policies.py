"""What uncertain and unmentioned findings count as: a choice of reading.

Raw labels are 1 (positive), 0 (negative), -1 (uncertain) and -2 (the report
does not mention it). A policy makes training targets and weights of them; for
scoring, what is not known stays unknown.

Source: Irvin et al. 2019 (CheXpert), section 3, for u_ignore, u_zeros,
    u_ones, u_multiclass and u_selftrained; Pham et al. 2019 for u_smooth. The
    paper names no policy; u_zeros is our default.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import scipy.special

from transfusion_tf.raw import label_states

POLICY_NAMES = (
    "u_ignore",
    "u_zeros",
    "u_ones",
    "u_mixed",
    "u_smooth",
    "u_multiclass",
    "u_selftrained",
)
BLANK_NAMES = ("zero", "mask")
DEFAULT_POLICY, DEFAULT_BLANK = "u_zeros", "zero"
UNKNOWN = -1  # A label that is not scored.
# Findings whose uncertain mentions mean "rather yes" (Irvin et al., Table 3).
_MIXED_ONES = ("Atelectasis", "Edema")
_SMOOTH_ONES, _SMOOTH_ZEROS = (0.55, 0.85), (0.0, 0.3)
_CLASSES = 3  # Of u_multiclass: negative, positive, uncertain.


@dataclasses.dataclass(frozen=True)
class LabelPolicy:
    """How raw findings become targets.

    Attributes:
        name: One of `POLICY_NAMES`.
        blank: "zero": what a report does not mention is negative; "mask": it
            is not known, neither in training nor in scoring.
        file: Of u_selftrained, the predictions for uncertain labels.

    Example:
    >>> policy = LabelPolicy.parse("u_ones", None)
    >>> raw = np.array([[1, 0, -1, -2]], np.int8)
    >>> policy.training_targets(raw, ["A", "B", "C", "D"], ["x"])["target"]
    array([[1., 0., 1., 0.]], dtype=float32)
    """

    name: str = DEFAULT_POLICY
    blank: str = DEFAULT_BLANK
    file: str | None = None

    @classmethod
    def parse(cls, policy: str | None, blank: str | None) -> "LabelPolicy":
        """Reads the flags; `None` takes the default.

        Args:
            policy: One of `POLICY_NAMES`; u_selftrained as
                `u_selftrained=FILE`.
            blank: One of `BLANK_NAMES`.

        Raises:
            ValueError: If there is no such policy.
        """
        name, _, file = (policy or DEFAULT_POLICY).partition("=")
        blank = blank or DEFAULT_BLANK
        if name not in POLICY_NAMES or bool(file) != (name == "u_selftrained"):
            raise ValueError(
                "There is no such label policy. Received: label_policy="
                f"{policy!r}. Use one of {', '.join(POLICY_NAMES[:-1])}, or "
                "u_selftrained=FILE."
            )
        if blank not in BLANK_NAMES:
            raise ValueError(
                f"There is no such way to read blanks. Received: blank="
                f"{blank!r}. Use --blank=zero or --blank=mask."
            )
        return cls(name, blank, file or None)

    @property
    def outputs_per_finding(self) -> int:
        """Outputs of the network for a finding."""
        return _CLASSES if self.name == "u_multiclass" else 1

    @property
    def loss(self) -> str:
        """Name of the loss that fits the targets."""
        return "multiclass" if self.name == "u_multiclass" else "sigmoid"

    def known_labels(self, raw: np.ndarray) -> np.ndarray:
        """Returns the labels to score against.

        Args:
            raw: int8 `[num_examples, num_findings]`.

        Returns:
            int64, same shape: 0, 1, or `UNKNOWN`.
        """
        labels = raw.astype(np.int64)
        labels[raw == label_states.UNMENTIONED] = (
            0 if self.blank == "zero" else UNKNOWN
        )
        labels[raw == label_states.UNCERTAIN] = UNKNOWN
        return labels

    def training_targets(
        self,
        raw: np.ndarray,
        findings: Sequence[str],
        image_ids: Iterable[str],
        predicted: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns what is learnt.

        Args:
            raw: int8 `[num_examples, num_findings]`.
            findings: Names of the findings.
            image_ids: Names of the images; u_smooth draws by them.
            predicted: Of u_selftrained, probabilities, same shape as `raw`.

        Returns:
            `target` and `weight` (0 or 1), float32, same shape as `raw`; of
            u_multiclass, `target` is int64: 0 negative, 1 positive, 2
            uncertain.
        """
        is_uncertain, is_blank = (
            raw == label_states.UNCERTAIN,
            raw == label_states.UNMENTIONED,
        )
        weight = np.ones(raw.shape, np.float32)
        if self.blank == "mask":
            weight[is_blank] = 0.0
        if self.name == "u_multiclass":
            target = np.where(is_uncertain, 2, np.maximum(raw, 0))
            return {"target": target.astype(np.int64), "weight": weight}
        if self.name == "u_ignore":
            weight[is_uncertain] = 0.0
        guess = self._guess(raw.shape, findings, image_ids, predicted)
        target = np.where(is_uncertain, guess, np.maximum(raw, 0))
        return {"target": target.astype(np.float32), "weight": weight}

    def _guess(
        self,
        shape: tuple[int, ...],
        findings: Sequence[str],
        image_ids: Iterable[str],
        predicted: np.ndarray | None,
    ) -> np.ndarray:
        """What uncertain labels count as."""
        rather_yes = np.array([name in _MIXED_ONES for name in findings])
        match self.name:
            case "u_ones":
                return np.ones(shape)
            case "u_mixed":
                return np.broadcast_to(rather_yes, shape)
            case "u_smooth":
                low = np.where(rather_yes, _SMOOTH_ONES[0], _SMOOTH_ZEROS[0])
                high = np.where(rather_yes, _SMOOTH_ONES[1], _SMOOTH_ZEROS[1])
                return low + (high - low) * _draws(findings, image_ids)
            case "u_selftrained":
                return np.asarray(predicted)
        return np.zeros(shape)

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Returns the probability of each finding.

        Args:
            logits: `[num_examples, num_findings * outputs_per_finding]`.

        Returns:
            float64 in [0, 1], `[num_examples, num_findings]`; of
            u_multiclass among negative and positive alone.
        """
        logits = logits.astype(np.float64)
        if self.name != "u_multiclass":
            return scipy.special.expit(logits)
        of_finding = logits.reshape(len(logits), -1, _CLASSES)
        return scipy.special.expit(of_finding[..., 1] - of_finding[..., 0])


def describe_targets(
    targets: Mapping[str, np.ndarray], findings: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Sums up what is learnt.

    Args:
        targets: As `LabelPolicy.training_targets` returns them.
        findings: Names of the findings.

    Returns:
        Finding to `num_learnt` (labels that are not masked) and
        `mean_target` over them.
    """
    weight = targets["weight"]
    learnt = weight.sum(axis=0)
    sums = (targets["target"] * weight).sum(axis=0, dtype=np.float64)
    return {
        name: {
            "num_learnt": int(learnt[place]),
            "mean_target": float(sums[place] / max(learnt[place], 1)),
        }
        for place, name in enumerate(findings)
    }


def _draws(findings: Sequence[str], image_ids: Iterable[str]) -> np.ndarray:
    """Uniform numbers of image and finding alone: all runs share them."""
    words = [
        hashlib.sha256(f"{image}/{finding}".encode()).digest()[:8]
        for image in image_ids
        for finding in findings
    ]
    numbers = np.frombuffer(b"".join(words), ">u8").astype(np.float64)
    return (numbers / 2.0**64).reshape(-1, len(findings))
