"""Where what was measured goes: a table on the terminal, a page, its pictures.

    python3 tests/bench/publish.py     draws and fills in anew from docs/costs/results.json
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any, Optional

import page
import tables
from results import Results
from servers import BUILD

NO_PICTURES = "matplotlib is missing (Debian: python3-matplotlib)"


def can_draw() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(results.text(), encoding="utf-8")
    if can_draw():
        import draw
        draw.everything(results, folder)


def place(whole: bool, out: Optional[Path]) -> Path:
    """The page is for a run that measured everything, and it has its pictures or stays."""
    if out is not None:
        return out
    return page.COSTS if whole and can_draw() else BUILD / "costs"


def publish(found: dict[str, Any], whole: bool, out: Optional[Path] = None) -> None:
    if not can_draw():
        found["missing"]["pictures, and docs/costs.md"] = NO_PICTURES
    results = Results(found)
    folder = place(whole, out)
    write(results, folder)
    print(tables.printed(results))
    if folder == page.COSTS:
        page.fill()
        print("\ndocs/costs.md is filled in, its pictures are drawn: docs/costs/")
    else:
        print(f"\nThe results: {os.path.relpath(folder)}")


def main() -> int:
    if not can_draw():
        print(NO_PICTURES, file=sys.stderr)
        return 1
    write(Results.read(page.RESULTS), page.COSTS)
    page.fill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
