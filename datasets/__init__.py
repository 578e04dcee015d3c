"""tfds builders, installed and imported as `transfusion_datasets`.

Importing this package imports neither TensorFlow nor a builder; `prepare`
and its relatives do when they are called.
"""

import importlib
from typing import Any

_PUBLIC = {
    "check": "preparation",
    "data_set_names": "preparation",
    "format_split_report": "reports",
    "is_prepared": "preparation",
    "needs_manual_dir": "preparation",
    "prepare": "preparation",
    "prepared_builder": "preparation",
    "split_report": "preparation",
    "train_command": "preparation",
}
__all__ = list(_PUBLIC)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Loads the public functions when they are first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"transfusion_datasets.{_PUBLIC[name]}")
    return getattr(module, name)
