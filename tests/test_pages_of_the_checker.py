"""The checker of the pages is checked itself: with pages made up for the purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

import pages
from support import machine
from pages import Page, Problem

SERVER = """\
#include <stdio.h>

#define PLATE_SIZE (64 * 1024)

/* Greets.
 */
int main(void)
{
    for (int i = 0; i < 3; i++) {
        puts("hello /* no comment */"); // but this

    }
    return 0;
}
"""

Write = Callable[..., Page]
GREETER = """bash -c 'trap "echo goodbye; exit" INT; echo ready; while :; do sleep 0.02; done'"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(text, name): a repository of two chapters, and the page that holds this text."""
    for chapter, text in (("01-one", SERVER), ("02-two", SERVER.replace("< 3", "< 4"))):
        (tmp_path / chapter).mkdir()
        (tmp_path / chapter / "server.c").write_text(text)

    def page(text: str, name: str = "01-one/README.md") -> Page:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("~~~", "```"))
        return Page(name, tmp_path)

    return page


def expect(problems: list[Problem], *lines_and_words: tuple[int, str]) -> None:
    text = "\n".join(map(str, problems)) or "no problem is found"
    assert [problem.line for problem in problems] == [line for line, _ in lines_and_words], text
    for problem, (_, word) in zip(problems, lines_and_words):
        assert word in str(problem), text


def play(page: Page) -> list[Problem]:
    return pages.check_sessions(page, patience=1.5)


# ---- snippets


def test_a_snippet_that_stands_in_the_code_passes_however_it_is_indented(write: Write) -> None:
    expect(pages.check_snippets(write("~~~c\nfor (int i = 0; i < 3; i++) {\n~~~\n")))


def test_a_snippet_that_is_off_by_one_character_is_found_with_its_neighbour(write: Write) -> None:
    page = write("Text\n\n~~~c\nfor (int i = 0; i <= 3; i++) {\n~~~\n")
    expect(pages.check_snippets(page), (4, "the nearest is 01-one/server.c line 9"))
    assert "+for (int i = 0; i < 3; i++) {" in str(pages.check_snippets(page)[0])


def test_a_snippet_of_another_chapter_is_found(write: Write) -> None:
    text = "~~~c\nfor (int i = 0; i < 4; i++) {\n~~~\n"
    expect(pages.check_snippets(write(text)), (2, "not in 01-one/server.c any more"))
    expect(pages.check_snippets(write(text, "README.md")))
    expect(pages.check_snippets(write(text.replace("~~~c", "~~~c 02-two/server.c"))))


@pytest.mark.parametrize("gap", ["...", "    …", "    /* ... */"])
def test_a_gap_leaves_lines_out(write: Write, gap: str) -> None:
    expect(pages.check_snippets(write(f"~~~c\nint main(void)\n{gap}\n    return 0;\n~~~\n")))


def test_without_a_gap_no_line_may_be_left_out(write: Write) -> None:
    expect(pages.check_snippets(write("~~~c\nint main(void)\n    return 0;\n~~~\n")), (2, ""))


def test_pieces_in_the_wrong_order_are_found(write: Write) -> None:
    page = write("~~~c\n    return 0;\n...\nint main(void)\n~~~\n")
    expect(pages.check_snippets(page), (4, "but before the piece above"))


def test_a_counter_example_need_not_stand_in_the_code(write: Write) -> None:
    expect(pages.check_snippets(write("~~~c not-in-the-code\nif (x) { y(')'); }\n~~~\n")))


def test_a_bracket_without_a_partner_is_found(write: Write) -> None:
    page = write("~~~c not-in-the-code\nif (x) { y(); \n~~~\n")
    expect(pages.check_snippets(page), (1, "a { of this example has no partner"))


# ---- diffs


def test_a_diff_is_held_to_diff(write: Write) -> None:
    text = ("~~~diff 01-one/server.c 02-two/server.c\n {\n-    for (int i = 0; i < 3; i++) {\n"
            "+    for (int i = 0; i < 4; i++) {\n...\n     }\n~~~\n")
    expect(pages.check_diffs(write(text)))
    expect(pages.check_diffs(write(text.replace("+    for", "     for"))), (2, "`diff -u 01-one"))


