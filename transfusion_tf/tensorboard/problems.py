"""What is wrong with what an event file holds, said and counted."""

from __future__ import annotations

from typing import Any

from transfusion_tf.tensorboard import schema

MAX_PROBLEMS = 200


class Problems:
    """What could not be shown, and why."""

    def __init__(self) -> None:
        """Starts with none."""
        self._problems: list[dict[str, str]] = []
        self._num_more = 0

    def add(self, run: str, tag: str, message: object) -> None:
        """Adds one; beyond `MAX_PROBLEMS` they are counted."""
        if len(self._problems) == MAX_PROBLEMS:
            self._num_more += 1
            return
        self._problems.append({"run": run, "tag": tag, "message": str(message)})

    def listed(self) -> list[dict[str, str]]:
        """Returns them as JSON."""
        if not self._num_more:
            return self._problems
        message = f"There are {self._num_more} more problems."
        return [*self._problems, {"run": "", "tag": "", "message": message}]


class Contents:
    """Checked contents, each decoded once: many runs share one."""

    def __init__(self, problems: Problems):
        """Starts with none.

        Args:
            problems: Where to add what is wrong.
        """
        self._problems = problems
        self._decoded: dict[bytes, dict[str, Any] | schema.SchemaError] = {}
        self._numbers: dict[bytes, int] = {}

    def get(self, run: str, tag: str, content: bytes) -> dict[str, Any] | None:
        """Returns the content; None if it is a problem, which is added."""
        if content not in self._decoded:
            try:
                self._decoded[content] = schema.decode(content)
            except schema.SchemaError as error:
                self._decoded[content] = error
        decoded = self._decoded[content]
        if isinstance(decoded, schema.SchemaError):
            self._problems.add(run, tag, decoded)
            return None
        return decoded

    def number(self, content: bytes) -> int:
        """Returns a content's place in the list of distinct ones."""
        return self._numbers.setdefault(content, len(self._numbers))

    def listed(self) -> list[Any]:
        """Returns those that were numbered, in order."""
        return [self._decoded[content] for content in self._numbers]
