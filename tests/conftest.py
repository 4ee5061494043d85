"""What every test may ask for."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacking import CANARY_ENV, CANARY_TEXT, VARIANTS, Variant, lay_canary

from azr_plugins_python.executor import Executor, slot
from azr_plugins_python.executor.profiles import Profile, package_folders


def pytest_configure() -> None:
    """No test asks the hub, even for a model that a shipped file would fetch. Set before the hub's library is imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_collection_finish() -> None:
    """What the test files have imported stays: tests that collect garbage to count what is left need not walk PyTorch each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real and adversarial material that AZR_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("AZR_TEST_DATA")
    if not folder:
        pytest.skip("AZR_TEST_DATA is unset: it names the folder of test material, which is not part of the project")
    return Path(folder)


# The fast tests meet the one that runs are given and the one that has the most to hold.
_PARAMS = [
    pytest.param(variant, id=str(variant), marks=[] if variant.guarded or variant.loaded else [pytest.mark.slow]) for variant in VARIANTS
]


@pytest.fixture(scope="module", params=_PARAMS)
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """An executor of every kind that hostile programs may meet; see `attacking.VARIANTS`."""
    variant: Variant = request.param
    if sys.platform != "linux":
        pytest.skip("the jail needs Linux")
    if variant.profile is Profile.wide and not package_folders():
        pytest.skip("neither numpy nor sympy is installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CANARY_ENV, CANARY_TEXT)
        if variant.loaded:
            patch.setattr(slot, "_ZYGOTE", str(Path(__file__).with_name("loaded_zygote.py")))
        with variant.build() as built:
            built.protection()
            yield built


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that anyone may write to and that nothing may change."""
    return lay_canary(tmp_path_factory.mktemp("canary"))
