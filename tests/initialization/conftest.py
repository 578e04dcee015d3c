import functools

import pytest

from transfusion_tf import models


@pytest.fixture(scope="session")
def built():
    """Builds a model once; tests give it the first values that they need."""

    @functools.cache
    def build(name, num_outputs=5, size=32):
        return models.build(
            name, num_outputs=num_outputs, image_shape=(size, size, 3)
        )

    return build
