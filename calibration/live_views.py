"""Views of a board from a live camera or a video: taken by themselves, while somebody moves the board about.

A picture is taken where the board is seen twice in a row in the same place, for what moves is blurred and a rolling
shutter bends it, and where it was not taken before. Nobody needs a hand free for a keyboard.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.boards import BoardFinder, Unusable
from calibration.camera import MINIMUM_VIEWS
from calibration.coverage import measure_coverage
from calibration.files import write_whole
from calibration.views import PhotoSet, View, is_repeat, same_size
from pipeline.cameras.address import CameraConfig, camera_kind, is_camera, name_cameras, redacted
from pipeline.cameras.camera import Camera, CameraLimits
from pipeline.cameras.mailbox import Mailbox
from pipeline.errors import ConfigError, SourceError
from pipeline.scene import Frame
from pipeline.sinks.output_file import prepare_folder
from pipeline.sources import open_source
from pipeline.sources.base import IMAGE_SUFFIXES
from pipeline.timings import StageTimings

__all__ = ["Taking", "is_watched", "prepare_keeping", "take_views", "watch"]

_STILL = 0.002
"""Of the picture's diagonal: a board that moved by less from one look to the next was held still."""

_NEW_VIEW = 0.03
"""The same, to the views that were taken: nearer ones teach little."""

_AGAIN_S, _NEXT_S, _TOGETHER_S = 0.1, 0.25, 1.5
"""When to look again where the board was seen, where it was not, and up to when two looks belong together: the search
itself takes a second where it finds no board."""

_UNREACHED_S = 10.0
"""A camera that gives no picture for so long is given up."""

_JOIN_LIMIT_S = 8.0
_SEEN_ONCE = "hold it still"


@dataclass(slots=True)
class Taking:
    """What was taken so far.

    Attributes:
        views: The views.
        passed_over: Why looks gave none: reason: how many.
        looks: How many pictures were looked at.
    """

    views: list[View] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    looks: int = 0

    def photos(self, source: str) -> PhotoSet:
        """What `calibrate_camera` takes.

        Raises:
            SourceError: There are too few views.
        """
        if len(self.views) < MINIMUM_VIEWS:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in self.passed_over.most_common(3))
            raise SourceError(
                f"{redacted(source)}: too few views of the board: {len(self.views)} taken in {self.looks} looks, at "
                f"least {MINIMUM_VIEWS} are needed and 10 or more are good"
                + (f" ({reasons})" if reasons else ": no picture came")
            )
        size_hw = Counter(view.size_hw for view in self.views).most_common(1)[0][0]
        rejected: dict[str, str] = {}
        return PhotoSet(size_hw, tuple(same_size(self.views, size_hw, rejected)), rejected)


def is_watched(source: str) -> bool:
    """Whether a source is a camera or a video, and not photos."""
    path = Path(source)
    return is_camera(source) or "://" in source or (path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES)


def prepare_keeping(folder: Path) -> None:
    """Refuse a folder that taken pictures cannot be kept in.

    Raises:
        ConfigError: Photos lie there already, which would be mixed up with the new ones.
        SinkError: It cannot be made.
    """
    prepare_folder(folder, str(folder))
    if any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir()):
        raise ConfigError(f"--keep {folder}: there are pictures already; name a new folder")


def watch(source: str, within_s: float, size: tuple[int, int] | None = None) -> Generator[Frame, None, None]:
    """Frames of a live camera, the newest each time one is asked for; or all of a video, one after the other.

    Args:
        source: An address, as `live` takes it, or a video file.
        within_s: A camera is watched no longer.
        size: (H, W) to ask a camera for; None takes its own.

    Raises:
        ConfigError: There is no such camera.
        SourceError: It gave no picture at all, or the video cannot be read.
    """
    config = name_cameras([CameraConfig(source, size=list(size or ()))])[0]
    if camera_kind(config.uri) == "playback" and not config.uri.endswith("?loop"):
        with contextlib.closing(open_source(config.uri)) as video:
            yield from video.frames()
        return
    yield from _watch_camera(config, within_s)


