"""What every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real and adversarial material that AZR_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("AZR_TEST_DATA")
    if not folder:
        pytest.skip("AZR_TEST_DATA is unset: it names the folder of test material, which is not part of the project")
    return Path(folder)
