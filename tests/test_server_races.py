"""Who has more than one thread can have a data race: ThreadSanitizer looks for one.

The whole suite runs under it as SAN=thread pytest tests/; this is the slice that always runs.
"""

from __future__ import annotations

import os
import random
import subprocess

import pytest

from conftest import StartServer
from support import shims
from support.chapters import Chapter
from support.guests import Crowd
from support.servers import SANITIZER
from support.story import Story

THREADS = {"02-threads": "", "05-async-tasks": "--workers 4"}


@pytest.mark.ours_only("about its threads")
@pytest.mark.promise("shares_memory")
@pytest.mark.fault(55, happened="no report")
@pytest.mark.skipif(bool(SANITIZER or shims.WORDS), reason="SAN or SHIM is set already")
def test_guests_at_once_race_for_nothing(
        start_server: StartServer, story: Story, chapter: Chapter) -> None:
    """What ThreadSanitizer has to say, it says on stderr; start_server looks for that."""
    _build_with_thread_sanitizer(chapter)
    server = start_server(
        command=f"{chapter.directory}/server-thread --port {{port}} {THREADS[chapter.name]}")
    crowd = server.crowd(50)
    for turn in range(3):
        crowd.say_at_once([random.Random(turn * 100 + number).randbytes(20_000)
                           for number in range(50)])
    for guest in crowd[::2]:
        guest.reset()
    Crowd(crowd[1::2]).leave()
    server.serves_a_new_guest()


def _build_with_thread_sanitizer(chapter: Chapter) -> None:
    made = subprocess.run(["make", "-s", "-C", str(chapter.directory), "SAN=thread",
                           "server-thread"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, env={**os.environ, "MAKEFLAGS": ""})
    if made.returncode != 0:
        pytest.skip(f"ThreadSanitizer is not possible here: {made.stdout.splitlines()[-1]}")
    tried = subprocess.run([chapter.directory / "server-thread", "--help"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if tried.returncode != 0:
        pytest.skip(f"ThreadSanitizer does not run here: {tried.stderr.splitlines()[0]}")
