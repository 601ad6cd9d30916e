"""Defaults, then the file, then flags; nothing unknown passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import ReplayConfig, load_config
from pipeline.errors import ConfigError


def test_flags_override_the_file_and_the_file_overrides_defaults(tmp_path: Path):
    file = tmp_path / "run.toml"
    file.write_text('engine = "onnxruntime"\nthreads = 2\nsize = [272, 480]\n')
    config = load_config(ReplayConfig, file, {"threads": 1, "engine": None})
    assert (config.engine, config.threads, config.size_hw) == ("onnxruntime", 1, (272, 480))
    assert config.model == "clearway-lite"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('engin = "openvino"', "unknown key 'engin'; did you mean 'engine'?"),
        ("colour = 3", "unknown key 'colour'; known are model, engine"),
        ('engine = "tensorflow"', "engine"),
        ("threads = -1", "threads"),
        ('threads = "two"', "threads"),
        ("size = [1, 2, 3]", "size"),
        ("size = [360]", "size needs both height and width"),
        ("start = 5.0\nend = 2.0", "the end .2 s. must come after the start .5 s."),
        ("engine = ", "not valid TOML"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, text: str, message: str):
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(ReplayConfig, file, {})
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(ReplayConfig, tmp_path / "nothing.toml", {})


def test_the_readme_shows_every_key_with_its_default(tmp_path: Path):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    block = readme.partition("```toml\n")[2].partition("```")[0].replace("# end", "end")
    file = tmp_path / "readme.toml"
    file.write_text(block)
    config = load_config(ReplayConfig, file, {})
    assert all(f"{key} =" in block for key in ReplayConfig.__struct_fields__)
    assert config == ReplayConfig(end=12.5)
