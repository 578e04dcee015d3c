"""How models, schemes and donors are called in print."""

from __future__ import annotations

MODEL_TITLES: dict[str, str] = {
    "resnet50": "ResNet50",
    "inception_v3": "Inception-v3",
    "cbr_large_t": "CBR-LargeT",
    "cbr_large_w": "CBR-LargeW",
    "cbr_small": "CBR-Small",
    "cbr_tiny": "CBR-Tiny",
    "cbr_tiny_as_printed": "CBR-Tiny (as printed)",
    "efficientnet_lite0": "EfficientNet-Lite0",
    "efficientnet_lite1": "EfficientNet-Lite1",
    "efficientnet_lite2": "EfficientNet-Lite2",
}

METRIC_TITLES: dict[str, str] = {
    "auc": "AUC",
    "accuracy": "accuracy",
    "average_precision": "average precision",
    "top5_accuracy": "top-5 accuracy",
}


def model_title(model: str) -> str:
    """Returns a model's name in print; a variant keeps its suffix.

    Example:
    >>> model_title("cbr_tiny"), model_title("resnet50:slim=block2")
    ('CBR-Tiny', 'ResNet50:slim=block2')
    """
    name, colon, variant = model.partition(":")
    return MODEL_TITLES.get(name, name) + colon + variant


def initialization_title(init: str, donor: str | None) -> str:
    """Returns a scheme in print, with its donor called what it is.

    Example:
    >>> initialization_title("transfer", "CIFAR-10, 10,000 images")
    'transfer from CIFAR-10, 10,000 images'
    """
    return init if donor is None else f"{init} from {donor}"
