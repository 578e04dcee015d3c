"""A progress bar with an estimate of the time left."""

import types
from typing import Self

import tqdm


class ProgressBar:
    """Shows steps done of all steps, and which run they are of.

    On a terminal only: in the log of a job it would be one line of many pages.
    """

    def __init__(self, unit: str = "step") -> None:
        """Shows nothing until `start`.

        Args:
            unit: What is counted.
        """
        self._unit = unit
        self._bar: tqdm.tqdm | None = None

    def start(self, total: int, done: int = 0) -> None:
        """Shows the bar.

        Args:
            total: Steps in all.
            done: Steps done before this command.
        """
        self._bar = tqdm.tqdm(
            total=total,
            initial=done,
            unit=self._unit,
            dynamic_ncols=True,
            disable=None,  # Where standard error is no terminal.
        )

    def update(self, num_steps: int, description: str) -> None:
        """Moves the bar on."""
        if self._bar is not None:
            self._bar.set_description(description, refresh=False)
            self._bar.update(num_steps)

    def __enter__(self) -> Self:
        """Enters the context in which the bar is closed at the end."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()
