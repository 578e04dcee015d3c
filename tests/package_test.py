import subprocess
import sys

import pytest

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
