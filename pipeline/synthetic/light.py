"""Times of day and weather: which light a seed gets."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.synthetic.canvas import Color, Light

__all__ = ["draw_light"]


def draw_light(generator: np.random.Generator) -> Light:
    """Choose among sunny, overcast and dusk, and vary within it."""
    kind = generator.choice(3, p=(0.45, 0.33, 0.22))
    return (_sunny, _overcast, _dusk)[kind](generator)


def _color(values: NDArray[np.float64]) -> Color:
    return float(values[0]), float(values[1]), float(values[2])


def _direction(azimuth_rad: float, elevation_rad: float) -> tuple[float, float, float]:
    level = math.cos(elevation_rad)
    return level * math.cos(azimuth_rad), level * math.sin(azimuth_rad), math.sin(elevation_rad)


def _sunny(generator: np.random.Generator) -> Light:
    azimuth = math.radians(generator.uniform(25, 155)) * float(generator.choice((-1.0, 1.0)))
    x, y, z = _direction(azimuth, math.radians(generator.uniform(24, 58)))
    low = np.array([246.0, 236.0, 222.0]) * generator.uniform(0.94, 1.03)
    return Light(
        sun_x=x,
        sun_y=y,
        sun_z=z,
        slant=x / y,
        rise=z / y,
        sun=generator.uniform(0.62, 0.85),
        ambient=generator.uniform(0.58, 0.76),
        gain=_color(np.array([0.97, 1.0, 1.03]) * generator.uniform(1.0, 1.12)),
        sky_high=_color(np.array([214.0, 158.0, 104.0]) * generator.uniform(0.85, 1.08)),
        sky_low=_color(low),
        cloud=generator.uniform(0.05, 0.65),
        haze=_color(low * 0.96),
        haze_per_m=generator.uniform(0.0010, 0.0024),
        lamps=0.0,
    )


def _overcast(generator: np.random.Generator) -> Light:
    grey = generator.uniform(205, 252)
    low = np.array([1.0, 0.995, 0.985]) * grey
    return Light(
        sun_x=0.0,
        sun_y=0.3,
        sun_z=0.954,
        slant=0.0,
        rise=3.18,
        sun=0.0,
        ambient=generator.uniform(0.85, 1.12),
        gain=_color(np.array([1.02, 1.0, 0.98]) * generator.uniform(0.94, 1.04)),
        sky_high=_color(low * np.array([0.93, 0.9, 0.87])),
        sky_low=_color(low),
        cloud=generator.uniform(0.75, 1.0),
        haze=_color(low * 0.97),
        haze_per_m=generator.uniform(0.0014, 0.0034),
        lamps=0.0,
    )


def _dusk(generator: np.random.Generator) -> Light:
    level = generator.uniform(0.5, 1.0)
    low = np.array([150.0, 158.0, 168.0]) * level + np.array([10.0, 12.0, 22.0])
    return Light(
        sun_x=0.0,
        sun_y=0.3,
        sun_z=0.954,
        slant=0.0,
        rise=3.18,
        sun=0.0,
        ambient=generator.uniform(0.34, 0.56),
        gain=_color(np.array([1.06, 1.0, 0.94])),
        sky_high=_color(np.array([140.0, 120.0, 104.0]) * level),
        sky_low=_color(low),
        cloud=generator.uniform(0.4, 0.95),
        haze=_color(low * 0.8),
        haze_per_m=generator.uniform(0.0012, 0.0026),
        lamps=generator.uniform(0.5, 1.0),
    )
