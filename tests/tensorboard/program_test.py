"""The tab in the program that people start, and in one without TensorFlow."""

import importlib.metadata
import json
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import numpy as np
import pytest
from packaging import requirements
from tensorboard.plugins import base_plugin

from tests.tensorboard import fabricate, serving
from transfusion_tf.tensorboard import loader

ROOT = pathlib.Path(__file__).parents[2]
CKA = "transfusion/similarity/before_after/cka"
NUM_STEPS = 250
_PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def logdir(tmp_path_factory):
    """One run of more steps than TensorBoard keeps by itself."""
    path = tmp_path_factory.mktemp("logdir")
    with fabricate.EventFile(path / "runs" / "long") as file:
        file.point(fabricate.run_info())
        for step in range(NUM_STEPS):
            values = np.full([2, 2], step / 1_000)
            file.point(fabricate.similarity(step, values, layers=["a", "b"]))
    return path


def launch(logdir, *flags):
    """Starts TensorBoard and returns how to ask it, and its flags."""
    url, tensorboard = serving.start_program(
        logdir, "--reload_interval=0", *flags
    )

    def ask(route, **query):
        encoded = urllib.parse.urlencode(query, doseq=True)
        with urllib.request.urlopen(
            f"{url}{serving.PREFIX}/api/v1/{route}?{encoded}"
        ) as response:
            return json.load(response)

    return ask, tensorboard.flags


