"""The command line: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from errno import EADDRINUSE, EMFILE
from typing import Callable, Sequence

import pytest

from harness import proc
from harness.chapters import Chapter, program
from harness.machine import error_words, needs_address, needs_root
from harness.network import Network, unshare
from harness.server import Server
from harness.story import Story

pytestmark = pytest.mark.ours_only("its command line")

StartNetwork = Callable[..., Network]
Ended = subprocess.CompletedProcess  # of str


def _run(chapter: Chapter, story: Story, *arguments: str, shell: str = "",
         prefix: Sequence[str] = (), path: str = "") -> "Ended[str]":
    """A server that is expected to end by itself."""
    story.tell(f"ran {chapter.name}/server {' '.join(map(repr, arguments))} {shell}")
    command = [*prefix, path or str(program(chapter, "server")), *arguments]
    try:
        return proc.run(proc.in_shell(command, shell))
    except subprocess.TimeoutExpired:
        story.fail("it to end", "it is still running")


def _expect_failure(ended: "Ended[str]", story: Story, words: str, lines: int = 1) -> None:
    story.check(ended.returncode == 1, "exit status 1", f"it is {ended.returncode}")
    said = ended.stderr.splitlines() or [""]
    story.check(len(said) == lines and said[0].startswith("server: ") and words in said[0],
                f"{lines} line(s) on stderr, the first with 'server: ' and '{words}'",
                f"stderr is:\n{ended.stderr}")
    story.check("listening" not in ended.stdout, "no listening line", "there is one")


def test_help_is_usage_on_stdout(chapter, story):
    ended = _run(chapter, story, "--help")
    story.check(ended.returncode == 0 and not ended.stderr, "exit status 0 and an empty stderr",
                f"exit status {ended.returncode} and: {ended.stderr}")
    story.check(ended.stdout.startswith("Usage: server [OPTION]...\n"),
                "'Usage: server [OPTION]...' as its first line", f"it says:\n{ended.stdout}")
    for word in ("--host", "--port", "--quiet"):
        story.check(word in ended.stdout, f"{word} in its help", f"it says:\n{ended.stdout}")


def test_help_that_cannot_be_written_is_a_failure(chapter, story):
    ended = _run(chapter, story, "--help", shell=">/dev/full")
    _expect_failure(ended, story, "No space left on device")


@pytest.mark.fault(44, happened="exit 2")
@pytest.mark.parametrize("arguments", [
    ["--port", ""], ["--port", "abc"], ["--port", "-1"], ["--port", "65536"], ["--port", "80x"],
    ["--port", " 80"], ["--port", "1e3"], ["--port", "99999999999999999999"], ["--port"],
    ["--host"], ["--no-such-option"], ["--quiet=yes"], ["8080"],
], ids=" ".join)
def test_bad_arguments_are_refused_with_a_line_and_the_usage(chapter, story, arguments):
    ended = _run(chapter, story, *arguments)
    story.check(ended.returncode == 2, "exit status 2", f"it is {ended.returncode}")
    first, *rest = ended.stderr.splitlines() or [""]
    story.check(first.startswith("server") and "usage" not in first.lower(),
                "a first line on stderr that names the mistake", f"it is: {first}")
    story.check("usage" in "\n".join(rest).lower(), "the usage after it on stderr",
                f"stderr is:\n{ended.stderr}")
    story.check(not ended.stdout, "nothing on stdout", f"there is: {ended.stdout}")


@pytest.mark.fault(43, happened="in use: exit 1")
def test_a_port_in_use_is_reported_with_the_way_out(server, chapter, story):
    ended = _run(chapter, story, "--port", str(server.port))
    _expect_failure(ended, story, f"bind 127.0.0.1:{server.port}: {error_words(EADDRINUSE)}",
                    lines=2)
    story.check("--port" in ended.stderr.splitlines()[1], "a second line that names --port",
                f"stderr is:\n{ended.stderr}")
    server.serves_a_new_client()


@pytest.mark.fault(45, happened="exit 1")
def test_a_port_that_needs_root_is_reported(chapter, story, network, tmp_path):
    """In a network of its own, as a machine may give port 80 to everybody."""
    needs_root()
    for path in (tmp_path, *list(tmp_path.parents)[:2]):
        os.chmod(path, 0o755)
    copy = shutil.copy(program(chapter, "server"), tmp_path / "server")
    enter = network({"ipv4/ip_unprivileged_port_start": "1024"}).enter
    nobody = ["setpriv", "--reuid=65534", "--clear-groups"]
    ended = _run(chapter, story, "--port", "80", prefix=[*enter, *nobody], path=str(copy))
    _expect_failure(ended, story, "bind 127.0.0.1:80: Permission denied")


@pytest.mark.fault(46, happened="unknown: exit 1")
def test_an_unknown_host_is_reported(chapter, story):
    ended = _run(chapter, story, "--host", "no-such-host.invalid")
    _expect_failure(ended, story, "no-such-host.invalid")


@pytest.mark.no_sanitizer("a sanitizer needs descriptors of its own")
@pytest.mark.fault(64, happened="exit 1")
@pytest.mark.parametrize("descriptors", range(4, 12))
def test_too_few_descriptors_to_start_are_reported(chapter, story, descriptors):
    """With each number it either fails before the first line, or serves."""
    ended = _run_for_a_moment(chapter, story, f"ulimit -n {descriptors}")
    if ended is not None:
        _expect_failure(ended, story, "")


@pytest.mark.no_sanitizer("a sanitizer needs descriptors of its own")
@pytest.mark.fault(64, happened="exit 1")
@pytest.mark.promise("runtime")
def test_too_few_descriptors_for_the_workers_are_reported(chapter, story):
    ended = _run(chapter, story, "--port", "0", "--workers", "64", shell="ulimit -n 16")
    _expect_failure(ended, story, error_words(EMFILE))


def _run_for_a_moment(chapter: Chapter, story: Story, shell: str) -> "Ended[str] | None":
    """None if it listens; then it is ended."""
    server = Server(chapter, story, shell=shell)
    try:
        server.log.wait_for(lambda text: "listening" in text)
        if server.log.lines:
            return None
        status = server.process.wait(proc.PATIENCE)
    finally:
        server.stop()
    return subprocess.CompletedProcess([], status, server.log.text, server.errors.text)


# ---- hosts ---------------------------------------------------------------------------------

@pytest.mark.fault(46)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "0.0.0.0"])
def test_a_host_by_name_or_number(start_server, host):
    needs_address(host)
    start_server("--host", host).serves_a_new_client()


@pytest.mark.fault(46)
def test_a_host_by_ipv6(start_server):
    needs_address("::1")
    server = start_server("--host", "::1")
    server.log.expect(f"✅ Server listening on [::1]:{server.port}")
    client = server.client()
    server.log.expect(f"New connection from: {client.own_address}")
    client.say(b"six")
    client.finish()


@pytest.mark.fault(46)
def test_a_link_local_address_keeps_its_scope(start_server, network):
    server = start_server("--host", "fe80::1%lo", network=network(address="fe80::1"))
    server.log.expect(f"✅ Server listening on [fe80::1%lo]:{server.port}")


@pytest.mark.fault(46)
def test_each_address_of_a_name_is_tried(start_server, tmp_path):
    """The first one is nobody's here (RFC 5737), so that it cannot be bound."""
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.1 two.test\n127.0.0.1 two.test\n")
    mount = f"mount --bind {hosts} /etc/hosts && exec \"$@\""
    server = start_server("--host", "two.test", prefix=[
        *unshare("--mount"), "sh", "-c", mount, "sh"])
    server.log.expect(f"✅ Server listening on 127.0.0.1:{server.port}")
    server.serves_a_new_client()


def test_without_options_it_is_127_0_0_1_8080(start_server, network):
    server = start_server(port=None, network=network())
    server.log.expect("✅ Server listening on 127.0.0.1:8080")
    server.serves_a_new_client()
