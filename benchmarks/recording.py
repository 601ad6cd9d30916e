"""What recording costs: python benchmarks/recording.py [FOLDER] [--cameras 4] [--seconds 10]

Cameras of 1280x720, 25 frames a second and some 10 Mbit/s are recorded at their own pace, in turns with and without
bringing everything onto the disk every second; then frames are encoded, as for cameras without a compressed stream.
FOLDER chooses the disk.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

import av
import numpy as np

from pipeline.cameras.base import EncodedPacket, VideoParameters
from pipeline.recording import Recorder, track
from pipeline.recording.encoder import FrameEncoder
from pipeline.recording.segment import Segment
from pipeline.sources import open_source
from pipeline.synthetic import SyntheticDrive

_SIZE_HW = (720, 1280)
_RATE_HZ = 25
_STREAM_S = 4


def stream(drive: SyntheticDrive) -> list[EncodedPacket]:
    """A few seconds of the rendered street with a sensor's noise, as a camera would send them."""
    generator, file = np.random.default_rng(1), io.BytesIO()
    with av.open(file, "w", format="h264") as container:
        video = container.add_stream("libx264", rate=_RATE_HZ, options={"preset": "ultrafast", "tune": "zerolatency"})
        video.height, video.width = _SIZE_HW
        video.pix_fmt, video.bit_rate, video.gop_size = "yuv420p", 10_000_000, _RATE_HZ
        packets = []
        for index in range(_STREAM_S * _RATE_HZ):
            image = drive.render(index).image + generator.integers(0, 12, (*_SIZE_HW, 3), np.uint8)
            packets += video.encode(av.VideoFrame.from_ndarray(image, format="bgr24"))
        packets += video.encode(None)
    return [
        EncodedPacket(bytes(packet), index / _RATE_HZ, index / _RATE_HZ, packet.is_keyframe)
        for index, packet in enumerate(packets)
    ]


@contextmanager
def timed_syncs() -> Iterator[list[float]]:
    """Milliseconds that each bringing onto the disk takes."""
    taken_ms: list[float] = []
    real = Segment.sync

    def sync(segment: Segment) -> None:
        began_s = time.perf_counter()
        real(segment)
        taken_ms.append((time.perf_counter() - began_s) * 1e3)

    Segment.sync = sync  # type: ignore[method-assign]
    try:
        yield taken_ms
    finally:
        Segment.sync = real  # type: ignore[method-assign]


def record(folder: Path, packets: list[EncodedPacket], cameras: int, seconds: float) -> tuple[float, int]:
    """Record at the cameras' pace; the share of a core that each took, and pictures that the disk was too slow for."""
    names = [f"camera-{number}" for number in range(cameras)]
    recorder = Recorder(folder, names, started_at=datetime.now(timezone.utc))
    recorders = [recorder.for_camera(name) for name in names]
    for camera in recorders:
        camera.begin(VideoParameters("h264", _SIZE_HW))
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    for index in range(round(seconds * _RATE_HZ)):
        lap, place = divmod(index, len(packets))
        packet = packets[place]
        time.sleep(max(0.0, began_s + index / _RATE_HZ - time.monotonic()))
        for camera in recorders:
            camera.packet(
                EncodedPacket(packet.data, packet.time_s + lap * _STREAM_S, index / _RATE_HZ, packet.is_keyframe)
            )
    recorder.close()
    cpu_s = time.process_time() - began_cpu_s
    return cpu_s / seconds / cameras, sum(recorder.status.dropped.values())


def encode(path: Path) -> float:
    """Milliseconds of a core that encoding a frame takes, from the planes of a decoded recording."""
    source, encoder, spent_s, count = open_source(str(path)), FrameEncoder(), 0.0, 0
    for frame in source.frames():
        began_s = time.thread_time()
        encoder.encode(frame)
        spent_s, count = spent_s + time.thread_time() - began_s, count + 1
    source.close()
    return spent_s / count * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()

    drive = SyntheticDrive(seed=1, frame_count=_STREAM_S * _RATE_HZ, size_hw=_SIZE_HW, frame_rate_hz=float(_RATE_HZ))
    packets = stream(drive)
    drive.close()
    mbit_s = sum(len(packet.data) for packet in packets) * 8 / _STREAM_S / 1e6
    print(f"{mbit_s:.1f} Mbit/s a camera, {args.cameras} cameras")
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        for _ in range(args.rounds):
            for every_s in (1.0, float("inf")):
                track.SYNC_EVERY_S = every_s
                with timed_syncs() as taken_ms:
                    share, dropped = record(folder, packets, args.cameras, args.seconds)
                print(f"onto the disk every {every_s:g} s: {share:.2%} of a core a camera, {dropped} dropped", end="")
                p50, p99 = np.quantile(taken_ms, [0.5, 0.99]) if taken_ms else (0.0, 0.0)
                print(f"; {len(taken_ms)} times, p50 {p50:.1f} ms, p99 {p99:.1f} ms" if taken_ms else "")
        print(f"encoding a frame: {encode(next(folder.rglob('*.mp4'))):.1f} ms of a core")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
