"""Calibration files, as a user would have them."""

from __future__ import annotations

from pathlib import Path

from pipeline.geometry import RoadView

__all__ = ["write_calibration", "write_view"]


def write_calibration(folder: Path, size_hw: tuple[int, int], *, focal: float = 1.0) -> tuple[Path, Path]:
    """A camera file and a ground file of a camera 1.4 m high that looks a little down.

    Args:
        folder: Where they go.
        size_hw: (H, W) of its photos.
        focal: Focal length in widths of the picture.
    """
    height, width = size_hw
    return _write(folder, size_hw, (focal * width, focal * width, width / 2 - 0.5, height / 2 - 0.5), (1.4, 0.03, 0.0))


def write_view(folder: Path, view: RoadView) -> tuple[Path, Path]:
    """The files of a view without distortion."""
    camera, pose = view.camera, view.pose
    intrinsics = camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5
    return _write(folder, camera.size_hw, intrinsics, (pose.height_m, pose.pitch_rad, pose.roll_rad))


def _write(
    folder: Path, size_hw: tuple[int, int], intrinsics: tuple[float, ...], pose: tuple[float, float, float]
) -> tuple[Path, Path]:
    fx, fy, cx, cy = intrinsics
    camera, ground = folder / "camera.toml", folder / "ground.toml"
    camera.write_text(
        f'format = "clearway-camera/1"\nmodel = "pinhole"\nsize_hw = [{size_hw[0]}, {size_hw[1]}]\n'
        f"matrix = [[{fx}, 0.0, {cx}], [0.0, {fy}, {cy}], [0.0, 0.0, 1.0]]\n"
    )
    ground.write_text(
        'format = "clearway-ground/1"\n'
        f"height_m = {pose[0]}\npitch_rad = {pose[1]}\nroll_rad = {pose[2]}\n"
        "[uncertainty]\nheight_m = 0.01\npitch_rad = 0.002\nroll_rad = 0.002\n"
    )
    return camera, ground
