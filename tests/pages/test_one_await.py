"""The picture of one await in 05 is what a debugger sees."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Tuple
from xml.etree import ElementTree

import pytest

from harness import proc
from harness.chapters import CHAPTERS, mirror

CHAPTER = CHAPTERS[-1].directory
Call = Tuple[str, str]  # a function, and the one in the picture that it was called by

# Prints each call and who called it, of the functions in the picture.
RECORDER = """
import gdb
names = {names}
class Entry(gdb.Breakpoint):
    def stop(self):
        frame = gdb.newest_frame().older()
        while frame and frame.name() not in names:
            frame = frame.older()
        print("CALL", self.location, frame.name() if frame else "", flush=True)
        return False
for name in names:
    Entry(name)
"""


def drawn() -> list[Call]:
    """The words in the typeface of code, from top to bottom; their place is their depth."""
    picture = ElementTree.parse(CHAPTER / "one-await.svg")
    calls, stack = [], []
    for text in picture.iter("{http://www.w3.org/2000/svg}text"):
        if text.get("class") == "c":
            place = int(text.attrib["x"])
            stack = [above for above in stack if above[0] < place]
            calls.append((text.text or "", stack[-1][1] if stack else ""))
            stack.append((place, text.text or ""))
    return calls


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not here")
def test_the_picture_of_one_await_is_what_a_debugger_sees(tmp_path: Path) -> None:
    calls = drawn()
    copy = mirror(CHAPTER, tmp_path / CHAPTER.name)
    made = proc.run(["make", "server", "CFLAGS=-O0 -g"], cwd=copy, within=300)
    assert made.returncode == 0, made.stderr
    recorder = tmp_path / "recorder.py"
    recorder.write_text(RECORDER.format(names=sorted({name for name, _ in calls})))
    gdb = subprocess.Popen(
        ["gdb", "-q", "-batch", "-ex", "set debuginfod enabled off", "-ex", "start",
         "-x", str(recorder), "-ex", "continue", "--args", "./server", "--port", "0", "--quiet"],
        cwd=copy, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    seen = []
    try:
        assert gdb.stdout is not None
        for line in gdb.stdout:
            if "ptrace" in line or "ot permitted" in line:
                pytest.skip("gdb may not trace here")
            seen.append(line)
            listening = re.search(r"listening on .*:(\d+)", line)
            if listening:
                drip = socket.create_connection(("127.0.0.1", int(listening[1])), 60)
                for _ in range(2):  # between two words it waits
                    drip.sendall(b"drip\n")
                    assert drip.recv(100) == b"drip\n"
                break
    finally:
        gdb.kill()
        rest, _ = gdb.communicate()
    recorded = re.findall(r"^CALL (\w+) ?(\w*)$", "".join(seen) + rest, re.M)
    after = iter(recorded)
    missing = next((call for call in calls if call not in after), None)
    assert missing is None, f"{missing} does not come where it is drawn: {recorded}"
