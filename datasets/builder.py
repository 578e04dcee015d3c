"""What the builders share: order, shards, workers, bad examples, report."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

import tensorflow_datasets as tfds
from etils import epath

from transfusion_datasets import processing, reports
from transfusion_tf import data
from transfusion_tf.raw import errors, items

REJECTED = "rejected.jsonl"
_SHARD_BYTES = 64 << 20


class Progress(Protocol):
    """What is told of how far a preparation is; a progress bar, say."""

    def start(self, total: int) -> None:
        """Is told how many images there are in all."""

    def update(self, num_steps: int, description: str) -> None:
        """Is told that so many images were done, and of which split."""


class PreparedBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """Base of the builders: raw files to shuffled, checked, indexed shards.

    A builder reads labels and paths (`read`) and makes an example of each
    item (`processor`). The rest is here: examples in the order of a hash of
    their ids, so that any stretch of a shard is a random sample; as many
    worker processes as there are cores, or Apache Beam; what is wrong with an
    example is reported (`errors.report`); the same image in two splits is
    found; and all that was written is read back before it counts.

    Attributes:
        COUNTED: Class label to the names of its classes, for the report.
        rejected: What was reported and left out, where that was asked for.
        progress: Told of what is done, if anyone is to be.
    """

    COUNTED: ClassVar[Mapping[str, Sequence[str]]] = {}
    rejected: Sequence[errors.DataError] = ()
    progress: "Progress | None" = None

    def read(self, manual_dir: epath.Path | None) -> items.Parts:
        """Reads labels and paths; no image is opened.

        Args:
            manual_dir: The directory of raw files, for those that need them.

        Raises:
            errors.DataError: If they are not as they should be.
        """
        raise NotImplementedError

    def processor(self) -> processing.Processor:
        """Returns what makes an example of an item.

        It must be picklable, and its module free of TensorFlow.
        """
        raise NotImplementedError

    def label_counts(self, part: Sequence[items.Item]) -> reports.LabelCounts:
        """Counts the labels of a split, for the report."""
        counts: reports.LabelCounts = {}
        for feature, classes in self.COUNTED.items():
            counts |= reports.count_classes(part, feature, classes)
        return counts

    def example_bytes(self) -> int:
        """Estimates the size of an example, for the number of shards."""
        size = getattr(self.builder_config, "image_size", None)
        return 300_000 if size is None else 1000 + size**2 // 4

    def parts(self, manual_dir: epath.Path | None) -> items.Parts:
        """Reads the items and checks what holds for every data set.

        Args:
            manual_dir: The directory of raw files, for those that need them.

        Raises:
            errors.DataError: As `read`; or if an id stands twice, a patient
                is in two splits, or a split is empty.
        """
        parts = self.read(manual_dir)
        items.check_ids_unique(parts.splits)
        items.check_patient_disjoint(parts.splits)
        items.check_not_empty(parts.splits)
        return parts

    def _shard_iterators_per_split(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, list["_Shard"]]:
        needs_files = bool(self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        self._parts = self.parts(dl_manager.manual_dir if needs_files else None)
        processor, watch = self.processor(), _Watch()
        if self.progress:
            self.progress.start(sum(map(len, self._parts.splits.values())))
        return {
            name: [
                _Shard(
                    shard,
                    processor,
                    watch,
                    name,
                    notes_path=self._notes(name, number),
                    progress=self.progress,
                )
                for number, shard in enumerate(self._cut(part))
            ]
            for name, part in self._parts.splits.items()
        }

    def _cut(self, part: Sequence[items.Item]) -> list[Sequence[items.Item]]:
        """Cuts the items of a split, in their order, into shards."""
        ordered = sorted(part, key=items.place)
        num_shards = math.ceil(len(part) * self.example_bytes() / _SHARD_BYTES)
        size = math.ceil(len(part) / num_shards)
        return [ordered[i : i + size] for i in range(0, len(part), size)]

    def _notes(self, split: str, shard: int) -> epath.Path:
        return self.data_path / f"notes-{split}-{shard}.json"

    def _download_and_prepare(self, *args: Any, **kwargs: Any) -> None:
        super()._download_and_prepare(*args, **kwargs)
        for path in self.data_path.glob("*.shard_infos.json"):
            path.unlink()  # tfds forgets them behind Beam.
        self.info.metadata["split_report"] = self._report()
        if self.rejected:
            (self.data_path / REJECTED).write_text(_jsonl(self.rejected))
        data.write_index(self.info, self.data_path)

    def _log_download_bytes(self) -> None:
        """Says nothing: tfds would speak of a download of unknown size."""

    def _log_download_done(self) -> None:
        """Says nothing: the launcher reports."""

    def _report(self) -> dict[str, Any]:
        """Counts what was written, and checks it across splits once more."""
        watch, splits = _Watch(), {}
        for name, part in self._parts.splits.items():
            notes: Counter[str] = Counter()
            written: dict[str, str] = {}
            for path in sorted(self.data_path.glob(f"notes-{name}-*.json")):
                shard = json.loads(path.read_text())
                notes.update(shard["notes"])
                written |= shard["written"]
                path.unlink()
            kept = [item for item in part if item.image_id in written]
            for item in kept:
                watch.check(name, item, written[item.image_id])
            description = reports.describe(kept, self.label_counts(kept))
            splits[name] = description | {"notes": dict(notes)}
        report = {
            "rule": self._parts.rule,
            "salt": self._parts.salt,
            "splits": splits,
        }
        if self.rejected:
            report["num_rejected"] = sum(e.count for e in self.rejected)
        return report


class _Watch:
    """Finds images that come twice."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[str, items.Item]] = {}

    def check(self, split: str, item: items.Item, digest: str) -> bool:
        """Takes note of an image.

        Returns:
            Whether its split has held the same image before.

        Raises:
            errors.DuplicateError: If another split holds it.
        """
        first_split, first = self._first.setdefault(digest, (split, item))
        if first_split == split:
            return first is not item
        raise errors.DuplicateError(
            "The same image is in two splits; a model would be tested on "
            f"what it has seen. Received: {item.image_id!r} in {split!r} "
            f"(file {item.path!r}) and {first.image_id!r} in {first_split!r} "
            f"(file {first.path!r}). Remove one of them together with its "
            "row, or leave out the later one with --on_bad=skip --max_bad=N."
        )


