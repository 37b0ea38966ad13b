"""The files, links and anchors that a page names are there."""

from __future__ import annotations

import collections
import posixpath
import re

from support_pages.page import Page, Problem


def blank(pattern: str, text: str) -> str:
    """Takes out what matches, and leaves every line and offset where it was."""
    return re.sub(pattern, lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.DOTALL)


CODE_SPAN = r"(?<!`)(`+)(?!`)((?:(?!\n\s*\n).)+?)(?<!`)\1(?!`)"
LINKS = (r"\]\(\s*<?([^)\s>]+)", r"(?m)^ {0,3}\[[^\]^][^\]]*\]:\s*<?([^\s>]+)",
         r"""<[^>]*\b(?:href|src)=["']([^"']+)""")


def looks_like_ours(name: str, page: Page) -> bool:
    if re.fullmatch(r"[\w*-][\w.*-]*\.(c|h|py|md|yml)|\d\d-[\w-]+|Makefile", name):
        return True
    first = name.split("/")[0]
    return bool(re.fullmatch(r"[\w./*-]+", name)) and "/" in name and (
        first == ".." or re.match(r"\d\d-", first) is not None
        or any(file.startswith(first + "/") for file in page.files))


def built_later(name: str) -> bool:
    return bool(re.search(r"(^|/)(build[\w-]*(/.*)?|(server|client)(-address|-thread)?)$", name))


def anchors_of(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    anchors = set(re.findall(r"""\b(?:id|name)=["']([^"']+)""", text))
    seen: collections.Counter[str] = collections.Counter()
    for heading in re.findall(r"(?m)^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", text):
        heading = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


def check_link(page: Page, target: str) -> str:
    """What is wrong with it; "" if nothing."""
    if re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.IGNORECASE):
        return ""
    path, _, anchor = target.partition("#")
    place = "" if path.startswith("/") else page.folder
    name = posixpath.normpath(posixpath.join(place, path.lstrip("/"))) if path else page.name
    if re.match(r"(\.\./)+(actions|issues|pulls|releases)\b", path):
        return ""  # a page of the repository on GitHub
    if name not in page.files and name != "." and not any(
            file.startswith(name + "/") for file in page.files):
        return f"the link to {target} leads nowhere"
    if anchor and name.endswith(".md"):
        if anchor not in anchors_of(Page(name, page.top).prose):
            return f"{name} has no heading for #{anchor}"
    elif anchor and name in page.files:
        numbers = [int(number) for number in re.findall(r"L(\d+)", anchor)]
        if not numbers or max(numbers) > len(page.lines_of(name)):
            return f"{name} has no line for #{anchor}"
    return ""


def check_names(page: Page) -> list[Problem]:
    problems: list[Problem] = []
    prose = blank(r"<!--.*?-->", page.prose)
    for span in re.finditer(CODE_SPAN, prose, re.DOTALL):
        name = re.sub(r"^\./|:\d+$", "", span[2].strip())
        if looks_like_ours(name, page) and not built_later(name) and not page.find(name):
            hint = " (a header of the system is written `<name.h>`)" if name.endswith(".h") else ""
            problems.append(page.problem(page.line_at(span.start()), f"there is no {name}{hint}"))
    prose = blank(CODE_SPAN, prose)
    for pattern in LINKS:
        for link in re.finditer(pattern, prose):
            wrong = check_link(page, link[1])
            if wrong:
                problems.append(page.problem(page.line_at(link.start()), wrong))
    return sorted(problems, key=lambda problem: problem.line)
