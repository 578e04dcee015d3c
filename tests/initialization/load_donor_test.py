"""Donors from files, runs and the cache of Keras."""

import hashlib
import inspect
import json
import shutil

import h5py
import keras
import keras.src.applications.inception_v3 as keras_inception
import keras.src.applications.resnet as keras_resnet
import numpy as np
import pytest

from transfusion_tf import initialization, models
from transfusion_tf.initialization import h5_file, imagenet_files

IMAGENET = {
    "resnet50": (keras.applications.ResNet50, 32),
    "inception_v3": (keras.applications.InceptionV3, 75),
}


def _randomize(model):
    """Gives every weight a value of its own, moving statistics included."""
    generator = np.random.default_rng(1)
    for variable in model.weights:
        value = variable.numpy() + generator.uniform(0.01, 0.1, variable.shape)
        variable.assign(value)


def _save_legacy(model, path, *, root="", layers=slice(None)):
    """Writes the weights as Keras 2 wrote them."""
    with h5py.File(path, "w") as file:
        group = file.require_group(root) if root else file
        chosen = model.layers[layers]
        group.attrs["layer_names"] = [layer.name.encode() for layer in chosen]
        for layer in chosen:
            names = [f"{layer.name}/{v.name}:0" for v in layer.weights]
            inner = group.create_group(layer.name)
            inner.attrs["weight_names"] = [name.encode() for name in names]
            for name, variable in zip(names, layer.weights, strict=True):
                inner[name] = variable.numpy()


@pytest.fixture(scope="module")
def saved(built, tmp_path_factory):
    """A CBR-Tiny, its values and its weights file."""
    staged = built("cbr_tiny", num_outputs=3)
    _randomize(staged.model)
    path = tmp_path_factory.mktemp("donor") / "tiny.weights.h5"
    staged.model.save_weights(path)
    values = {key: v.numpy() for key, v in staged.variables().items()}
    return staged.model, values, path


def _assert_equal(first, second):
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def test_a_weights_file_gives_all_values_and_its_hash(saved):
    _, values, path = saved
    donor = initialization.load_donor(str(path), "cbr_tiny")
    _assert_equal(donor.values, values)
    assert donor.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert donor.name == "file tiny.weights.h5"
    assert donor.to_json()["model"] == "cbr_tiny"


def test_a_donors_values_cannot_be_changed(saved):
    donor = initialization.load_donor(str(saved[2]), "cbr_tiny")
    with pytest.raises(ValueError, match="read-only"):
        donor.values["conv1_conv/kernel"][0] = 0


def test_a_file_is_read_once_and_again_when_it_changed(saved, tmp_path):
    model, values, original = saved
    path = tmp_path / "x.weights.h5"
    shutil.copy(original, path)
    first = initialization.load_donor(str(path), "cbr_tiny")
    assert initialization.load_donor(str(path), "cbr_tiny") is first
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/0"][...] = 0
        file["extra"] = np.zeros(1000)
    changed = initialization.load_donor(str(path), "cbr_tiny")
    assert not changed.values["conv1_conv/kernel"].any()


@pytest.mark.parametrize("root", ["", "model_weights"])
@pytest.mark.parametrize("top", [True, False])
def test_legacy_files_are_read_with_and_without_head(
    saved, tmp_path, root, top
):
    model, values, _ = saved
    path = tmp_path / "x.h5"
    layers = slice(None) if top else slice(0, -2)
    _save_legacy(model, path, root=root, layers=layers)
    donor = initialization.load_donor(str(path), "cbr_tiny")
    expected = {k: v for k, v in values.items() if top or "head" not in k}
    _assert_equal(donor.values, expected)


def test_a_whole_legacy_model_of_keras_is_read(saved, tmp_path):
    model, values, _ = saved
    model.save(tmp_path / "x.h5")
    donor = initialization.load_donor(str(tmp_path / "x.h5"), "cbr_tiny")
    _assert_equal(donor.values, values)


