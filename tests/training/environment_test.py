import subprocess
import sys

import tensorflow as tf

from transfusion_tf.training import environment


def test_the_versions_are_those_that_run():
    described = environment.describe_environment()
    assert described["tensorflow"] == tf.__version__
    assert described["python"] == sys.version.split()[0]
    assert described["num_cpus"] >= 1


def test_without_git_the_commit_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment.describe_environment()["commit"] == "unknown"


def test_outside_a_checkout_the_commit_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "file.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment.describe_environment()["commit"] == "unknown"


def test_another_keras_backend_is_refused():
    code = (
        "import keras; keras.backend.backend = lambda: 'jax'\n"
        "from transfusion_tf import training\n"
        "training.prepare_runtime(0)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert "KERAS_BACKEND='jax'" in process.stderr
