"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def driving_data() -> Path:
    """The folder of real driving data, or a skip that says where it was looked for."""
    candidates = [Path(os.environ["CLEARWAY_DATA"])] if "CLEARWAY_DATA" in os.environ else []
    candidates.append(PROJECT.parent / "shared" / "data")
    for folder in candidates:
        if (folder / "clips").is_dir():
            return folder
    pytest.skip(f"no driving data in {' or '.join(str(folder) for folder in candidates)}")