@pytest.mark.parametrize("name", IMAGENET)
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_files_of_keras_applications_give_the_same_network(
    built, tmp_path, name, suffix
):
    # The oracle is keras.applications itself, under its own layer names.
    _, size = IMAGENET[name]
    original = _original(name)
    path = tmp_path / f"x{suffix}"
    if suffix == ".h5":
        _save_legacy(original, path)
    else:
        original.save_weights(path)
    staged = built(name, size=size)
    donor = initialization.load_donor(str(path), name)
    initialization.initialize(staged, "transfer", seed=0, donor=donor)
    generator = np.random.default_rng(0)
    images = generator.normal(size=(1, size, size, 3)).astype("float32")
    features = staged.feature_model()(images)
    np.testing.assert_allclose(
        list(features.values())[-1], original(images), rtol=1e-5, atol=1e-6
    )


_ORIGINALS = {}


def _original(name):
    if name not in _ORIGINALS:
        make, size = IMAGENET[name]
        model = make(
            include_top=False, weights=None, input_shape=(size, size, 3)
        )
        _randomize(model)
        _ORIGINALS[name] = model
    return _ORIGINALS[name]


@pytest.fixture
def run(saved, tmp_path):
    """A finished run directory."""
    path = tmp_path / "cbr_tiny-random-seed0"
    (path / "checkpoints").mkdir(parents=True)
    config = {"model": "cbr_tiny", "task": "eyepacs_referable"}
    (path / "config.json").write_text(
        json.dumps({"schema_version": 1, "config": config, "num_outputs": 3})
    )
    (path / "result.json").write_text(
        json.dumps({"schema_version": 1, "num_steps": 40})
    )
    shutil.copy(saved[2], path / "checkpoints" / "weights_40.weights.h5")
    return path


def test_a_finished_run_gives_its_last_weights(saved, run):
    donor = initialization.load_donor(str(run), "cbr_tiny")
    _assert_equal(donor.values, saved[1])
    assert (
        donor.name == "run cbr_tiny-random-seed0 (eyepacs_referable, step 40)"
    )


def test_a_run_of_another_model_is_named(run):
    with pytest.raises(ValueError, match=r"another model than cbr_small.*tiny"):
        initialization.load_donor(str(run), "cbr_small")


def test_an_unfinished_run_is_no_donor(run):
    (run / "result.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no result\.json.*finish"):
        initialization.load_donor(str(run), "cbr_tiny")


def test_a_run_whose_weights_were_dropped_is_no_donor(run):
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(FileNotFoundError, match=r"not kept.*weights_40"):
        initialization.load_donor(str(run), "cbr_tiny")


def test_another_directory_is_no_donor(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no config\.json.*run direc"):
        initialization.load_donor(str(tmp_path), "cbr_tiny")


def test_a_config_of_something_else_is_no_donor(run):
    (run / "config.json").write_text('{"schema_version": 1}')
    with pytest.raises(ValueError, match=r"names no model"):
        initialization.load_donor(str(run), "cbr_tiny")


@pytest.mark.parametrize("donor", ["nowhere.weights.h5", "nowhere", "x.ckpt"])
def test_a_donor_that_is_not_there_is_named(donor):
    with pytest.raises(FileNotFoundError, match=f"Received: .*{donor}.*imagen"):
        initialization.load_donor(donor, "cbr_tiny")


def test_an_unknown_model_lists_the_models():
    with pytest.raises(ValueError, match=r"'vgg16'.*resnet50"):
        initialization.load_donor("imagenet", "vgg16")


@pytest.mark.parametrize("name", ["cbr_large_t", "cbr_tiny"])
def test_the_cbr_family_has_no_imagenet_weights(name):
    with pytest.raises(ValueError, match=rf"weights of {name}.*--donor=PATH"):
        initialization.load_donor("imagenet", name)


def test_weights_of_another_architecture_name_layer_and_shapes(saved):
    message = (
        r"'conv1_conv' with \[\(7, 7, 3, 32\)\].*"
        r"'conv1_conv' with \[\(5, 5, 3, 32\)\].*tiny\.weights\.h5"
    )
    with pytest.raises(ValueError, match=message):
        initialization.load_donor(str(saved[2]), "cbr_small")


def test_a_shallower_donor_is_refused(saved, tmp_path):
    path = tmp_path / "x.h5"
    _save_legacy(saved[0], path, layers=slice(0, -5))
    with pytest.raises(ValueError, match=r"'conv4_bn'.*has no more layers"):
        initialization.load_donor(str(path), "cbr_tiny")


def test_a_deeper_donor_is_refused(built, tmp_path):
    deeper = built("cbr_large_t", num_outputs=2)
    path = tmp_path / "x.weights.h5"
    deeper.model.save_weights(path)
    with pytest.raises(ValueError, match=r"has 'head' .*donor has 'conv5_bn'"):
        initialization.load_donor(str(path), "cbr_small")


@pytest.mark.parametrize("damage", ["cut", "zeros", "text", "empty"])
def test_a_damaged_file_is_named(saved, tmp_path, damage):
    content = saved[2].read_bytes()
    path = tmp_path / "damaged.weights.h5"
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "zeros": bytes(len(content)),
            "text": b"Not Found",
            "empty": b"",
        }[damage]
    )
    with pytest.raises(ValueError, match=r"damaged.*damaged\.weights\.h5"):
        initialization.load_donor(str(path), "cbr_tiny")