class _Shard:
    """Generates the examples of a shard; Beam sends it to a worker."""

    def __init__(
        self,
        shard_items: Sequence[items.Item],
        processor: processing.Processor,
        watch: _Watch,
        split: str,
        *,
        notes_path: epath.Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._items = shard_items
        self._processor = processor
        self._watch = watch
        self._split = split
        self._notes_path = notes_path
        self._progress = progress
        self._num_workers = processing.num_workers_for(len(shard_items))

    def __getstate__(self) -> dict[str, Any]:
        # A worker of Beam is one of many processes already.
        return self.__dict__ | {"_num_workers": 0, "_progress": None}

    def __call__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        notes: Counter[str] = Counter()
        written: dict[str, str] = {}
        for item, outcome in processing.map_in_order(
            self._processor, self._items, self._num_workers
        ):
            if self._progress:
                self._progress.update(1, self._split)
            try:
                example, digest = self._checked(item, outcome, notes)
            except errors.DataError as error:
                errors.report(_naming(error, item))
                continue
            written[item.image_id] = digest
            yield item.image_id, example
            # tfds keeps what was yielded until the shard is written.
            example.clear()
        if self._notes_path is not None:
            content = {"notes": notes, "written": written}
            self._notes_path.write_text(json.dumps(content))

    def _checked(
        self,
        item: items.Item,
        outcome: processing.Outcome,
        notes: Counter[str],
    ) -> tuple[dict[str, Any], str]:
        if isinstance(outcome, errors.DataError):
            raise outcome
        image = outcome.example["image"]
        digest = hashlib.blake2b(image, digest_size=16).hexdigest()
        if self._watch.check(self._split, item, digest):
            notes["identical to another"] += 1
        notes.update(outcome.notes)
        return outcome.example, digest


def check_examples(
    parts: items.Parts,
    processor: processing.Processor,
    progress: Progress | None = None,
) -> None:
    """Processes every item and reports what is wrong; writes nothing.

    Args:
        parts: The items.
        processor: What makes an example of an item.
        progress: Told of what is done, if anyone is to be.
    """
    watch = _Watch()
    if progress:
        progress.start(sum(map(len, parts.splits.values())))
    for name, part in parts.splits.items():
        shard = _Shard(part, processor, watch, name, progress=progress)
        for _ in shard():
            pass


def _naming(error: errors.DataError, item: items.Item) -> errors.DataError:
    error.names = error.names or (item.path or item.image_id,)
    return error


def _jsonl(rejected: Sequence[errors.DataError]) -> str:
    """A line for each rejected example."""
    return "".join(
        json.dumps(
            {"name": name, "error": type(error).__name__, "message": str(error)}
        )
        + "\n"
        for error in rejected
        for name in error.names or ("",)
    )
