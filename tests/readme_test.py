"""What the documents say can be typed and found."""

import json
import re
import shlex
import sys

import pytest

from tests.launch import running

DOCUMENTS = sorted(
    [
        *running.ROOT.glob("*.md"),
        *running.ROOT.glob("results/**/*.md"),
        *running.ROOT.glob("datasets/**/*.md"),
    ]
)
FLAGFILES = sorted(running.ROOT.glob("launch/experiments/*.flags"))
PARSE = """
import importlib, json, sys
from absl import flags
module = importlib.import_module(sys.argv[1])
for arguments in json.loads(sys.argv[2]):
    flags.FLAGS.unparse_flags()
    left = flags.FLAGS(["program", *arguments])
    if len(left) > 1:
        sys.exit(f"not flags: {left[1:]}")
"""


def commands() -> dict[str, list[list[str]]]:
    """The launcher commands of all documents and flagfiles, by module."""
    found: dict[str, list[list[str]]] = {}
    for path in DOCUMENTS:
        text = path.read_text().replace("\\\n", " ")
        for line in re.findall(r"python -m (launch\.\w+ [^`\n]*)", text):
            module, *arguments = shlex.split(line.split("#")[0])
            found.setdefault(module, []).append(arguments)
    for path in FLAGFILES:
        found.setdefault("launch.study", []).append([f"--flagfile={path}"])
    return found


def test_documents_hold_commands_of_study_and_prepare_data():
    assert {"launch.study", "launch.prepare_data"} <= set(commands())


@pytest.mark.parametrize("module", sorted(commands()))
def test_every_flag_of_every_command_exists(module):
    arguments = [
        # Required flags that the text leaves to the reader.
        [*given, *required_of(module, given)]
        for given in commands()[module]
    ]
    process = running.run_command(
        [sys.executable, "-c", PARSE, module, json.dumps(arguments)]
    )
    assert process.returncode == 0, process.stderr[-1000:]


def required_of(module: str, given: list[str]) -> list[str]:
    required = {"launch.study": "study_dir", "launch.evaluate": "run_dir"}
    name = required.get(module)
    if name is None or any(name in flag for flag in given):
        return []
    return [f"--{name}=DIR"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.parent.name)
def test_every_link_of_a_document_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_every_flagfile_begins_with_reference_result_and_cost(path):
    header = path.read_text().split("--", 1)[0]
    for word in ("# Reference:", "# Expected:", "# Cost:"):
        assert word in header


STUDIES = """
import sys
from absl import flags
from launch import study
for path in sys.argv[1:]:
    flags.FLAGS.unparse_flags()
    flags.FLAGS(["program", f"--flagfile={path}", "--study_dir=DIR"])
    print(study._study_from_flags().config.name)
"""


def test_every_flagfile_is_a_study_that_can_be():
    process = running.run_command(
        [sys.executable, "-c", STUDIES, *map(str, FLAGFILES)]
    )
    assert process.returncode == 0, process.stderr[-2000:]
    names = process.stdout.split()
    assert len(names) == len(FLAGFILES)
    assert {"eyepacs_lite0", "imagenet_cbr"} <= set(names)


def test_the_make_targets_of_the_readme_exist():
    readme = (running.ROOT / "README.md").read_text()
    makefile = (running.ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^make (\w+)", readme, re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_test_that_a_document_names_exists():
    named = {
        target
        for path in DOCUMENTS
        for target in re.findall(r"`(tests/[\w/]+\.py::\w+)`", path.read_text())
    }
    assert len(named) > 20
    for target in named:
        file, _, name = target.partition("::")
        assert f"\ndef {name}(" in (running.ROOT / file).read_text(), target
