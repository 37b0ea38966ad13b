#!/usr/bin/env python3
"""Runs the two commands of the README on other machines, and writes what came of it into
tests/README.md. A machine is a root made by debootstrap, with the packages of its row.

    sudo python3 tests/machines/machines.py                   all rows: hours, and 10 GB
    sudo python3 tests/machines/machines.py --only 'sid|musl'
    python3 tests/machines/machines.py --list

Each row works on a fresh clone of HEAD, on a layer above its root that is thrown away. It has
its own mounts, processes and loopback: all of them end when this program does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Optional
from xml.etree import ElementTree

from rows import ROWS, Row, with_python

HERE = Path(__file__).resolve().parent
REPOSITORY, PAGE, RESULTS = HERE.parents[1], HERE.parent / "README.md", HERE / "results.jsonl"
BASE = "ca-certificates,git,libc6-dev,make,passwd,python3"
PROJECT = "/home/reader/project"
HOURS = 2  # after which a command that does not end is ended

# The first command of the README, and what a reader sees in the second terminal.
SERVE = r"""
make 05-async-tasks || exit
$EMULATOR ./server >/tmp/server.log 2>&1 & server=$!
for try in $(seq 100); do grep -q listening /tmp/server.log && break; sleep 0.1; done
$EMULATOR ./client >/tmp/client.log 2>&1; cat /tmp/server.log /tmp/client.log
kill $server; wait $server
grep -qx "Received echo from server: 'Hello, Tokio!'" /tmp/client.log
"""
VERSIONS = r"""
cc=${CC:-gcc}; $cc --version | sed -n 's/^\([^ ]*\).*) \([0-9.]*\).*/gcc \2/p; s/.*clang version \([0-9.]*\).*/clang \1/p' | head -1
ldd --version | sed -n '1s/.* /glibc /p'
python3 -c 'import sys; print("Python %d.%d" % sys.version_info[:2])'
python3 -c 'import pytest; print("pytest", pytest.__version__)' 2>/dev/null
"""


class Trouble(Exception):
    """What keeps a row from being run, in a sentence."""


@dataclass
class Outcome:
    name: str
    day: str = ""
    has: str = ""  # versions
    first: str = ""  # "yes", or what was told instead
    passed: int = 0
    walls: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: int = 0
    notes: list[str] = field(default_factory=list)  # reasons, failures, what was told


@dataclass
class Root:
    """The layers that make a machine, and a place for what is written on top of them."""

    home: Path
    mirror: str
    ubuntu: str
    log: Path = Path(os.devnull)

    def layers(self, row: Row) -> list[Path]:
        """Uppermost first. Made once; a layer that is half made is made anew."""
        base, packages = self.home / row.release, sorted(row.packages)
        if not self._done(base):
            self._debootstrap(row, base)
        if not packages:
            return [base]
        layer = self.home / "-".join([row.release, *packages])
        if not self._done(layer):
            upper = self.place()
            command = "apt-get -qq update && apt-get -qq -y --no-install-recommends install "
            status, said = self.run([base], upper, command + " ".join(packages), network=True)
            if status != 0:
                raise Trouble(f"{' '.join(packages)} cannot be installed: {last(said)}")
            shutil.rmtree(layer, ignore_errors=True)
            upper.rename(layer)
            shutil.rmtree(upper.parent)
            self._done(layer, True)
        return [layer, base]

    def place(self) -> Path:
        """A new layer, beside which there is room for where it is mounted."""
        upper = Path(tempfile.mkdtemp(dir=self.home, prefix="now-")) / "upper"
        upper.mkdir()
        return upper

    def _done(self, layer: Path, now: bool = False) -> bool:
        mark = layer.with_name(layer.name + ".done")
        if now:
            mark.touch()
        return mark.exists()

    def _debootstrap(self, row: Row, base: Path) -> None:
        shutil.rmtree(base, ignore_errors=True)
        words = ["debootstrap", "--variant=minbase", f"--include={BASE}"]
        # All of Ubuntu's scripts are one; an older debootstrap has it by an older name only.
        words += (["--components=main,universe", row.release, str(base), self.ubuntu, "gutsy"]
                  if row.ubuntu else [row.release, str(base), self.mirror])
        made = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if made.returncode != 0:
            raise Trouble(f"not in reach: {last(made.stdout)}")
        proxies = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True).stdout
        (base / "etc/apt/apt.conf.d/99host").write_text("".join(
            line for line in proxies.splitlines(True)
            if re.match(r"Acquire::(https?::|Check)", line)))
        shutil.copy("/etc/resolv.conf", base / "etc/resolv.conf")
        (base / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        self._done(base, True)

    def run(self, lower: list[Path], upper: Path, command: str, network: bool = False,
            user: str = "root", where: str = "/", env: str = "",
            binds: tuple[tuple[str, str], ...] = ()) -> tuple[int, str]:
        """In namespaces of its own: when `unshare` ends, for whatever reason, its child is
        killed, and with it go all processes and mounts."""
        root, work = upper.with_name("root"), upper.with_name("work")
        for directory in (root, work):
            directory.mkdir(exist_ok=True)
        below = ":".join(map(str, lower))
        lines = ["set -e", f"mount -t overlay -o lowerdir={below},upperdir={upper},"
                           f"workdir={work} overlay {root}",
                 f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
        for source, target in binds:
            to = shlex.quote(f"{root}{target}")
            lines += [f"mkdir -p {to}", f"mount --bind {shlex.quote(source)} {to}",
                      f"mount -o remount,bind,ro {to}"]
        if not network:
            lines += ["ip link set lo up"]
        inner = f"cd {shlex.quote(where)}; {env}\n{command}\nexit $?"
        home = "/root" if user == "root" else f"/home/{user}"
        proxies = " ".join(f"{name}={shlex.quote(value)}" for name, value in os.environ.items()
                           if name.lower().endswith("_proxy"))
        # Not a mere chroot, in which the kernel allows nobody a user namespace.
        lines += [f"cd {root}", "mkdir -p .outside", "pivot_root . .outside",
                  "umount -l /.outside", "rmdir /.outside",
                  f"exec chroot --userspec={user}:{user} / env -i HOME={home} TERM=dumb "
                  f"LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                  f" {proxies} DEBIAN_FRONTEND=noninteractive bash -c {shlex.quote(inner)}"]
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words += [] if network else ["--net"]
        with self.log.open("a+") as log:
            log.write(f"\n$ {command.strip()}\n")
            log.flush()
            start = log.tell()
            done = subprocess.run([*words, "sh", "-c", "\n".join(lines)], timeout=HOURS * 3600,
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
            log.seek(start)
            return done.returncode, log.read()


def last(text: str) -> str:
    return ([line for line in text.strip().splitlines() if line] or ["it said nothing"])[-1]


# ---- a row ---------------------------------------------------------------------------------

def run_row(root: Root, row: Row) -> Outcome:
    outcome = Outcome(row.name, time.strftime("%Y-%m-%d"), notes=[row.remark] * bool(row.remark))
    upper = root.place()
    started = time.monotonic()
    try:
        layers = root.layers(row)
        binds = tuple((str(_place_of_pytest(root, source)) if source.startswith("pytest of ")
                       else source, target) for source, target in row.binds)
        _work(root, row, outcome, layers, upper, binds)
    except Trouble as trouble:
        outcome.first, outcome.notes = "no", [str(trouble)]
    except subprocess.TimeoutExpired:
        outcome.notes += ["did not end"]
        outcome.failed += 1
    finally:
        outcome.seconds = round(time.monotonic() - started)
        shutil.rmtree(upper.parent, ignore_errors=True)
    return outcome


def _place_of_pytest(root: Root, source: str) -> Path:
    """pytest as Debian packages it is plain Python: another interpreter can use it as it is."""
    release = source.split()[-1]
    packages = ("python3-pytest", "python3-exceptiongroup", "python3-importlib-metadata",
                "python3-tomli")
    return root.layers(Row("", release, packages))[0] / "usr/lib/python3/dist-packages"


def _work(root: Root, row: Row, outcome: Outcome, layers: list[Path], upper: Path,
          binds: tuple[tuple[str, str], ...]) -> None:
    where = row.place or PROJECT
    clone = upper / where.lstrip("/")
    clone.parent.mkdir(parents=True)
    words = ["git", "clone", "-q", "--no-hardlinks", *row.clone, str(REPOSITORY), str(clone)]
    subprocess.run(words, check=True)

    def run(command: str, user: str = row.user, network: bool = False) -> tuple[int, str]:
        mounts = binds + (((str(clone), where),) if row.read_only else ())
        return root.run(layers, upper, command, network, user, where, row.env, mounts)

    if row.user != "root":
        run(f"useradd -m {row.user}; chown -R {row.user} ~{row.user}", user="root")
    outcome.has = ", ".join(run(VERSIONS)[1].split("\n")[:-1])
    status, said = run(SERVE)
    outcome.first = "yes" if status == 0 else "no"
    outcome.notes += _told(row.told_first, said) if status != 0 else []
    status, said = run(f"export PYTEST_ADDOPTS=--junitxml=/tmp/junit.xml\n{row.suite}",
                       network=row.network)
    report = upper / "tmp/junit.xml"
    if report.exists():
        _count(outcome, report)
    elif status != 0:
        outcome.notes += _told(row.told, said)
        outcome.failed += 0 if row.told and re.search(row.told, said) else 1


def _told(expected: str, text: str) -> list[str]:
    """The line in which a machine that cannot do it says so."""
    found = expected and re.search(f"^.*(?:{expected}).*$", text, re.M)
    return [f"told: {found[0].strip()}" if found else f"not told: {last(text)}"]


def _count(outcome: Outcome, report: Path) -> None:
    reasons: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        kinds = {child.tag: child for child in case}
        skip = kinds.get("skipped")
        if "failure" in kinds or "error" in kinds:
            outcome.failed += 1
            failed[re.sub(r"\[.*", "", case.get("name") or "")] += 1
        elif skip is not None and skip.get("type") == "pytest.xfail":
            outcome.walls += 1
        elif skip is not None:
            outcome.skipped += 1
            reasons[(skip.get("message") or "").replace("Skipped: ", "")] += 1
        else:
            outcome.passed += 1
    outcome.notes += [f"failed: {count} {name}" for name, count in failed.most_common()]
    outcome.notes += [f"{count} {reason}" for reason, count in reasons.most_common()
                      if "THOROUGH" not in reason and "only for this project" not in reason
                      and "not promised by" not in reason]


# ---- the table -----------------------------------------------------------------------------

def kept() -> dict[str, Outcome]:
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return {outcome.name: outcome for outcome in (Outcome(**json.loads(line)) for line in lines)}


def keep(outcome: Outcome) -> None:
    """One line a row, in the order of the rows."""
    all_of_them = {**kept(), outcome.name: outcome}
    order = {row.name: number for number, row in enumerate(ROWS)}
    names = sorted(all_of_them, key=lambda name: (order.get(name, len(order)), name))
    RESULTS.write_text("".join(json.dumps(vars(all_of_them[name]), ensure_ascii=False) + "\n"
                               for name in names))
    write_table([all_of_them[name] for name in names])


def remarks(outcome: Outcome) -> str:
    """All skips for want of a tool are one remark; the others stand as they are."""
    tools: set[str] = set()
    wanting, others = 0, []
    for note in outcome.notes:
        note = re.sub(r"(has no sanitizer):.*", r"\1", note)
        found = re.match(r"(\d+) (?:needs (\w+)$|(\w+) is (?:missing|not here)"
                         r"|an evening is recorded by (\w+)|.*typed with (.*), not found here)", note)
        if found:
            wanting += int(found[1])
            tools.update(", ".join(filter(None, found.groups()[1:])).split(", "))
        else:
            others += [note]
    if outcome.first != "yes":
        others.insert(0, "the first command fails" if outcome.first == "no" else outcome.first)
    if tools:
        others += [f"{wanting} want {', '.join(sorted(tools))}"]
    return "; ".join(others).replace("|", "\\|")


def write_table(outcomes: list[Outcome]) -> None:
    lines = ["| machine | has | passed | walls | skipped | failed | remarks |",
             "|---|---|--:|--:|--:|--:|---|"]
    for o in outcomes:
        lines += [f"| {o.name} | {o.has} | {o.passed} | {o.walls} | {o.skipped} | {o.failed} "
                  f"| {remarks(o)} |"]
    page = PAGE.read_text()
    before, marker, rest = page.partition("<!-- machines -->\n")
    _, end, after = rest.partition("<!-- /machines -->")
    if not marker or not end:
        sys.exit(f"{PAGE} has lost the two lines between which the table stands")
    PAGE.write_text(before + marker + "\n".join(lines) + "\n" + end + after)


# ---- the command ---------------------------------------------------------------------------

def main(arguments: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="REGEX", default="", help="only rows with such a name")
    parser.add_argument("--list", action="store_true", help="name the rows, and do nothing")
    parser.add_argument("--try", dest="suite", metavar="COMMAND", default="",
                        help="this instead of `make test`; the table stays as it is")
    parser.add_argument("--home", type=Path, default=Path("/var/tmp/machines"),
                        help="where roots and logs go (%(default)s)")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian")
    parser.add_argument("--ubuntu", default="http://archive.ubuntu.com/ubuntu")
    parser.add_argument("--python", metavar="PATH", action="append", default=[],
                        help="one more row: this interpreter, in a Debian 13")
    options = parser.parse_args(arguments)
    rows = [*ROWS, *(with_python(Path(path)) for path in options.python)]
    rows = [replace(row, suite=options.suite or row.suite) for row in rows
            if re.search(options.only, row.name)]
    if options.list:
        print("\n".join(row.name for row in rows))
        return 0
    missing = [name for name in ("debootstrap", "unshare", "ip", "git") if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        sys.exit("This needs root, for debootstrap and mounts." if not missing else
                 f"Missing here: {', '.join(missing)} (Debian: debootstrap util-linux iproute2 git)")
    options.home.mkdir(parents=True, exist_ok=True)
    root = Root(options.home.resolve(), options.mirror, options.ubuntu)
    failed = 0
    for row in rows:
        print(f"{row.name} …", flush=True)
        root.log = options.home / (re.sub(r"\W+", "-", row.name).strip("-") + ".log")
        root.log.unlink(missing_ok=True)
        outcome = run_row(root, row)
        if not options.suite:
            keep(outcome)
        failed += outcome.failed
        print(f"  {outcome.first}, {outcome.passed} passed, {outcome.walls} walls, "
              f"{outcome.skipped} skipped, {outcome.failed} failed in {outcome.seconds} s\n  "
              + "\n  ".join([*outcome.notes, f"log: {root.log}"]), flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
