"""From views of a board to a camera: intrinsic matrix, lens, how well they fit and how sure they are.

The fit itself is OpenCV's (Zhang 2000; for fisheyes Kannala and Brandt 2006). Around it stand three decisions that
calibrators usually leave to their users. First, a view that does not fit with the others is left out, the worst first,
until none stands apart. Then the *held-out error* decides how rich a model the photos carry: leave some views out, fit
the rest, and see how well the fit explains the views that it has not seen.

- Pixels are square, unless fx and fy apart predict clearly better.
- A printed board is hardly ever flat: its shape can be estimated along with the camera (Strobl and Hirzinger 2011).
- The highest radial coefficients are kept only where they help: k3 of a pinhole, k3 and k4 of a fisheye.

The fits that left views out also give the uncertainties (the delete-a-group jackknife, Kott 2001). OpenCV's own assume
that the errors of all corners are independent; those of one view are not, which makes them several times too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from calibration.solvers import Fit, Solver, board_bend, board_stretch
from calibration.views import PhotoSet, View
from pipeline.errors import SourceError
from pipeline.geometry.camera_model import CameraModel

__all__ = ["MINIMUM_VIEWS", "CameraCalibration", "calibrate_camera"]

FloatArray = NDArray[np.float64]

MINIMUM_VIEWS = 4
"""Two would do for the equations, not for telling a good fit from a bad one."""

_LARGEST_RMS = 0.01
"""As a share of the picture's diagonal; beyond that nothing was measured."""

_LOOSEST_FOCAL_LENGTH = 0.1
_BENT_MINIMUM_VIEWS = 6
_GROUPS = 10
_CLEARLY_BETTER = 0.99
"""A richer model must predict at least this much better to be kept."""

_BOARD_STRETCH = 0.2
"""A board whose corners move by more, in squares, was not bent: it makes up for a wrong camera."""


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """What was measured.

    Attributes:
        camera: The camera, in Clearway's pixel coordinates.
        rms_px: Root mean square distance between corners and their reprojection, over all used views.
        held_out_rms_px: The same over views that the fit had not seen.
        view_rms_px: The same by used view, in the order of the photos.
        rejected: File name: why it was left out.
        uncertainty: Standard deviations of fx, fy, cx, cy in pixels and of the distortion coefficients.
        bend_squares: How far the board was found to rise over or sink under its plane, in squares; 0 where it was
            taken to be flat.
        views: The used ones.
    """

    camera: CameraModel
    rms_px: float
    held_out_rms_px: float
    view_rms_px: dict[str, float]
    rejected: dict[str, str]
    uncertainty: dict[str, float]
    bend_squares: float
    views: tuple[View, ...] = field(repr=False)


def calibrate_camera(photos: PhotoSet, columns: int, rows: int, *, fisheye: bool, may_bend: bool) -> CameraCalibration:
    """Measure a camera.

    Args:
        photos: Views of one board.
        columns: Inner corners along the board.
        rows: Inner corners across the board.
        fisheye: Fit a Kannala–Brandt lens instead of a Brown–Conrady one.
        may_bend: Whether the board's shape may be estimated; it needs a board whose first corner is known.

    Raises:
        SourceError: Too few views are usable, or no camera explains them.
    """
    rejected = dict(photos.rejected)
    _refuse_too_few(photos.views, rejected)
    plain = Solver(columns, rows, photos.size_hw, fisheye=fisheye)
    views, apart = _consistent(plain, photos.views)
    rejected.update(apart)
    solver, trials = _choose(plain, views, may_bend=may_bend and _all_whole(views, columns * rows))
    fit = solver.fit(views)
    uncertainty = _uncertainty(trials.fits)
    _refuse_nonsense(fit, uncertainty)
    return CameraCalibration(
        camera=fit.camera,
        rms_px=fit.rms_px,
        held_out_rms_px=trials.held_out_rms_px,
        view_rms_px=dict(zip([view.name for view in views], fit.view_rms_px, strict=True)),
        rejected=rejected,
        uncertainty=uncertainty,
        bend_squares=board_bend(fit.board),
        views=tuple(views),
    )


@dataclass(frozen=True, slots=True)
class _Trials:
    """Fits that each left one group of views out, and how well they explained it."""

    fits: tuple[Fit, ...]
    held_out_rms_px: float


