"""What each chapter promises. The tests ask this table and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterable

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Chapter:
    name: str  # the directory, and the id of its tests
    crowd: int  # so many guests at once are promised
    at_once: bool  # a second guest is served while a first one sits idle
    many_threads: bool  # a thread for each guest: there may be none left
    below_fd_setsize: bool  # descriptors from 1024 on cannot be watched
    clean_goodbye: bool  # Ctrl-C: echo what has come, say goodbye, exit 0
    runtime: bool = False  # --workers and --idle-timeout
    client: str = ""  # of a foreign client: the command that starts it, with {port}

    @property
    def default_goodbye(self) -> bool:
        """Ctrl-C: the default action of the signal."""
        return not self.clean_goodbye

    @property
    def one_at_a_time(self) -> bool:
        return not self.at_once

    @property
    def thousands(self) -> bool:
        """As many guests as descriptors, and each is a small thing."""
        return self.crowd > 1000

    @property
    def shares_memory(self) -> bool:
        """Between threads: 02 always, 05 with --workers."""
        return self.name in ("02-threads", "05-async-tasks")

    @property
    def is_foreign(self) -> bool:
        return self.name == FOREIGN.name

    @property
    def directory(self) -> Path:
        return REPOSITORY / self.name


#          name             crowd  at_once  threads  fd<1024  goodbye
CHAPTERS = (
    Chapter("01-blocking",      1, False,   False,   False,   False),
    Chapter("02-threads",    1000, True,    True,    False,   False),
    Chapter("03-select",      900, True,    False,   True,    True),
    Chapter("04-epoll",      2000, True,    False,   False,   True),
    Chapter("05-async-tasks", 2000, True,   False,   False,   True,    runtime=True),
)

# Any server in any language, given by --server, is taken to promise this much. A client given
# by --client is taken to promise what `nc` does: its stdin goes to the server, what comes back
# goes to its stdout; and that it fails when the echo does.
FOREIGN = Chapter("foreign", 1000, True, False, False, False)


def foreign(promises: Iterable[str], client: str) -> Chapter:
    return replace(FOREIGN, client=client, **{promise: True for promise in promises})
