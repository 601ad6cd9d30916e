"""A camera that photographed boards is found again, with an honest deviation, whatever is wrong with some photos."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.boards import Corners
from calibration.camera import CameraCalibration, calibrate_camera
from calibration.views import PhotoSet, View
from pipeline.errors import SourceError
from pipeline.geometry.camera_model import CameraModel
from tests.calibration.board_photos import CAMERA, Placing, placings, views_of

FISHEYE = CameraModel((600, 800), 300.0, 300.0, 405.0, 295.0, (0.04, -0.01, 0.003, -0.001), fisheye=True)


def calibrate(photos: PhotoSet, *, fisheye: bool = False, may_bend: bool = True) -> CameraCalibration:
    return calibrate_camera(photos, 9, 6, fisheye=fisheye, may_bend=may_bend)


def test_a_known_camera_is_found_again_within_its_deviations():
    result = calibrate(views_of(CAMERA, placings(14)))
    found, sure = result.camera, result.uncertainty
    assert result.rms_px == pytest.approx(0.1 * np.sqrt(2.0), rel=0.1)
    assert result.rejected == {}
    for name in ("fx", "fy", "cx", "cy"):
        assert abs(getattr(found, name) - getattr(CAMERA, name)) < 4.0 * sure[name]
        assert sure[name] < 2.0
    assert found.distortion[:2] == pytest.approx(CAMERA.distortion[:2], abs=4.0 * sure["k2"])
    assert len(found.distortion) == 4  # k3 does not help, so it is left out.
    assert found.fx == found.fy  # Nor do oblong pixels.


def test_a_fisheye_is_found_again():
    result = calibrate(views_of(FISHEYE, placings(16, seed=2)), fisheye=True)
    assert result.camera.fisheye
    assert result.rms_px < 0.2
    pixels = np.array([[100.0, 300.0], [400.0, 100.0], [650.0, 450.0], [400.0, 300.0]])
    np.testing.assert_allclose(result.camera.camera_from_image(pixels), FISHEYE.camera_from_image(pixels), atol=0.004)


def test_a_bent_board_does_not_bend_the_camera():
    photos = views_of(CAMERA, placings(16), bend_squares=0.12)
    flat, bent = calibrate(photos, may_bend=False), calibrate(photos)
    assert flat.bend_squares == 0.0
    assert 0.03 < bent.bend_squares < 0.2
    assert bent.rms_px < 0.15 < flat.rms_px
    assert bent.held_out_rms_px < flat.held_out_rms_px
    assert abs(bent.camera.fx - CAMERA.fx) < 3.0


def test_a_flat_board_is_left_flat():
    assert calibrate(views_of(CAMERA, placings(14, seed=4))).bend_squares == 0.0


def test_stretched_pictures_have_oblong_pixels():
    stretched = CameraModel((480, 640), 520.0, 620.0, 331.0, 240.0, (-0.2, 0.04, 0.0, 0.0))
    found = calibrate(views_of(stretched, placings(14))).camera
    assert found.fy / found.fx == pytest.approx(620.0 / 520.0, rel=0.005)


@pytest.mark.parametrize("bad", [[3], [2, 9], [0, 5, 11]])
def test_views_that_do_not_fit_are_left_out(bad: list[int]):
    photos = views_of(CAMERA, placings(14))
    rng = np.random.default_rng(1)
    views = list(photos.views)
    for index in bad:
        view = views[index]
        wrong = view.corners.pixels + rng.normal(0.0, 2.5, view.corners.pixels.shape).astype(np.float32)
        views[index] = View(view.name, view.size_hw, Corners(wrong, view.corners.ids))
    result = calibrate(PhotoSet(photos.size_hw, tuple(views)), may_bend=False)
    assert set(result.rejected) == {f"view{index}.png" for index in bad}
    assert all(reason.startswith("does not fit with the others") for reason in result.rejected.values())
    assert abs(result.camera.fx - CAMERA.fx) < 4.0


def test_too_few_views_are_refused_with_the_reasons():
    photos = views_of(CAMERA, placings(3))
    rejected = {"a.jpg": "blurred", "b.jpg": "no board"}
    with pytest.raises(
        SourceError, match=r"too few usable photos: 3 of 5, at least 4 .*a\.jpg: blurred; b\.jpg"
    ) as caught:
        calibrate(PhotoSet(photos.size_hw, photos.views, rejected))
    assert "\n" not in str(caught.value)


def test_boards_that_were_never_tilted_do_not_make_a_camera():
    places = [(0, 0, 14), (2, 1, 15), (-2, 0.5, 13), (1, -1, 16), (0, 1, 12.5), (-1, -1, 17)]
    with pytest.raises(SourceError, match=r"leave the focal length open by ±\d+%: tilt the board"):
        calibrate(views_of(CAMERA, [Placing(0.0, 0.0, 0.0, place) for place in places]))


@pytest.mark.parametrize("fisheye", [False, True])
def test_corners_that_mean_nothing_do_not_make_a_camera(fisheye: bool):
    rng = np.random.default_rng(0)
    ids = np.arange(54, dtype=np.int32)
    scattered = [Corners(rng.uniform(0, 350, (54, 2)).astype(np.float32), ids) for _ in range(8)]
    views = tuple(View(f"{number}.png", (360, 640), corners) for number, corners in enumerate(scattered))
    with pytest.raises(SourceError, match=r"no (fisheye |pinhole )?camera explains these photos") as caught:
        calibrate(PhotoSet((360, 640), views), fisheye=fisheye)
    assert "\n" not in str(caught.value)


def test_partial_views_of_a_charuco_board_are_enough():
    photos = views_of(CAMERA, placings(14))
    rng = np.random.default_rng(2)
    parts = []
    for view in photos.views:
        seen = np.sort(rng.choice(54, 25, replace=False))
        parts.append(View(view.name, view.size_hw, Corners(view.corners.pixels[seen], view.corners.ids[seen])))
    result = calibrate(PhotoSet(photos.size_hw, tuple(parts)))
    assert result.bend_squares == 0.0  # A bent board needs whole views.
    assert abs(result.camera.fx - CAMERA.fx) < 4.0
