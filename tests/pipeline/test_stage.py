"""Channels lose nothing, and every wait ends when the other side is gone."""

import threading

import pytest

from pipeline.stage import Abandoned, Channel, Failures, StageThread


def test_items_arrive_in_order_and_the_stream_ends_when_closed():
    channel: Channel[int] = Channel(2)
    received: list[int] = []
    consumer = threading.Thread(target=lambda: received.extend(channel))
    consumer.start()
    for item in range(100):
        channel.put(item)
    channel.close()
    consumer.join(5)
    assert received == list(range(100))
    assert channel.finished


def test_what_waits_can_be_read_after_closing():
    channel: Channel[str] = Channel(2)
    channel.put("last")
    channel.close()
    assert list(channel) == ["last"]


def test_a_blocked_producer_is_freed_when_its_consumer_gives_up():
    channel: Channel[int] = Channel(1)
    channel.put(0)
    freed = threading.Event()

    def produce() -> None:
        with pytest.raises(Abandoned):
            channel.put(1)
        freed.set()

    threading.Thread(target=produce, daemon=True).start()
    channel.abandon()
    assert freed.wait(5)


def test_poll_gives_none_when_nothing_comes():
    assert Channel(1).poll(0.01) is None


def test_the_first_exception_of_several_threads_is_the_one_reported():
    failures = Failures()
    stopped = threading.Event()

    def fail(message: str) -> None:
        raise ValueError(message)

    for message in ("cause", "echo"):
        thread = StageThread("stage", lambda message=message: fail(message), failures, stopped.set)
        thread.start()
        thread.join(5)
    assert str(failures.first) == "cause"
    assert stopped.is_set()


def test_an_abandoned_channel_is_no_failure():
    failures = Failures()

    def give_up() -> None:
        raise Abandoned

    thread = StageThread("stage", give_up, failures)
    thread.start()
    thread.join(5)
    assert failures.first is None
