"""The tab's routes.

Nothing of a request or a log directory is a path or a pattern: files are
looked up by name among those read at load, runs and tags among those that
TensorBoard has. Only GET and HEAD; nothing is kept between requests.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import abc
from typing import Any

from tensorboard import errors
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from transfusion_tf.tensorboard import PLUGIN_NAME, answers
from transfusion_tf.tensorboard.reader import ProviderReader, ReadError

MAX_RUNS = 200
MAX_NAME_LENGTH = 1_024
# The operating system's table maps .js to text/plain on some machines.
_MIME_TYPES = {".js": "text/javascript", ".css": "text/css"}
_METHODS = ("GET", "HEAD")

_App = Callable[[Any, Any], Any]


class _MethodNotAllowedError(errors.PublicError):
    """An answer 405."""

    http_code = 405

    def __init__(self, method: str):
        super().__init__(
            f"The method is not allowed. Received: {method!r:.40}. Use "
            f"{' or '.join(_METHODS)}."
        )
        self.headers.append(("Allow", ", ".join(_METHODS)))


class _UnavailableError(errors.PublicError):
    """An answer 503."""

    http_code = 503


class TransfusionPlugin(base_plugin.TBPlugin):
    """Serves the front end, and JSON of what TensorBoard has loaded."""

    plugin_name = PLUGIN_NAME

    def __init__(
        self, context: base_plugin.TBContext, sampling: Mapping[str, Any]
    ):
        """Reads the front end.

        Args:
            context: TensorBoard's, with a data provider.
            sampling: As in `answers.index`.

        Raises:
            FileNotFoundError: If the front end is not installed.
        """
        self._data_provider = context.data_provider
        self._sampling = sampling
        frontend = importlib.resources.files(__package__) / "frontend"
        self._files = dict(_read_files(frontend, ""))
        if "index.js" not in self._files:
            raise FileNotFoundError(
                "The front end of the Transfusion tab is not installed. "
                f"Received: no index.js in {frontend}. Install it again: "
                "pip install --force-reinstall --no-deps transfusion_tf"
            )

    def get_plugin_apps(self) -> dict[str, _App]:
        """Returns the routes."""
        return {
            "/static/*": _app(self._serve_file),
            "/api/v1/index": _app(self._serve_index),
            "/api/v1/tensors": _app(self._serve_tensors),
            "/api/v1/curves": _app(self._serve_curves),
        }

    def is_active(self) -> bool:
        """Returns False: TensorBoard itself knows where there is data."""
        return False

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Returns the name of the tab and its first module."""
        return base_plugin.FrontendMetadata(
            es_module_path="/static/index.js", tab_name="Transfusion"
        )

    def _serve_file(self, request: wrappers.Request) -> wrappers.Response:
        name = request.path.partition(f"/{PLUGIN_NAME}/static/")[2]
        if name not in self._files:
            raise errors.NotFoundError(
                f"no such file of the Transfusion tab. Received: {name!r:.80}."
            )
        content, mime_type = self._files[name]
        return http_util.Respond(request, content, mime_type)

    def _serve_index(self, request: wrappers.Request) -> wrappers.Response:
        _check_parameters(request, {})
        return self._answer(
            request, lambda reader: answers.index(reader, self._sampling)
        )

    def _serve_tensors(self, request: wrappers.Request) -> wrappers.Response:
        _check_parameters(
            request, {"tag": (1, 1), "run": (1, MAX_RUNS), "step": (0, 1)}
        )
        tag, runs = request.args["tag"], _runs(request)
        step = _parse_step(request.args.get("step", "all"))
        return self._answer(
            request, lambda reader: answers.tensors(reader, tag, runs, step)
        )

    def _serve_curves(self, request: wrappers.Request) -> wrappers.Response:
        _check_parameters(request, {"tag": (1, 1), "run": (1, MAX_RUNS)})
        tag, runs = request.args["tag"], _runs(request)
        return self._answer(
            request, lambda reader: answers.curves(reader, tag, runs)
        )

    def _answer(
        self,
        request: wrappers.Request,
        ask: Callable[[ProviderReader], Mapping[str, Any]],
    ) -> wrappers.Response:
        reader = ProviderReader(self._data_provider, request.environ)
        try:
            answer = ask(reader)
        except ReadError as error:
            raise _UnavailableError(
                f"TensorBoard's data loader does not answer. {error} Start "
                "TensorBoard again."
            ) from error
        # As a string: TensorBoard writes NaN of a mapping as words.
        text = json.dumps(answer, allow_nan=False, separators=(",", ":"))
        return http_util.Respond(request, text, "application/json")


def _read_files(
    directory: abc.Traversable, prefix: str
) -> Iterator[tuple[str, tuple[bytes, str]]]:
    """Yields name, content and MIME type of the front end's files."""
    if not directory.is_dir():
        return
    for entry in directory.iterdir():
        name = prefix + entry.name
        mime_type = _MIME_TYPES.get("." + entry.name.rpartition(".")[2])
        if mime_type is not None and entry.is_file():
            yield name, (entry.read_bytes(), mime_type)
        yield from _read_files(entry, name + "/")


def _app(
    serve: Callable[[wrappers.Request], wrappers.Response],
) -> _App:
    """Returns a WSGI application that allows GET and HEAD only."""

    @wrappers.Request.application
    def application(request: wrappers.Request) -> wrappers.Response:
        if request.method not in _METHODS:
            raise _MethodNotAllowedError(request.method)
        return serve(request)

    return application


def _check_parameters(
    request: wrappers.Request, allowed: Mapping[str, tuple[int, int]]
) -> None:
    """Raises an answer 400 unless the query is what it should be.

    Args:
        request: Any.
        allowed: How often a parameter may stand there, least and most.
    """
    try:
        names = list(request.args)
    except UnicodeDecodeError as error:
        raise errors.InvalidArgumentError(
            "the query is not UTF-8. Received: "
            f"{request.query_string!r:.80}. Encode it as in %C3%BC."
        ) from error
    for name in names:
        if name not in allowed:
            raise errors.InvalidArgumentError(
                f"unknown parameter. Received: {name!r:.80}. This route takes "
                f"{', '.join(allowed) or 'none'}."
            )
    for name, (least, most) in allowed.items():
        values = request.args.getlist(name)
        if not least <= len(values) <= most:
            raise errors.InvalidArgumentError(
                f"wrong number of a parameter. Received: {len(values)} of "
                f"{name}. Give {least} to {most}, as {name}=...&{name}=..."
            )
        for value in values:
            if not 1 <= len(value) <= MAX_NAME_LENGTH:
                raise errors.InvalidArgumentError(
                    f"a parameter is too short or too long. Received: {name} "
                    f"of {len(value)} characters. Give 1 to {MAX_NAME_LENGTH}."
                )


def _runs(request: wrappers.Request) -> list[str]:
    return list(dict.fromkeys(request.args.getlist("run")))


def _parse_step(text: str) -> int | str:
    if text in ("all", "first", "last"):
        return text
    if re.fullmatch("0|[1-9][0-9]{0,17}", text):
        return int(text)
    raise errors.InvalidArgumentError(
        f"not a step. Received: step={text!r:.80}. Give a whole number from 0, "
        "or all, first or last."
    )
