"""When was a frame really taken? A stream's own times, placed on our clock.

A frame that was held up on its way (a stalled server, a full socket, a decoder that lags) arrives late, and nothing in
it says so but its timestamp: the distances between a stream's timestamps are those between the moments at which the
frames were taken. The smallest delay between timestamp and arrival that was ever seen is that of a frame which nothing
held up; every frame is dated by it. What is constant in all delays (exposure, encoding, the network at its best)
cannot be seen from here. This is the lower envelope of one-way delays that NTP's clock filter and RTP receivers use
(D. Mills, RFC 5905 §10; H. Schulzrinne et al., RFC 3550 §6.4.1).
"""

from __future__ import annotations

__all__ = ["StreamClock"]

_DRIFT = 2e-4
"""How fast the smallest delay may grow: two quartz clocks drift apart by some 50 ppm, cheap ones by 100 to 200."""

_JUMP_S = 10.0
"""A timestamp that is off by more is no delay: the stream's clock was set, or begins anew."""

_TICK_S = 1e-4


class StreamClock:
    """Places the times of one camera's streams, connection after connection. Owned by the camera's thread.

    Args:
        started_s: `time.monotonic()` of the beginning of the run, the zero of `Frame.source_time_s`.
    """

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._last_source_s = -1.0
        self.restart()

    def restart(self) -> None:
        """Forget the stream's clock: a new connection has another."""
        self._delay_s: float | None = None
        self._seen_s = 0.0
        self._offset_s = 0.0

    def place(self, stream_s: float, arrived_s: float) -> tuple[float, float]:
        """Date one frame.

        Args:
            stream_s: The stream's own time in seconds; `arrived_s` where it has none.
            arrived_s: `time.monotonic()` when it came.

        Returns:
            `Frame.source_time_s`, which never goes back, and `Frame.captured_at_s`, never after `arrived_s`.
        """
        delay_s = arrived_s - stream_s
        if self._delay_s is None or abs(delay_s - self._delay_s) > _JUMP_S:
            self._delay_s = delay_s
            self._offset_s = delay_s - self._started_s
        else:
            self._delay_s = min(delay_s, self._delay_s + _DRIFT * (arrived_s - self._seen_s))
        self._seen_s = arrived_s
        return self._advance(self.source_time_s(stream_s)), stream_s + self._delay_s

    @property
    def runs(self) -> bool:
        """Whether a frame of the present stream was placed, so that other times of it can be."""
        return self._delay_s is not None

    @property
    def last_source_s(self) -> float:
        """`Frame.source_time_s` of the last frame that was placed; negative before the first."""
        return self._last_source_s

    def source_time_s(self, stream_s: float) -> float:
        """A time of the present stream on the clock of `Frame.source_time_s`."""
        return stream_s + self._offset_s

    def _advance(self, source_s: float) -> float:
        if source_s <= self._last_source_s:
            # Behind the last connection's end: shift this one as a whole, so that distances within it stay true.
            self._offset_s += self._last_source_s + _TICK_S - source_s
            source_s = self._last_source_s + _TICK_S
        self._last_source_s = source_s
        return source_s