# ---- names and links


def test_a_missing_file_is_found_wherever_it_is_named(write: Write) -> None:
    page = write("# One\n\n`server.c`, `02-two/server.c`, `poll()`, `./server`, `<poll.h>`\n"
                 "`client.c`\n`02-two/client.c` [here](server.c) [up](../02-two/server.c#L3)\n"
                 "[there](client.c) [nowhere](#two) [line](server.c#L99) [top](#one)\n")
    expect(pages.check_names(page), (4, "there is no client.c"), (5, "there is no 02-two/client.c"),
           (6, "client.c leads nowhere"), (6, "no heading for #two"), (6, "no line for #L99"))


def test_anchors_are_made_as_github_makes_them() -> None:
    headings = "# What `select()` can't do: 1,024\n## Words\n## Words\n"
    assert pages.anchors_of(headings) == {"what-select-cant-do-1024", "words", "words-1"}


# ---- numbers


def test_a_stale_number_is_found_and_mended(write: Write) -> None:
    stale = ("<!-- lines: server.c -->88<!-- /lines --> lines\n"
             "<!-- code: *.c,*.h -->1,234<!-- /code -->\n"
             "<!-- difflines: 01-one/server.c 02-two/server.c -->7<!-- /difflines -->\n"
             "<!-- value: PLATE_SIZE server.c -->32 KiB<!-- /value -->\n")
    (write("").top / "01-one" / "empty.h").write_text("/* nothing */\n")
    page = write(stale)
    expect(pages.check_figures(page), (1, "the page says 88, it is 14"), (2, "it is 9"),
           (3, "it is 2"), (4, "it is 64 KiB"))
    pages.main(["--fix"], page.top)
    expect(pages.check_figures(Page(page.name, page.top)))
    assert Page(page.name, page.top).text.startswith("<!-- lines: server.c -->14<!-- /lines --> l")


def test_a_number_that_nobody_can_know_is_found(write: Write) -> None:
    page = write("<!-- lines: client.c -->1<!-- /lines -->\n"
                 "<!-- value: X server.c -->1<!-- /value -->\n<!-- lines: server.c -->14\n")
    expect(sorted(pages.check_figures(page), key=lambda problem: problem.line),
           (1, "no file client.c"), (2, "no #define X"), (3, "not closed"))


# ---- sessions


def test_a_right_session_passes(write: Write) -> None:
    machine.needs_terminals()
    expect(play(write("~~~console\n$ cat 01-one/server.c | head -1\n#include <stdio.h>\n"
                      "# a remark\n$ for i in 1 2\n> do echo $i; done\n1\n2\n$ seq 9\n1\n...\n9\n"
                      "$ echo it took 0.33 s\nit took ... s\n~~~\n")))


def test_a_wrong_output_is_found_with_its_line(write: Write) -> None:
    machine.needs_terminals()
    problems = play(write("~~~console\n$ echo one\none\n$ echo two\nthree\n~~~\n"))
    expect(problems, (4, "`echo two`"))
    assert "-three" in str(problems[0]) and "+two" in str(problems[0])


@pytest.mark.parametrize("session, line", [
    ("$ seq 3\n1\n2\n", 2), ("$ seq 2\n1\n2\n3\n", 2), ("$ seq 2\n2\n", 2), ("$ seq 3\n...\n2\n", 2),
    ("$ seq 3\n1\n2\n$ true\n", 2)], ids=repr)
def test_output_that_is_short_or_long_is_found(write: Write, session: str, line: int) -> None:
    machine.needs_terminals()
    expect(play(write(f"~~~console\n{session}~~~\n")), (line, "does not go as shown"))


def test_ctrl_c_ends_what_runs(write: Write) -> None:
    machine.needs_terminals()
    expect(play(write(f"~~~console\n$ {GREETER}\nready\n^C\ngoodbye\n$ echo $?\n0\n~~~\n")))
    expect(play(write(f"~~~console\n$ {GREETER}\nready\n^C\nfarewell\n~~~\n")), (4, "+goodbye"))


