"""Configurations of the builders for people's own data."""

import re

import tensorflow_datasets as tfds

_CONFIG = re.compile(r"(?:(?P<name>\w+)_)?(?:original|n(?P<size>[1-9]\d{0,3}))")
MORE_CONFIGS = (
    ", nN for images of N x N pixels, and NAME_original and NAME_nN, with any "
    "NAME, for several data sets in one --data_dir"
)


class PlainConfig(tfds.core.BuilderConfig):
    """What is done to the images, and whose they are."""

    def __init__(self, name: str, size: int | None) -> None:
        """Makes a configuration; `size` in pixels, `None` keeps files."""
        pixels = "as the files are" if size is None else f"{size} x {size}"
        super().__init__(name=name, description=f"Images {pixels} pixels.")
        self.size = size
        if size is not None:
            self.image_size = size


def make_config(name: str) -> PlainConfig | None:
    """Makes the configuration of this name, or gives `None`.

    Example:
    >>> make_config("my_hospital_n224").size
    224
    """
    match = _CONFIG.fullmatch(name)
    if match is None:
        return None
    return PlainConfig(name, int(match["size"]) if match["size"] else None)