def test_an_h5_file_of_something_else_is_named(tmp_path):
    path = tmp_path / "features.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"no weights file.*\['features'\]"):
        initialization.load_donor(str(path), "cbr_tiny")


def test_a_donor_with_nan_is_refused(saved, tmp_path):
    path = tmp_path / "nan.weights.h5"
    shutil.copy(saved[2], path)
    with h5py.File(path, "r+") as file:
        file["layers/conv2d_1/vars/0"][0, 0, 0, :2] = np.nan
    with pytest.raises(ValueError, match=r"2 NaN.*'conv2_conv/kernel'"):
        initialization.load_donor(str(path), "cbr_tiny")


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty cache of Keras, and no way to download."""

    def fail(*arguments, **named):
        raise Exception("URL fetch failure")  # noqa: TRY002

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.utils, "get_file", fail)
    imagenet_files.load.cache_clear()
    yield tmp_path
    imagenet_files.load.cache_clear()


@pytest.mark.parametrize("name", IMAGENET)
def test_weights_that_cannot_be_had_are_named_with_their_hash(cache, name):
    file = imagenet_files.FILES[name]
    message = rf"URL fetch.*{file.name} \(md5 {file.md5}\).*--donor=PATH"
    with pytest.raises(ConnectionError, match=message):
        initialization.load_donor("imagenet", name)


def test_published_files_are_those_of_keras():
    resnet50 = imagenet_files.FILES["resnet50"]
    inception = imagenet_files.FILES["inception_v3"]
    assert resnet50.md5 == keras_resnet.WEIGHTS_HASHES["resnet50"][1]
    assert keras_resnet.BASE_WEIGHTS_PATH.endswith(f"/{resnet50.folder}/")
    assert keras_inception.WEIGHTS_PATH_NO_TOP.endswith(
        f"/{inception.folder}/{inception.name}"
    )
    assert inception.md5 in inspect.getsource(keras_inception)


def test_the_cache_of_keras_is_read_without_writing_to_it(cache, monkeypatch):
    folder = cache / "models"
    folder.mkdir()
    published = imagenet_files.FILES["resnet50"]
    _save_legacy(_original("resnet50"), folder / published.name)
    digest = hashlib.md5((folder / published.name).read_bytes()).hexdigest()
    file = imagenet_files.ImageNetFile(
        "ResNet50", "resnet", published.name, digest
    )
    monkeypatch.setitem(imagenet_files.FILES, "resnet50", file)
    donor = initialization.load_donor("imagenet", "resnet50")
    assert donor.name == "ImageNet (keras.applications ResNet50)"
    np.testing.assert_array_equal(
        donor.values["conv1_conv/kernel"],
        _original("resnet50").get_layer("conv1_conv").kernel.numpy(),
    )
    assert len(donor.values) == len(_original("resnet50").weights)


def test_a_cached_file_with_another_hash_is_not_used(cache):
    folder = cache / "models"
    folder.mkdir()
    (folder / imagenet_files.FILES["resnet50"].name).write_bytes(b"half")
    with pytest.raises(ConnectionError, match=r"cannot be had"):
        initialization.load_donor("imagenet", "resnet50")


def test_layouts_of_all_models_have_kinds_that_files_know():
    for name in models.MODEL_NAMES:
        kinds = {layer.kind for layer in models.layout(name).layers}
        assert kinds <= set(h5_file._KINDS)
