"""What all tests share: two CPU devices, quiet TensorFlow, the sample data."""

import os
import pathlib

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest  # noqa: E402
import tensorflow as tf  # noqa: E402

pytest_plugins = ["tests.fixtures"]


def pytest_configure(config):
    """Two logical devices, for replicas; before TensorFlow computes."""
    config.addinivalue_line("markers", "full: minutes; run with --full only")
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )


def pytest_addoption(parser):
    """Heavy checks run a few of their cases, and all of them with this."""
    parser.addoption(
        "--full", action="store_true", help="every case of the heavy checks"
    )


def pytest_collection_modifyitems(config, items):
    """Leaves out what is marked as full, without --full."""
    if config.getoption("--full"):
        return
    heavy = [item for item in items if item.get_closest_marker("full")]
    items[:] = [item for item in items if item not in heavy]
    config.hook.pytest_deselected(items=heavy)


@pytest.fixture(scope="session")
def sample_data() -> pathlib.Path:
    """The directory of real images, or a skip with the reason."""
    path = os.environ.get("TRANSFUSION_SAMPLE_DATA")
    if not path:
        pytest.skip("$TRANSFUSION_SAMPLE_DATA is not set: no real images here")
    return pathlib.Path(path)
