import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

import transfusion_tf

IMPORT_AND_LIST = "import sys, {module}; print(*sorted(sys.modules), sep='\\n')"


@pytest.mark.parametrize("module", ["transfusion_tf", "transfusion_datasets"])
def test_importing_the_package_does_not_import_tensorflow(module):
    # TensorBoard imports the package at every start.
    listing = subprocess.run(
        [sys.executable, "-c", IMPORT_AND_LIST.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert module in listing
    assert not {"tensorflow", "keras", "numpy"} & set(listing)


# DESIGN: a package imports those named here and no other.
USES = {
    "models": set(),
    "raw": set(),
    "records": set(),
    "evaluation": set(),
    "tensorboard": set(),
    "similarity": set(),
    "initialization": {"models", "records"},
    "data": {"raw", "records"},
    "training": {
        "models",
        "initialization",
        "data",
        "evaluation",
        "records",
        "similarity",
        "tensorboard",
    },
    "analysis": {
        "models",
        "initialization",
        "data",
        "training",
        "similarity",
        "evaluation",
        "records",
    },
    "reporting": {"evaluation", "records", "tensorboard"},
    "studies": {
        "training",
        "analysis",
        "reporting",
        "evaluation",
        "records",
        "tensorboard",
    },
}
LIBRARY = pathlib.Path(transfusion_tf.__file__).parent


def imported_packages(path: pathlib.Path) -> set[str]:
    """Packages of ours and, by their first name, of others."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {
        name.split(".")[1] if name.startswith("transfusion_tf.") else name
        for name in names
    }


def test_the_packages_are_those_of_the_table():
    packages = {p.parent.name for p in LIBRARY.glob("*/__init__.py")}
    assert packages == set(USES)


@pytest.mark.parametrize("package", sorted(USES))
def test_a_package_imports_only_those_it_may_use(package):
    for path in (LIBRARY / package).rglob("*.py"):
        ours = imported_packages(path) & set(USES)
        assert ours <= USES[package] | {package}, path


def test_no_circle():
    graphlib.TopologicalSorter(USES).prepare()


def test_the_library_has_no_flags_and_no_data_sets():
    for path in LIBRARY.rglob("*.py"):
        names = imported_packages(path)
        for banned in ("absl", "transfusion_datasets", "launch", "datasets"):
            assert not any(name.split(".")[0] == banned for name in names), (
                path,
                banned,
            )


def test_the_tensorboard_tab_needs_tensorboard_and_numpy_only():
    # Only the training side imports the writer, which needs TensorFlow.
    allowed = {"tensorboard", "numpy", "werkzeug", "transfusion_tf"}
    for path in (LIBRARY / "tensorboard").glob("*.py"):
        if path.name == "writer.py":
            continue
        names = {name.split(".")[0] for name in imported_packages(path)}
        assert names - sys.stdlib_module_names <= allowed, path
        assert "tensorboard.writer" not in path.read_text(), path
        assert "import writer" not in path.read_text(), path


def test_files_and_functions_are_of_a_readable_length():
    roots = [LIBRARY, LIBRARY.parent / "launch", LIBRARY.parent / "datasets"]
    for path in (p for root in roots for p in root.rglob("*.py")):
        text = path.read_text()
        assert len(text.splitlines()) <= 450, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = node.end_lineno - node.lineno + 1
                assert length <= 100, (path, node.name)