def steps_when_loaded(ask):
    """Steps of the run, once its last one is there."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        runs = ask("tensors", tag=CKA, run="runs/long")["runs"]
        steps = runs["runs/long"]["steps"] if runs else []
        if steps and steps[-1] == NUM_STEPS - 1:
            return steps
        assert time.monotonic() < deadline, steps
        time.sleep(0.05)


@pytest.mark.parametrize("fast", ["true", "false"])
def test_every_step_is_there_with_default_flags(logdir, fast):
    ask, flags = launch(logdir, f"--load_fast={fast}")
    assert flags.samples_per_plugin["transfusion"] == 1_000
    assert steps_when_loaded(ask) == list(range(NUM_STEPS))
    assert ask("index")["sampling"] == {"limit": 1_000, "set_by": "plugin"}


@pytest.mark.parametrize("fast", ["true", "false"])
def test_a_users_own_number_of_samples_wins(logdir, fast):
    ask, flags = launch(
        logdir, f"--load_fast={fast}", "--samples_per_plugin=transfusion=20"
    )
    assert flags.samples_per_plugin["transfusion"] == 20
    assert len(steps_when_loaded(ask)) == 20
    assert ask("index")["sampling"] == {"limit": 20, "set_by": "user"}


@pytest.mark.parametrize("flags", [object(), type("F", (), {})()])
def test_flags_of_another_kind_are_left_alone(flags):
    loader.TransfusionLoader().fix_flags(flags)


def test_without_a_data_provider_there_is_no_tab():
    context = base_plugin.TBContext(data_provider=None)
    assert loader.TransfusionLoader().load(context) is None


def run_python(*lines, python=(sys.executable,)):
    """Runs a program in a process of its own and returns what it prints."""
    completed = subprocess.run(
        [*python, "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def test_what_tensorboard_imports_at_start_imports_nothing_heavy():
    listing = run_python(
        "import sys",
        "from tensorboard.plugins import base_plugin",
        "before = set(sys.modules)",
        "import transfusion_tf.tensorboard.loader",
        "print(*sorted(set(sys.modules) - before))",
    ).split()
    assert "transfusion_tf.tensorboard.loader" in listing
    packages = {name.split(".")[0] for name in listing}
    assert packages - sys.stdlib_module_names == {"transfusion_tf"}
    assert "transfusion_tf.tensorboard.plugin" not in listing


def test_a_broken_installation_does_not_stop_tensorboard(logdir):
    run_python(
        "import sys",
        "sys.modules['tensorflow'] = None  # It takes seconds to import.",
        "from tensorboard import default, program",
        "from transfusion_tf.tensorboard import loader",
        "sys.modules['transfusion_tf.tensorboard.plugin'] = None",
        "tensorboard = program.TensorBoard(plugins=[",
        "    *default.get_static_plugins(), loader.TransfusionLoader])",
        f"tensorboard.configure(argv=[None, '--logdir', {str(logdir)!r},",
        "    '--port', '0', '--host', '127.0.0.1', '--load_fast=false'])",
        "url = tensorboard.launch()",
        "import json, urllib.request",
        "listing = json.load(urllib.request.urlopen(",
        "    url + 'data/plugins_listing'))",
        "assert 'scalars' in listing and 'transfusion' not in listing",
    )


def closure(name):
    """A distribution and what it requires, as installed here."""
    found, wanted = {}, [name]
    while wanted:
        distribution = importlib.metadata.distribution(wanted.pop())
        if distribution.name in found:
            continue
        found[distribution.name] = distribution
        for text in distribution.requires or []:
            requirement = requirements.Requirement(text)
            if not requirement.marker or requirement.marker.evaluate(
                {"extra": ""}
            ):
                wanted.append(requirement.name)
    return found.values()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built without a network."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("transfusion_tf", "datasets"):
        shutil.copytree(
            ROOT / name,
            source / name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    built = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--wheel-dir", "dist", "."),
        ],
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (source / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def viewer(wheel, tmp_path_factory):
    """Python of an environment of TensorBoard, what it requires, and us."""
    directory = tmp_path_factory.mktemp("viewer")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", directory], check=True
    )
    (packages,) = directory.glob("lib/python*/site-packages")
    for distribution in closure("tensorboard"):
        for name in {path.parts[0] for path in distribution.files}:
            here = pathlib.Path(distribution.locate_file(name))
            there = packages / name
            if name not in ("..", "__pycache__") and not there.exists():
                there.symlink_to(here)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--no-deps", "--quiet"),
            *("--no-index", "--target", packages, wheel),
        ],
        check=True,
    )
    # Isolated from $PYTHONPATH and from the checkout around it.
    return directory / "bin" / "python", "-I"


def test_the_tab_runs_where_only_tensorboard_is(viewer, logdir):
    run_python(
        "import importlib.util, json, time, urllib.request",
        "for name in ('tensorflow', 'keras', 'scipy', 'sklearn'):",
        "    assert importlib.util.find_spec(name) is None, name",
        "import transfusion_tf",
        f"assert {str(viewer[0].parents[1])!r} in transfusion_tf.__file__",
        "from tensorboard import default, program",
        "tensorboard = program.TensorBoard(plugins=default.get_plugins())",
        f"tensorboard.configure(argv=[None, '--logdir', {str(logdir)!r},",
        "    '--port', '0', '--host', '127.0.0.1', '--load_fast=false'])",
        "url = tensorboard.launch()",
        "def ask(route):",
        "    return urllib.request.urlopen(url + 'data/' + route).read()",
        "assert 'transfusion' in json.loads(ask('plugins_listing'))",
        "ours = 'plugin/transfusion/'",
        "assert b'export' in ask(ours + 'static/index.js')",
        f"deadline = time.monotonic() + {_PATIENCE_SECONDS}",
        "while not json.loads(ask(ours + 'api/v1/index'))['groups']:",
        "    assert time.monotonic() < deadline",
        "    time.sleep(0.05)",
        f"answer = ask(ours + 'api/v1/tensors?run=runs/long&tag={CKA}')",
        "assert json.loads(answer)['runs']['runs/long']['steps'][0] == 0",
        python=viewer,
    )


def test_the_wheel_holds_the_whole_front_end(viewer):
    (installed,) = (
        viewer[0]
        .parents[1]
        .glob("lib/python*/site-packages/transfusion_tf/tensorboard/frontend")
    )
    here = ROOT / "transfusion_tf" / "tensorboard" / "frontend"

    def listed(directory):
        files = (path for path in directory.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(directory)) for path in files)

    assert listed(installed) == listed(here)
