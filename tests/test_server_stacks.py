"""02-threads gives each guest a stack that is measured to be enough: this is the measurement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.chapters import Chapter
from support.servers import SANITIZER, Server
from support.story import Story

PLATE = 64 << 10
STACK = 2 * PLATE


def _touched(pid: int) -> list[int]:
    """Bytes in use of each mapping that has the size of a guest's stack."""
    mappings = re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", Path(f"/proc/{pid}/smaps").read_text())
    sizes = [(int(re.search(r"^Size: +(\d+)", m, re.MULTILINE).group(1)) << 10,  # type: ignore
              int(re.search(r"^Rss: +(\d+)", m, re.MULTILINE).group(1)) << 10)  # type: ignore
             for m in mappings if "Rss:" in m]
    return [touched for size, touched in sizes if size == STACK]


@pytest.mark.promise("many_threads")
@pytest.mark.skipif(bool(SANITIZER), reason="sanitizers make every stack frame larger")
def test_a_host_uses_little_of_his_stack_beside_the_plate(server: Server, story: Story,
                                                          chapter: Chapter) -> None:
    guest = server.guest()
    guest.say(b"x" * (4 * PLATE))
    most = max(_touched(server.pids[0]), default=0)
    story.tell(f"looked at his host's stack: {most} of {STACK} bytes have been touched")
    story.check(PLATE < most < PLATE + PLATE // 4,
                "the plate and at most a quarter of what is beside it", f"{most} bytes")
    guest.leave()