def test_what_does_not_end_is_found_and_named(write: Write) -> None:
    machine.needs_terminals()
    expect(play(write("~~~console\n$ sleep 1000\n$ echo two\ntwo\n~~~\n")), (2, "does not return"))


def test_two_terminals_take_turns(write: Write) -> None:
    machine.needs_terminals()
    text = ("~~~console\n$ mkfifo door; echo open; cat door; sleep 1000\nopen\n~~~\n"
            "~~~console 2\n$ echo hello >door\n~~~\n~~~console\nhello\n~~~\n"
            "~~~console 2\n$ echo still here\nstill here\n~~~\n~~~console\n^C\n~~~\n")
    expect(play(write(text)))
    expect(play(write(text.replace("\nhello\n", "\nhullo\n"))), (9, "+hello"))


def test_a_line_can_be_typed_to_a_program(write: Write) -> None:
    machine.needs_terminals()
    expect(play(write("<!-- typed: Hello | you -->\n\n~~~console\n$ cat\nHello\nHello\nyou\nyou\n^D\n"
                      "$ echo and on\nand on\n~~~\n")))


def test_a_session_leaves_neither_processes_nor_files(write: Write) -> None:
    machine.needs_terminals()
    page = write("~~~console\n$ sleep 1000 & sleep 1000\n~~~\n"
                 "~~~console 2\n$ touch 01-one/left\n~~~\n")
    copy = pages.copy_of(page.top, page.top.parent / "copy")
    playing = pages.Play(page, copy, patience=1.5)
    expect(playing.run())
    sessions = [terminal.bash.pid for terminal in playing.terminals.values()]
    assert sessions and not any(map(pages.session_members, sessions))
    assert (copy / "01-one" / "left").exists() and not (page.top / "01-one" / "left").exists()


def test_a_session_that_is_not_run_shows_what_is_typed(write: Write) -> None:
    expect(play(write("~~~console not-run\n$ make test\n~~~\n")))
    with pytest.raises(pages.WrongPage, match="line 1"):
        play(write("~~~console not-run\nall tests pass\n~~~\n"))
    with pytest.raises(pages.WrongPage, match="line 2.*not-run"):
        play(write("~~~console\n$ make test\n~~~\n"))


@pytest.mark.parametrize("typed, becomes", [
    ("./server", "./server --port N"),
    ("make 01-one && ./server --quiet", "make 01-one && ./server --port N --quiet"),
    ("./client - <big | cmp - big", "./client --port N - <big | cmp - big"),
    ("(ulimit -n 9; exec ./server)", "(ulimit -n 9; exec ./server --port N)"),
    ("02-two/client 'Hello' &", "02-two/client --port N 'Hello' &"),
    ("./server --port 0", "./server --port 0"),
    ("./server --port 8080", "./server --port N"),
    ("nc 127.0.0.1 8080", "nc 127.0.0.1 N"),
    ("ls -l ./server", "ls -l ./server"),
    ("cat 01-one/server.c", "cat 01-one/server.c"),
])
def test_port_8080_need_not_be_free(typed: str, becomes: str) -> None:
    ports = pages.Ports()
    command = ports.typed(typed)
    assert command.replace(ports.stand_in("8080"), "N") == becomes
    assert ports.shown(f"listening on :{ports.stand_in('8080')}") == "listening on :8080"


@pytest.mark.parametrize("line", [
    "New connection from: 127.0.0.1:{}1234", "9 guests, 0 errors, {}.25 s", "real\t0m{}.123s"])
def test_what_differs_from_run_to_run_is_no_difference(line: str) -> None:
    assert pages.normalised(line.format(1)) == pages.normalised(line.format(2))
    assert pages.normalised("127.0.0.1:8080") != pages.normalised("127.0.0.1:8081")


def test_without_pages_there_is_nothing_to_check(tmp_path: Path) -> None:
    assert pages.page_names(tmp_path) == [] and pages.main([], tmp_path) == 0
