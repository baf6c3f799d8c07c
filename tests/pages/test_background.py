"""Work beside a page: it tells how far it is, can be stopped, and hands its error over."""

import threading
import time

import pytest

from lab.errors import InputError
from lab.pages import background
from lab.pages.background import Job


def counting(progress, stop):
    """Counts to a thousand unless it is stopped."""
    for done in range(1000):
        progress(done, 1000)
        if stop():
            return done
        time.sleep(0.001)
    progress(1000, 1000)
    return 1000


def test_an_answer_is_kept():
    job = Job(lambda progress, stop: "found")
    assert job.wait(10) and job.answer() == "found" and not job.stopped


def test_progress_is_told_and_a_stop_ends_it_where_it_is():
    job = Job(counting)
    assert not job.wait(0.05)
    assert 0 <= job.share < 1
    job.stop()
    assert job.wait(10) and job.stopped and job.answer() < 1000


def test_a_stop_after_the_end_changes_nothing():
    job = Job(lambda progress, stop: progress(3, 3))
    assert job.wait(10)
    job.stop()
    assert not job.stopped and job.share == 1


def test_an_error_is_raised_where_the_answer_is_asked_for():
    def refuse(progress, stop):
        raise InputError("steps=-1; it must be at least 0")

    job = Job(refuse)
    assert job.wait(10)
    with pytest.raises(InputError, match="steps=-1"):
        job.answer()


def test_work_that_nobody_asks_for_any_more_ends(monkeypatch):
    monkeypatch.setattr(background, "PATIENCE", 0.05)
    ended = threading.Event()

    def work(progress, stop):
        while not stop():
            time.sleep(0.01)
        ended.set()

    Job(work)
    assert ended.wait(10)


def test_work_goes_on_as_long_as_one_reader_looks(monkeypatch):
    job = Job(counting)
    assert not job.wait(0, "one") and not job.wait(0, "another") and job.readers == 2
    assert not job.left("one"), "another still looks"
    assert job.readers == 1 and not job.wait(0.05, "another")
    assert job.left("another"), "nobody is left"
    assert job.wait(10, "late") and job.stopped and not job.left("late"), "what has ended is not cut short"


def test_a_reader_who_no_longer_asks_counts_no_more(monkeypatch):
    job = Job(counting)
    job.wait(0, "closed")
    monkeypatch.setattr(background, "PATIENCE", -1.0)
    assert job.readers == 0
    assert job.wait(10) and job.stopped
