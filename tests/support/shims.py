"""The shim: a libc that is less kind than the usual one. tests/shim/shim.c tells what it can do.

    SHIM='cut=1 eintr=3 eagain=5' pytest tests/    every server and client with it in between
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "shim"
WORDS = os.environ.get("SHIM", "")
WHOLE = 1000  # cut=N with a smaller N takes too long for tests that move megabytes

# What SHIM says, by name: {"cut": 1, "eintr": 3}
RULES = {name: int(number) for name, number in re.findall(r"\b([a-z]+)=(\d+)", WORDS)}

# What means nothing, or takes for ever, under a certain rule of the shim.
UNFIT = {
    "cut": {
        "test_the_echo_of_another_guest": "what is said at once must be heard at once here",
        "test_a_host_uses_little_of_his_stack_beside_the_plate": "no plate is ever filled",
        "test_a_guest_whose_order_takes_for_ever_to_compute_holds_up_nobody":
            "an order in pieces is not that order",
    },
    "trickle": {name: "megabytes, byte by byte" for name in (
        "test_64_mebibytes_stream_through",
        "test_messages_of_one_mebibyte_go_to_and_fro",
        "test_200_guests_speak_at_once_and_nothing_is_crossed",
        "test_a_guest_who_reads_only_after_the_last_byte_gets_everything",
        "test_memory_stays_bounded_when_nobody_reads",
        "test_who_would_write_64_mebibytes_before_he_reads_is_stuck_and_loses_nothing",
        "test_four_workers_lose_no_byte_of_a_big_message",
        "test_a_guest_who_never_reads_costs_no_cpu",
        "test_a_guest_who_never_reads_holds_up_nobody",
        "test_who_waited_for_a_slow_reader_is_served_when_he_reads_again",
        "test_what_is_on_its_way_comes_back",
        "test_a_transfer_goes_on_to_its_end",
        "test_a_guest_who_goes_on_talking_loses_no_echo_to_a_reset",
        "test_the_door_is_closed_while_the_last_guests_finish",
        "test_a_second_signal_ends_at_once",
        "test_guests_who_do_not_finish_are_cut_after_five_seconds",
        "test_a_big_file_comes_back_whole_and_in_bounded_memory",
        "test_from_a_file_into_a_file",
        "test_who_reads_its_stdout_may_pause_for_longer",
        "test_an_echo_in_pieces_or_late_is_still_an_echo",
        "test_one_more_sentence_is_a_few_lines_in_one_function",
    )},
    "eagain": {
        "test_who_stands_at_the_door_is_still_served":
            "who is told that nobody stands there may close the door",
    },
}


def unfit(test: str) -> str:
    """Why this test means nothing under today's rules; an empty string if it does."""
    for rule in (*RULES, *(["trickle"] if trickles() else [])):
        why = UNFIT.get(rule, {}).get(test)
        if why:
            return f"SHIM='{WORDS}': {why}"
    return ""


def trickles() -> bool:
    """Whether bytes go one by one, or nearly so."""
    return 0 < RULES.get("cut", 0) < WHOLE


@lru_cache(maxsize=None)
def library() -> Path:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the shim stands before glibc, and there is another libc here")
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CFLAGS")}
    with open(SOURCES / "Makefile", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test files run side by side: one builds, all use it
        made = subprocess.run(["make", "-s", "-C", str(SOURCES)], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, env=environment, check=False)
    if made.returncode != 0:
        pytest.fail(f"tests/shim cannot be built:\n{made.stdout}", pytrace=False)
    return SOURCES / "build" / "shim.so"


def before(words: str, note: str = "") -> list[str]:
    """What to type before a command that shall run with the shim."""
    if not words:
        return []
    return ["env", f"LD_PRELOAD={library()}", f"SHIM={words}", f"SHIM_NOTE={note}"]


def as_typed(words: str) -> str:
    return f"SHIM='{words}' " if words else ""
