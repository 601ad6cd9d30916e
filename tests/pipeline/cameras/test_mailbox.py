"""The newest frame wins, and none is taken twice."""

from __future__ import annotations

import threading
import time

import numpy as np

from pipeline.cameras.mailbox import Mailbox
from pipeline.scene import Frame


def frame(camera: str, index: int) -> Frame:
    return Frame(index, 0.0, time.monotonic(), (2, 2), lambda: np.zeros((2, 2, 3), np.uint8), camera=camera)


def test_the_newest_frame_of_every_camera_is_taken_once():
    mailbox = Mailbox(["front", "rear"])
    for index in range(3):
        mailbox.put(frame("front", index))
    mailbox.put(frame("rear", 7))
    assert [(taken.camera, taken.index) for taken in mailbox.take(0)] == [("front", 2), ("rear", 7)]
    assert mailbox.take(0) == []
    assert (mailbox.superseded("front"), mailbox.superseded("rear")) == (2, 0)


def test_a_fast_camera_cannot_keep_a_slow_one_from_its_turn():
    mailbox = Mailbox(["fast", "slow"])
    mailbox.put(frame("slow", 0))
    for index in range(100):
        mailbox.put(frame("fast", index))
    assert {taken.camera for taken in mailbox.take(0)} == {"fast", "slow"}


def test_between_threads_every_frame_is_taken_or_counted():
    mailbox = Mailbox(["front"])

    def give() -> None:
        for index in range(5000):
            mailbox.put(frame("front", index))

    giver = threading.Thread(target=give)
    giver.start()
    taken: list[int] = []
    while giver.is_alive() or (rest := mailbox.take(0)):
        taken += [one.index for one in (mailbox.take(0.001) if giver.is_alive() else rest)]
    assert taken == sorted(set(taken))
    assert len(taken) + mailbox.superseded("front") == 5000
    assert taken[-1] == 4999
