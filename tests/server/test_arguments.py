"""The command line: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

from errno import EADDRINUSE, EMFILE
from typing import Any

import pytest

import inject
from harness.chapters import Chapter
from harness.machine import error_words, needs_address, needs_root
from harness.server import Server
from harness.story import Story

pytestmark = pytest.mark.ours_only("its command line")


def run(chapter: Chapter, story: Story, *arguments: str, port: Any = None,
        **options: Any) -> Server:
    """One that ends by itself. If it listens it is ended, and then its `ended` is None."""
    server = Server(chapter, story, *arguments, port=port, **options)
    try:
        if not server.log.wait_for(lambda text: "listening" in text):
            server.wait()
    finally:
        server.stop()
    return server


def expect_failure(server: Server, words: str, lines: int = 1) -> None:
    server.story.check(server.ended == 1, "exit status 1", f"it is {server.ended}")
    said = server.errors.lines or [""]
    server.story.check(
        len(said) == lines and said[0].startswith("server: ") and words in said[0],
        f"{lines} line(s) on stderr, the first with 'server: ' and '{words}'", "there is another")


def test_help_is_usage_on_stdout(chapter, story):
    server = run(chapter, story, "--help")
    story.check(server.ended == 0 and not server.errors.text, "exit status 0 and an empty stderr",
                f"it is {server.ended}")
    for words in ("Usage: server [OPTION]...\n", "--host", "--port", "--quiet"):
        story.check(words in server.log.text, f"{words} in its help",
                    f"it says:\n{server.log.text}")


def test_help_that_cannot_be_written_is_a_failure(chapter, story):
    expect_failure(run(chapter, story, "--help", shell=">/dev/full"), "No space left on device")


@pytest.mark.fault(44, happened="exit 2")
@pytest.mark.parametrize("arguments", [
    ["--port", ""], ["--port", "abc"], ["--port", "-1"], ["--port", "65536"], ["--port", "80x"],
    ["--port", " 80"], ["--port", "1e3"], ["--port", "99999999999999999999"], ["--port"],
    ["--host"], ["--no-such-option"], ["--quiet=yes"], ["8080"],
    ["--workers", "0"], ["--idle-timeout", "0"],
], ids=" ".join)
def test_bad_arguments_are_refused_with_a_line_and_the_usage(chapter, story, arguments):
    server = run(chapter, story, *arguments)
    story.check(server.ended == 2, "exit status 2", f"it is {server.ended}")
    first, *rest = server.errors.text.lower().splitlines() or [""]
    story.check(first.startswith("server") and "usage" not in first and "usage" in str(rest),
                "a line on stderr that names the mistake, and then the usage", "it is not so")
    story.check(not server.log.text, "nothing on stdout", f"there is: {server.log.text}")


@pytest.mark.fault(43, happened="in use: exit 1")
def test_a_port_in_use_is_reported_with_the_way_out(server, chapter, story):
    failed = run(chapter, story, "--port", str(server.port))
    expect_failure(failed, f"bind 127.0.0.1:{server.port}: {error_words(EADDRINUSE)}",
                   lines=2)
    story.check("--port" in failed.errors.lines[1], "a second line that names --port",
                "there is another")
    server.serves_a_new_client()


@pytest.mark.fault(45, happened="exit 1")
def test_a_port_that_needs_root_is_reported(chapter, story, network):
    """In a network of its own, as a machine may give port 80 to everybody; and as root without
    the right to it."""
    needs_root()
    place = network({"ipv4/ip_unprivileged_port_start": "1024"})
    failed = run(chapter, story, "--port", "80", network=place,
                 prefix=["setpriv", "--bounding-set=-net_bind_service"])
    expect_failure(failed, "bind 127.0.0.1:80: Permission denied")


@pytest.mark.fault(46, happened="unknown: exit 1")
def test_an_unknown_host_is_reported(chapter, story):
    expect_failure(run(chapter, story, "--host", "no-such-host.invalid"), "no-such-host.invalid")


@pytest.mark.no_sanitizer("a sanitizer needs descriptors of its own")
@pytest.mark.fault(64, happened="exit 1")
@pytest.mark.parametrize("descriptors", range(4, 12))
def test_too_few_descriptors_to_start_are_reported(chapter, story, descriptors):
    """With each number it either fails before the first line, or serves."""
    server = run(chapter, story, port=0, shell=f"ulimit -n {descriptors}")
    if not server.log.text:
        expect_failure(server, "")


@pytest.mark.no_sanitizer("a sanitizer needs descriptors of its own")
@pytest.mark.fault(64, happened="exit 1")
@pytest.mark.promise("runtime")
def test_too_few_descriptors_for_the_workers_are_reported(chapter, story):
    failed = run(chapter, story, "--workers", "64", port=0, shell="ulimit -n 16")
    expect_failure(failed, error_words(EMFILE))


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
def test_each_address_of_a_name_is_tried(start_server):
    """The first one is nobody's here (RFC 5737), so that it cannot be bound."""
    server = start_server("--host", "many.test",
                          env=inject.environment("names=192.0.2.1,127.0.0.1"))
    server.log.expect(f"✅ Server listening on 127.0.0.1:{server.port}")
    server.serves_a_new_client()


def test_without_options_it_is_127_0_0_1_8080(start_server, network):
    server = start_server(port=None, network=network())
    server.log.expect("✅ Server listening on 127.0.0.1:8080")
    server.serves_a_new_client()


@pytest.mark.promise("runtime")
@pytest.mark.no_sanitizer("both want to be loaded first")
def test_a_worker_that_cannot_start_is_reported(chapter, story):
    """The first epoll instance is the main thread's."""
    failed = run(chapter, story, "--workers", "2",
                 env=inject.environment(f"epoll_create1:{EMFILE}@3"))
    expect_failure(failed, "worker 2: Too many open files")
