"""tfds builders, installed and imported as `transfusion_datasets`.

Importing this package imports neither TensorFlow nor a builder; `prepare`
and its relatives do when they are called.
"""

from typing import Any

_PUBLIC = (
    "data_set_names",
    "format_split_report",
    "is_prepared",
    "prepare",
    "prepared_builder",
    "split_report",
)
__all__ = list(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Loads the public functions when they are first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from transfusion_datasets import preparation

    return getattr(preparation, name)
