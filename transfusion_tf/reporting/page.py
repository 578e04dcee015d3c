"""The TensorBoard tab of one study as a stand-alone HTML page.

The same front end over the same answers, without a server: modules, style and
data lie in the page. It opens from a file, sends no request, and its content
security policy lets no script in but these.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import importlib.resources
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from importlib.resources import abc
from typing import Any

from etils import epath

from transfusion_tf import records
from transfusion_tf.reporting import events
from transfusion_tf.tensorboard import answers
from transfusion_tf.tensorboard import points as points_lib
from transfusion_tf.tensorboard.reader import PointReader

# Of what lies in the page, as JSON: more would make a browser wait.
MAX_BYTES = 64_000_000
_ENTRY = "transfusion/index.js"
# Nothing was sampled: the page holds every step.
_SAMPLING = {"limit": 0, "set_by": "report"}
_IMPORT = re.compile(r'(\bfrom\s*|\bimport\s*)"(\.{1,2}/[^"]+)"')

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
<script type="importmap">{import_map}</script>
<script type="application/json" id="transfusion-data">{data}</script>
</head>
<body>
<noscript>This report is drawn by JavaScript, which is switched off.</noscript>
<script type="module">{start}</script>
</body>
</html>
"""
_START = f'import {{ render }} from "{_ENTRY}"; render();'


def write_page(
    study_dir: epath.PathLike,
    document: Mapping[str, Any],
    path: epath.PathLike,
) -> None:
    """Writes a study as a page that needs no server.

    The same records and front end give the same bytes.

    Args:
        study_dir: A study's directory, or its published records.
        document: What `study_document` returned of it.
        path: Where to; a file of that name is replaced.

    Raises:
        ValueError: If the data are over 64 MB, or a record cannot be read.
        OSError: If it cannot be written.
    """
    data = json.dumps(
        page_data(study_dir, document), allow_nan=False, separators=(",", ":")
    )
    if len(data) > MAX_BYTES:
        raise ValueError(
            "This study is too large for a page. Received: "
            f"{len(data) / 1e6:.0f} MB of data; a page holds "
            f"{MAX_BYTES / 1e6:.0f} MB. Use --tensorboard_dir, and look at it "
            "with tensorboard --logdir."
        )
    page = _PAGE.format(
        title=html.escape(f"Transfusion: {document['name']}"),
        style=_frontend()["style.css"],
        import_map=(imports := _import_map(_frontend())),
        # No text of it ends the element.
        data=data.replace("<", "\\u003c"),
        start=_START,
        policy=_policy(imports, _START),
    )
    records.write_text(path, page)


def page_data(
    study_dir: epath.PathLike, document: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns all that the front end can ask for.

    Args:
        study_dir: A study's directory, or its published records.
        document: What `study_document` returned of it.

    Returns:
        `index` as the server answers it; by tag and run all steps of
        `tensors`; by tag `curves`.
    """
    study = events.study_name(study_dir)
    views = {
        f"{study}/runs/{name}": view
        for name, view in events.view_runs(study_dir).items()
    }
    points = {run: view.points for run, view in views.items()}
    scalars: dict[str, dict[str, dict[int, float]]] = {}
    for run, view in views.items():
        tags = scalars.setdefault(run, {})
        for step, values in view.scalars:
            for tag, value in values.items():
                tags.setdefault(tag, {})[step] = value
    points[f"{study}/report"] = (points_lib.study(document),)
    reader = PointReader(points, scalars)
    index = answers.index(reader, _SAMPLING)
    return {
        "index": index,
        "tensors": {
            tag: answers.tensors(reader, tag, runs, "all")["runs"]
            for tag, runs in _runs_by_tag(index, "tags").items()
        },
        "curves": {
            tag: answers.curves(reader, tag, runs)
            for tag, runs in _runs_by_tag(index, "scalars").items()
        },
    }


def _runs_by_tag(index: Mapping[str, Any], kind: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run, described in index["runs"].items():
        for tag in described[kind]:
            found.setdefault(tag, []).append(run)
    return dict(sorted(found.items()))


def _frontend() -> dict[str, str]:
    """Returns the front end's files by their path in it."""
    root = importlib.resources.files("transfusion_tf.tensorboard") / "frontend"
    return dict(_read_files(root, ""))


def _read_files(
    directory: abc.Traversable, prefix: str
) -> Iterator[tuple[str, str]]:
    for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
        name = prefix + entry.name
        if entry.is_dir():
            yield from _read_files(entry, f"{name}/")
        elif name.endswith((".js", ".css")):
            yield name, entry.read_text("utf-8")


def _import_map(files: Mapping[str, str]) -> str:
    """Returns the import map of the modules, each a URL that holds it.

    Such a module has no place that a relative import could start from, so
    those become names of the map.
    """
    modules = {
        name: text for name, text in files.items() if name.endswith(".js")
    }
    imports = {}
    for name, text in modules.items():
        named = functools.partial(_named_import, importer=name, modules=modules)
        encoded = base64.b64encode(_IMPORT.sub(named, text).encode()).decode()
        url = f"data:text/javascript;base64,{encoded}"
        imports[f"transfusion/{name}"] = url
    return json.dumps({"imports": imports})


def _named_import(
    match: re.Match[str], importer: str, modules: Mapping[str, str]
) -> str:
    directory = posixpath.dirname(importer)
    name = posixpath.normpath(posixpath.join(directory, match[2]))
    if name not in modules:
        raise ValueError(
            "A module of the front end imports what is not there. Received: "
            f"{match[2]!r} in {importer}. Install transfusion_tf again."
        )
    return f'{match[1]}"transfusion/{name}"'


def _policy(*scripts: str) -> str:
    """Returns a policy that runs these scripts and the page's own modules."""
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in scripts
    ]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src data: {allowed}; "
        "style-src 'unsafe-inline'; img-src data: blob:; form-action 'none'; "
        "base-uri 'none'"
    )
