"""What NVIDIA's program `tegrastats` says of a Jetson. jtop reads the same; nothing needs to be installed for this."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading

__all__ = ["Tegrastats", "parse_tegrastats"]

_NO_SENSORS = ("PMIC",)
"""Printed like temperatures, but always the same."""
_COLDEST_C = -100.0
"""A sensor whose part has no power says -256."""


def parse_tegrastats(line: str) -> dict[str, dict[str, float]]:
    """What a line says, by field of `evaluation.profile.watch.MachineSample`.

    Clocks of processors (``CPU [12%@1479,off]``) and of the GPU (``GR3D_FREQ 42%@611``, on newer releases
    ``@[611,305]``, one for each of its clusters); temperatures (``gpu@41.5C``); power now, not the mean after the slash
    (``VDD_IN 4950mW/4906mW``; older releases without unit, AGX Xavier with rails that are called ``GPU``, ``CV``,
    ``SYS5V``); and the GPU's load.
    """
    cpus = re.search(r"\bCPU \[([^\]]*)\]", line)
    clocks = {
        f"cpu{index}": float(clock[1])
        for index, text in enumerate(cpus[1].split(",") if cpus else [])
        if (clock := re.search(r"@(\d+)", text))
    }
    gpu = re.search(r"\bGR3D_FREQ (\d+)%(?:@\[?([\d,]+))?", line)
    if gpu is not None and gpu[2]:
        clocks["GPU"] = float(max(int(clock) for clock in gpu[2].split(",") if clock))
    temperatures = {name: float(value) for name, value in re.findall(r"\b(\w+)@(-?[\d.]+)C\b", line)}
    # Memory looks like a rail, but for its unit: RAM 2448/7620MB, IRAM 0/252kB.
    power = re.findall(r"\b([A-Z]\w*) (\d+)(?:mW)?/\d+(?:mW)?(?= |$)", line)
    return {
        "clocks_mhz": clocks,
        "temperatures_c": {
            name: value for name, value in temperatures.items() if value > _COLDEST_C and name not in _NO_SENSORS
        },
        "power_w": {rail: int(milliwatts) / 1e3 for rail, milliwatts in power},
        "gpu_utilisation": {"GPU": int(gpu[1]) / 100} if gpu else {},
    }


class Tegrastats:
    """The program, running beside; nothing where it is not installed.

    Args:
        program: Its path; None looks for it.
    """

    def __init__(self, program: str | None = None) -> None:
        self._line = ""
        program = program or shutil.which("tegrastats")
        self._process: subprocess.Popen[str] | None = None
        if program is not None:
            self._process = subprocess.Popen(
                [program, "--interval", "500"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            self._reader = threading.Thread(target=self._read, name="clearway-tegrastats", daemon=True)
            self._reader.start()

    def newest(self) -> dict[str, dict[str, float]]:
        """What its last line said; empty before the first."""
        return parse_tegrastats(self._line) if self._line else {}

    def close(self) -> None:
        """End it. May be called more than once."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._reader.join()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _read(self) -> None:
        assert self._process is not None
        for line in self._process.stdout or ():
            self._line = line
