"""What every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True)  # what fails for one fails for all
settings.load_profile("same")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # small arrays: threads cost more than they bring


@pytest.fixture(autouse=True, scope="session")
def _quiet_machine(tmp_path_factory):
    """Tests neither read nor fill the user's cache, and leave the network alone."""
    os.environ["DELINEATE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, where there is one."""
    folder = os.environ.get("DELINEATE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("the real images are not here: DELINEATE_DATA names no folder")
    return Path(folder)
