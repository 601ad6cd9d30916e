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


@pytest.fixture(scope="session")
def driving_data() -> Path:
    """The folder of real driving data, or a skip that says where it was looked for."""
    folder = Path(os.environ.get("CLEARWAY_DATA", PROJECT.parent / "shared" / "data"))
    if not (folder / "clips").is_dir():
        pytest.skip(f"no driving data in {folder}")
    return folder