def _watch_camera(config: CameraConfig, within_s: float) -> Generator[Frame, None, None]:
    mailbox, stop, began_s = Mailbox([config.name]), threading.Event(), time.monotonic()
    camera = Camera(config, mailbox, StageTimings(), began_s, CameraLimits(give_up_s=_UNREACHED_S))
    thread = threading.Thread(target=camera.run, args=(stop,), name="camera", daemon=True)
    thread.start()
    last_s: float | None = None
    try:
        while time.monotonic() < began_s + within_s:
            frames = mailbox.take(0.2)
            if frames:
                yield from frames
                last_s = time.monotonic()
                continue
            if camera.report().state == "failed" or time.monotonic() > (last_s or began_s) + _UNREACHED_S:
                break  # What was taken before the camera was lost is enough, or its reasons are told.
        if last_s is None:
            reason = camera.report().reason
            raise SourceError(reason if camera.address in reason else f"{camera.address}: {reason}")
    finally:
        stop.set()
        thread.join(_JOIN_LIMIT_S)


def take_views(
    frames: Iterable[Frame],
    finder: BoardFinder,
    wanted: int,
    show: Callable[[str], None] = lambda _: None,
    keep: Path | None = None,
) -> Taking:
    """Take views until there are enough, the frames end, or the user interrupts: what was taken is not lost then.

    Args:
        frames: In the order of their times.
        finder: Knows the board.
        wanted: How many views.
        show: Is told after every look what to do next, in a line.
        keep: Folder for the pictures taken, or None.
    """
    taking = Taking()
    before: tuple[float, View] | None = None
    due_s = -np.inf
    with contextlib.suppress(KeyboardInterrupt):
        for frame in frames:
            now_s = frame.source_time_s
            if now_s < due_s:
                continue
            taking.looks += 1
            picture = np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY), np.uint8)
            view = _look(picture, finder, f"view-{len(taking.views) + 1:02}.png")
            reason = view if isinstance(view, str) else _not_yet(taking, before, view, now_s)
            if isinstance(view, View) and not reason:
                if keep is not None:
                    write_whole(keep / view.name, cv2.imencode(".png", picture)[1].tobytes())
                taking.views.append(view)
            elif reason != _SEEN_ONCE:
                taking.passed_over[reason.split(":")[0]] += 1
            show(_advice(taking, wanted, reason, frame.size_hw))
            if len(taking.views) >= wanted:
                break
            before = (now_s, view) if isinstance(view, View) else None
            due_s = now_s + (_AGAIN_S if before is not None else _NEXT_S)
    return taking


def _look(picture: NDArray[np.uint8], finder: BoardFinder, name: str) -> View | str:
    """The board, or why it cannot be used."""
    try:
        return View(name, (picture.shape[0], picture.shape[1]), finder.find(picture))
    except Unusable as reason:
        return str(reason)


def _not_yet(taking: Taking, before: tuple[float, View] | None, view: View, now_s: float) -> str:
    """Why a view is not taken; "" where it is."""
    if any(is_repeat(view, other, _NEW_VIEW) for other in taking.views if other.size_hw == view.size_hw):
        return "taken there already: move or tilt the board"
    if before is None or now_s - before[0] > _TOGETHER_S or before[1].size_hw != view.size_hw:
        return _SEEN_ONCE
    return "" if is_repeat(view, before[1], _STILL) else "the board moves: hold it still for a moment"


def _advice(taking: Taking, wanted: int, reason: str, size_hw: tuple[int, int]) -> str:
    views = [view for view in taking.views if view.size_hw == size_hw]
    holes = measure_coverage(views, size_hw).holes
    missing = f"; not seen yet: {', '.join(holes)}" if holes and views else ""
    return f"{len(taking.views)} of {wanted} views{missing} – {reason or 'taken: move or tilt the board'}"
