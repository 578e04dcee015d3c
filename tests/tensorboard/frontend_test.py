"""The front end's modules: those without a page in node, and what all share."""

import pathlib
import re
import shutil
import subprocess

import pytest

import transfusion_tf

FRONTEND = pathlib.Path(transfusion_tf.__file__).parent / "tensorboard/frontend"
MODULES = sorted(FRONTEND.rglob("*.js"))
TESTS = sorted((pathlib.Path(__file__).parent / "frontend").glob("*.test.mjs"))
NAMES = [str(path.relative_to(FRONTEND)) for path in MODULES]


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_pure_modules_in_node():
    completed = subprocess.run(
        ["node", "--test", *map(str, TESTS)], capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    ran = re.search(r"^# pass (\d+)$|^ℹ pass (\d+)$", completed.stdout, re.M)
    assert int(ran.group(1) or ran.group(2)) >= len(TESTS)


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_modules_are_of_a_readable_length(path):
    assert len(path.read_text().splitlines()) <= 450


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_makes_no_markup_and_evaluates_nothing(path):
    # The content security policy forbids the second, hostile names the first.
    found = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|"
        r"new Function|\bimport\(|https?://(?!www\.w3\.org/)",
        path.read_text(),
    )
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_a_module_imports_files_that_are_there(path):
    for name in re.findall(r"""from\s+["'](.+?)["']""", path.read_text()):
        assert name.startswith("."), name
        assert (path.parent / name).resolve() in MODULES, name
