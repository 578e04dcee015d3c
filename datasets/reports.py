"""The split report: what a prepared data set holds, counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from transfusion_tf.raw import items, label_states

_STATES = tuple(label_states.STATES)
LabelCounts = dict[str, dict[str, int]]


def describe(
    part: Sequence[items.Item], label_counts: LabelCounts
) -> dict[str, Any]:
    """Counts a split.

    Args:
        part: Its items.
        label_counts: Label to class to number of images.

    Returns:
        `{"num_images", "num_patients", "label_counts", "notes"}`, ready for
        JSON; `notes`, of what was done to images, is empty.
    """
    return {
        "num_images": len(part),
        "num_patients": len({item.patient_id for item in part}),
        "label_counts": label_counts,
        "notes": {},
    }


def count_classes(
    part: Sequence[items.Item], feature: str, classes: Sequence[str]
) -> LabelCounts:
    """Counts the classes of one label.

    Args:
        part: Items with a class index at `feature`; -1 is no label.
        feature: The label.
        classes: Names of the classes.

    Returns:
        Label to class to number of images, every class of `classes` and,
        where there are any, those without a label as "no label".

    Example:
    >>> eyes = [items.Item("7_left", "7", values={"grade": 1})]
    >>> count_classes(eyes, "grade", ["none", "mild"])
    {'grade': {'none': 0, 'mild': 1}}
    """
    found = Counter(item.values[feature] for item in part)
    counts = {name: found[index] for index, name in enumerate(classes)}
    if found[-1]:
        counts["no label"] = found[-1]
    return {feature: counts}


def format_split_report(report: Mapping[str, Any]) -> str:
    """Renders a split report as text.

    Args:
        report: `{"rule", "salt", "splits": {name: describe(...)}}`, and,
            where examples were rejected, `"num_rejected"`.

    Returns:
        A table of the splits, a table of the labels, the rule, and what was
        done to images.

    Example:
    >>> eyes = [items.Item("7_left", "7", values={"grade": 1})]
    >>> counts = count_classes(eyes, "grade", ["none", "mild"])
    >>> report = {"rule": "All.", "splits": {"train": describe(eyes, counts)}}
    >>> print(format_split_report(report))
                         train
    images                   1
    patients                 1
    grade: none              0
    grade: mild              1
    Rule: All.
    """
    splits = report["splits"]
    rows = [
        (title, [f"{part[key]:,}" for part in splits.values()])
        for title, key in (
            ("images", "num_images"),
            ("patients", "num_patients"),
        )
        if all(key in part for part in splits.values())
    ]
    rows += [
        (title, [_count(part, label, names) for part in splits.values()])
        for title, label, names in _label_rows(splits)
    ]
    rows.insert(0, ("", list(splits)))
    width = max(14, *(len(title) for title, _ in rows))
    column = max(12, *(len(cell) + 2 for _, cells in rows for cell in cells))
    lines = [
        title.ljust(width) + "".join(f"{cell:>{column}}" for cell in cells)
        for title, cells in rows
    ]
    if any(names == _STATES for _, _, names in _label_rows(splits)):
        lines.append(f"Of a finding: {'/'.join(_STATES)}.")
    lines.append(f"Rule: {report['rule']}")
    lines += [
        f"{note.capitalize()}: {count} of {part['num_images']} {name} images."
        for name, part in splits.items()
        for note, count in sorted(part["notes"].items())
    ]
    if report.get("num_rejected"):
        lines.append(
            f"Rejected: {report['num_rejected']}, listed in rejected.jsonl."
        )
    return "\n".join(lines)


def _label_rows(
    splits: Mapping[str, Mapping[str, Any]],
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Title, label and classes of each row, in order of first appearance.

    The states of a finding share a row; of other labels a class has one.
    """
    rows: dict[tuple[str, str, tuple[str, ...]], None] = {}
    for part in splits.values():
        for label, counts in part["label_counts"].items():
            if tuple(counts) == _STATES:
                rows[(label, label, _STATES)] = None
                continue
            for name in counts:
                rows[(f"{label}: {name}", label, (name,))] = None
    return list(rows)


def _count(part: Mapping[str, Any], label: str, names: tuple[str, ...]) -> str:
    counts = part["label_counts"].get(label, {})
    return "/".join(f"{counts.get(name, 0):,}" for name in names)
