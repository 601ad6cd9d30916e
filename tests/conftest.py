"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Tests never look at a clock: a busy machine is no defect.
settings.register_profile("clearway", deadline=None)
settings.load_profile("clearway")

PROJECT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run what takes minutes (one takes an hour) only where it is asked for."""
    if "slow" in config.option.markexpr:
        return
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run it with -m slow"))


@pytest.fixture(scope="session")
def driving_data() -> Path:
    """The folder of real driving data, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("CLEARWAY_DATA", PROJECT.parent / "shared" / "data"))
    if not (folder / "clips").is_dir():
        pytest.skip(f"no driving data in {folder}")
    return folder
