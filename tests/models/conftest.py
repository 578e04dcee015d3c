import functools

import pytest

from transfusion_tf import models


@pytest.fixture(scope="session")
def built():
    """Builds a five-output model once for all tests that only look at it."""

    @functools.cache
    def build(name, size=224):
        return models.build(name, num_outputs=5, image_shape=(size, size, 3))

    return build
