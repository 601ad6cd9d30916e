"""Which pictures are spoiled: those with guessed parts, and all that build upon one, up to the next key frame."""

from __future__ import annotations

from pipeline.cameras.base import Taken

__all__ = ["Damage"]

_SHORTEST_S = 2.0
_WITHOUT_KEYFRAMES_S = 5.0
_KEYFRAME_DISTANCES = 1.5


class Damage:
    """Follows one camera's stream. Owned by the camera's thread.

    Some encoders never send a key frame and renew the picture piece by piece; there, what was guessed is gone in time:
    after one and a half times as long as key frames are apart, or some seconds where none was seen.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new connection: whatever comes first is taken as it is."""
        self._since_s: float | None = None
        self._keyframe_s: float | None = None
        self._heals_after_s = _WITHOUT_KEYFRAMES_S

    def begin(self, at_s: float) -> None:
        """Something was lost at that `time.monotonic()`: what comes next builds upon a picture that nobody has."""
        self._since_s = at_s

    def spoils(self, taken: Taken, at_s: float) -> bool:
        """Whether a picture that came at that `time.monotonic()` must not be shown as the road."""
        if taken.is_keyframe:
            if self._keyframe_s is not None:
                self._heals_after_s = max(_SHORTEST_S, _KEYFRAME_DISTANCES * (at_s - self._keyframe_s))
            self._keyframe_s = at_s
        if taken.damaged:
            self._since_s = at_s
        elif taken.is_keyframe or (self._since_s is not None and at_s - self._since_s > self._heals_after_s):
            self._since_s = None
        return self._since_s is not None
