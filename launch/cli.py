"""What the launchers share: errors without a traceback, flags of a config."""

import dataclasses
import re
import shlex
import signal
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tensorflow as tf
from absl import app, flags, logging

import transfusion_datasets
from transfusion_tf import data, training

T = TypeVar("T")

# What a user can mend; anything else is a defect and shows its traceback.
_MENDABLE = (ValueError, OSError, RuntimeError, FloatingPointError, ImportError)


def run(main: Callable[[Sequence[str]], None]) -> None:
    """Runs a launcher; an error that a user can mend is one message.

    So is being told to stop, by Ctrl-C or SIGTERM, where the launcher does not
    see to it itself.
    """

    def guarded(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            sys.exit(
                "Flags begin with two dashes. Received: "
                f"{' '.join(argv[1:])!r}. See --help."
            )
        if not flags.FLAGS["verbosity"].present:
            # Libraries' news would tear the progress bar apart.
            logging.set_verbosity(logging.ERROR)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            main(argv)
        except KeyboardInterrupt:
            print(
                "\nStopped. No file was left half written under its name: "
                "repeat the same command to do or finish its work.",
                file=sys.stderr,
            )
            sys.exit(training.Interrupted.exit_code)
        except (*_MENDABLE, tf.errors.OpError) as error:
            message = _message_of(error)
            if message is None or logging.get_verbosity() >= logging.DEBUG:
                raise
            is_stop = hasattr(error, "exit_code")
            start = "" if is_stop else "Error: "
            print(f"\n{start}{message}", file=sys.stderr)
            if not is_stop:
                print("(--verbosity=1 shows where)", file=sys.stderr)
            sys.exit(error.exit_code if is_stop else 1)

    app.run(guarded)


def _message_of(error: Exception) -> str | None:
    """Returns what to tell a user; None of what only a traceback explains."""
    if not isinstance(error, tf.errors.OpError):
        return str(error)
    # A worker's address is no file's.
    if not re.search(r"(?<!grpc)://", error.message):
        return None
    return (
        "An object store cannot be read or written. Received: "
        f"{error.message.strip()}. Look at the address and at this machine's "
        "credentials for it (of gs://: gcloud auth application-default login); "
        "of other stores, mount the bucket and use its directory here."
    )


def define_flags(
    config_class: type,
    *,
    skip: Sequence[str] = (),
    only: Sequence[str] | None = None,
    flag_values: flags.FlagValues = flags.FLAGS,
) -> None:
    """Defines a flag for each field of a configuration.

    Args:
        config_class: A dataclass whose fields carry `help` and, where the
            values are closed, `choices` in their metadata.
        skip: Fields without a flag.
        only: The fields with a flag. Default: all.
        flag_values: Where the flags are defined.
    """
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        if field.name in skip or (only and field.name not in only):
            continue
        define = _flag_kind(hints[field.name], field.metadata)
        define(
            field.name,
            field.default,
            field.metadata["help"],
            flag_values=flag_values,
        )


def config_from_flags(
    config_class: type[T],
    *,
    flag_values: flags.FlagValues = flags.FLAGS,
    **values: Any,
) -> T:
    """Makes a configuration of the flags that `define_flags` defined.

    Args:
        config_class: The dataclass.
        flag_values: Where the flags are defined.
        **values: Fields that have no flag, or another value than it.
    """
    for field in dataclasses.fields(config_class):  # type: ignore[arg-type]
        if field.name not in values:
            value = flag_values[field.name].value
            if isinstance(value, list):
                value = tuple(int(item) for item in value)
            values[field.name] = value
    return config_class(**values)


def recorded_command(
    module: str,
    arguments: Sequence[str],
    *,
    locations: Sequence[str],
    left_out: Sequence[str],
) -> str:
    """Returns a command as records hold it, the same on every machine.

    Args:
        module: The launcher.
        arguments: What it was given; a value stands behind = or in a word of
            its own.
        locations: Flags whose value is put down as DIR.
        left_out: Flags that are left out.

    Example:
    >>> recorded_command(
    ...     "launch.study", ["--data_dir", "/data", "--workers=2", "--seeds=0"],
    ...     locations=["data_dir"], left_out=["workers"])
    'python -m launch.study --data_dir=DIR --seeds=0'
    """
    given = []
    words = iter(arguments)
    for word in words:
        name, equals, _ = word.lstrip("-").partition("=")
        if name in locations or name in left_out:
            if not equals:
                next(words, None)
            if name in locations:
                given.append(f"--{name}=DIR")
        else:
            given.append(word)
    return shlex.join(["python", "-m", module, *given])


def prepare_runtime(num_threads: int) -> tf.distribute.Strategy:
    """Gets the devices of the flags ready to look at finished runs.

    Args:
        num_threads: As the run recorded it.
    """
    devices = {name: flags.FLAGS[name].value for name in training.DEVICE_FIELDS}
    return training.prepare_runtime(num_threads, **devices)


def prepare_synthetic_data(config: training.TrainConfig) -> None:
    """Draws an embedded data set where it is missing; others are asked for.

    Args:
        config: Its task may read a data set that needs no raw files.
    """
    task = data.task(config.task)
    is_embedded = task.dataset.startswith("transfusion_synthetic")
    if not is_embedded or not config.data_dir:
        return
    name = f"{task.dataset}/{config.dataset_config or task.dataset_config}"
    if not transfusion_datasets.is_prepared(name, data_dir=config.data_dir):
        print(f"Preparing {name} in {config.data_dir} ...")
        transfusion_datasets.prepare(name, data_dir=config.data_dir)


def _flag_kind(hint: Any, metadata: Any) -> Callable[..., Any]:
    if isinstance(hint, types.UnionType):
        hint = next(t for t in typing.get_args(hint) if t is not type(None))
    if "choices" in metadata:
        choices = list(metadata["choices"])
        return lambda name, default, text, **kwargs: flags.DEFINE_enum(
            name, default, choices, text, **kwargs
        )
    if typing.get_origin(hint) is tuple:
        return lambda name, default, text, **kwargs: flags.DEFINE_list(
            name, [str(item) for item in default], text, **kwargs
        )
    kinds = {
        bool: flags.DEFINE_bool,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    return kinds[hint]