def _refuse_too_few(views: Sequence[View], rejected: dict[str, str]) -> None:
    if len(views) >= MINIMUM_VIEWS:
        return
    examples = "; ".join(f"{name}: {reason}" for name, reason in list(rejected.items())[:3])
    if rejected and all(reason.startswith("mirrored") for reason in rejected.values()):
        examples = f"they are {next(iter(rejected.values()))}"
    more = f" ({examples}{'; …' if len(rejected) > 3 else ''})" if examples else ""
    raise SourceError(
        f"too few usable photos: {len(views)} of {len(views) + len(rejected)}, at least {MINIMUM_VIEWS} are needed and "
        f"10 or more are good{more}"
    )


def _refuse_nonsense(fit: Fit, uncertainty: dict[str, float]) -> None:
    """A fit that explains nothing, or that many other cameras would explain as well."""
    camera = fit.camera
    if not fit.rms_px < _LARGEST_RMS * np.hypot(*camera.size_hw) or not min(camera.fx, camera.fy) > 0.0:
        raise SourceError(
            f"no camera explains these photos: the best one is {fit.rms_px:.0f} px off; "
            "are they all of one camera at one zoom, and is the board flat?"
        )
    loose = max(uncertainty["fx"] / camera.fx, uncertainty["fy"] / camera.fy)
    if loose > _LOOSEST_FOCAL_LENGTH:
        raise SourceError(
            f"the photos leave the focal length open by ±{loose:.0%}: tilt the board by 20 to 40 degrees in different "
            "directions, and take it near and far"
        )


def _consistent(solver: Solver, views: Sequence[View]) -> tuple[list[View], dict[str, str]]:
    """Views that one camera explains, and why the others were left out."""
    kept = list(views)
    apart: dict[str, str] = {}
    while True:
        errors = np.array(solver.fit(kept).view_rms_px)
        typical = float(np.median(errors))
        spread = 1.4826 * float(np.median(np.abs(errors - typical)))
        worst = int(errors.argmax())
        if errors[worst] <= max(typical + 4.0 * spread, 2.0 * typical, 0.3) or len(kept) <= MINIMUM_VIEWS:
            return kept, apart
        apart[kept[worst].name] = (
            f"does not fit with the others: reprojection error {errors[worst]:.2f} px, theirs is {typical:.2f} px "
            "(did the board move or bend, or is it another camera or zoom?)"
        )
        del kept[worst]


def _all_whole(views: Sequence[View], corners: int) -> bool:
    return len(views) >= _BENT_MINIMUM_VIEWS and all(len(view.corners.ids) == corners for view in views)


def _choose(plain: Solver, views: Sequence[View], *, may_bend: bool) -> tuple[Solver, _Trials]:
    """The model that predicts unseen views best, simpler ones first; a lens that folds up in the picture is none."""
    best, trials = plain, _leave_out(plain, views)

    def consider(richer: Solver) -> None:
        nonlocal best, trials
        fit = richer.fit(views)
        if _covers_picture(fit.camera) and board_stretch(fit.board) < _BOARD_STRETCH:
            attempt = _leave_out(richer, views)
            if attempt.held_out_rms_px < _CLEARLY_BETTER * trials.held_out_rms_px:
                best, trials = richer, attempt

    if not plain.fisheye:
        consider(replace(plain, oblong=True))
        if may_bend:
            consider(replace(plain, bent=True))
            consider(replace(plain, bent=True, oblong=True))
    consider(replace(best, high_order=True))
    return best, trials


def _leave_out(solver: Solver, views: Sequence[View]) -> _Trials:
    groups = min(_GROUPS, len(views))
    fits, squares = [], []
    for group in range(groups):
        fit = solver.fit([view for index, view in enumerate(views) if index % groups != group])
        fits.append(fit)
        squares += [fit.squares_of(view) for index, view in enumerate(views) if index % groups == group]
    return _Trials(tuple(fits), float(np.sqrt(np.mean(np.concatenate(squares)))))


def _covers_picture(camera: CameraModel) -> bool:
    """Whether the lens has a direction for every pixel of the picture."""
    height, width = camera.size_hw
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    return bool(np.isfinite(camera.camera_from_image(corners)).all())


def _uncertainty(fits: Sequence[Fit]) -> dict[str, float]:
    """The jackknife's standard deviations."""
    lens = ("k1", "k2", "k3", "k4") if fits[0].camera.fisheye else ("k1", "k2", "p1", "p2", "k3")
    names = ("fx", "fy", "cx", "cy", *lens[: len(fits[0].camera.distortion)])
    values = np.array([[f.camera.fx, f.camera.fy, f.camera.cx, f.camera.cy, *f.camera.distortion] for f in fits])
    variance = (len(values) - 1) * values.var(axis=0)
    return dict(zip(names, np.sqrt(variance).tolist(), strict=True))
