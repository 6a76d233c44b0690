"""What a benchmark found: tables on standard output, bars, a file of JSON, pictures."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .harness import Kind, Samples, Settings
from .pictures import Curves, draw_curves

Cell = str | int | float


@dataclass(frozen=True)
class Bar:
    """One promise, and what was measured.

    Attributes:
        what: which ratio, or which quantity with its unit.
        value: what was measured.
        limit: what was promised.
        at_least: the value must not be below the limit; otherwise, not above.
        note: what one should know to read it, or "".
    """

    what: str
    value: float
    limit: float
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the promise holds."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


class Report:
    """Of one benchmark.

    Attributes:
        name: of the benchmark; its files are called so.
        folder: for the JSON and the pictures.
        bars: so far.
        pictures: files drawn so far.
    """

    def __init__(self, name: str, settings: Settings, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.bars: list[Bar] = []
        self.pictures: list[Path] = []
        self._size = settings.size
        self._began = time.time()
        self._tables: list[dict[str, Any]] = []
        self._notes: list[str] = []
        self._curves: dict[str, Curves] = {}

    def progress(self, text: str) -> None:
        """Say on standard error what is being measured."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A sentence below the tables."""
        self._notes.append(text)
        print(text + "\n", flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Print a table; its first column is text."""
        self._tables.append({"title": title, "columns": list(columns), "rows": [*map(list, rows)]})
        print(format_table(title, columns, rows), flush=True)

    def compared(self, title: str, samples: Samples, base: str, kind: Kind = "clock") -> None:
        """Print what alternating candidates took, and how that compares with one of them.

        Args:
            title: of the table.
            samples: what was measured.
            base: the candidate that the others are compared with.
            kind: "clock", or "busy" to leave out the waiting.
        """
        rows: list[list[Cell]] = []
        for name, taken in samples.taken.items():
            row: list[Cell] = [name, samples.median(name, kind) * 1000]
            row += [samples.ratio(name, base, kind), samples.ratio(name, base, "processor")]
            waiting = samples.median(name, "waiting")
            row += [waiting * 1000 if waiting else "", len(taken)]
            rows.append(row)
        waited = "+ sync, ms" if kind == "busy" else "sync of it"
        self.table(title, ["", "ms", f"/ {base}", "processor", waited, "rounds"], rows)

    def bar(
        self, what: str, value: float, limit: float, *, at_least: bool = False, note: str = ""
    ) -> None:
        """A promise and what was measured; all are listed in the end."""
        self.bars.append(Bar(what, value, limit, at_least, note))

    def ratio_bar(
        self,
        what: str,
        samples: Samples,
        one: str,
        other: str,
        limit: float,
        *,
        at_least: bool = False,
        kind: Kind = "clock",
    ) -> None:
        """A promise on one / other; none if one of them did not take part."""
        if one in samples and other in samples:
            processor = samples.ratio(one, other, "processor")
            ratio = samples.ratio(one, other, kind)
            note = f"processor {processor:.2f}"
            self.bar(f"{what}: {one} / {other}", ratio, limit, at_least=at_least, note=note)

    def picture(
        self, name: str, title: str, axes: tuple[str, str], curves: Curves, *, linear: bool = False
    ) -> None:
        """Draw curves; where matplotlib is not installed only their points are kept, as JSON.

        Args:
            name: the file is called so, after the benchmark's name.
            title: what it shows.
            axes: what x and y are.
            curves: points (x, y) by name.
            linear: scales that are not logarithmic.
        """
        self._curves[name] = curves
        path = self.folder / f"{self.name}-{name}.svg"
        if draw_curves(path, title, axes, curves, linear=linear):
            self.pictures.append(path)

    def save(self) -> Path:
        """Write the JSON file."""
        path = self.folder / f"{self.name}.json"
        written = {
            "benchmark": self.name,
            "size": self._size,
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._began)),
            "seconds": round(time.time() - self._began, 1),
            "python": platform.python_version(),
            "kernel": platform.release(),
            "processors": os.cpu_count(),
            "bars": [{**asdict(bar), "met": bar.met} for bar in self.bars],
            "tables": self._tables,
            "notes": self._notes,
            "curves": self._curves,
        }
        path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
        return path


def format_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table as text: the first column to the left, all others to the right."""
    cells = [list(columns), *([_format(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    lines = [title]
    for row in cells:
        padded = [row[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append(("  " + "  ".join(padded)).rstrip())
    return "\n".join(lines) + "\n"


def _format(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    return (
        f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.2f}" if abs(cell) < 10 else f"{cell:.1f}"
    )


def format_bars(bars: Mapping[str, Sequence[Bar]]) -> str:
    """The table of all bars, by benchmark."""
    rows = [
        (
            "met" if bar.met else "MISSED",
            name,
            bar.what,
            _format(float(bar.value)),
            (">= " if bar.at_least else "<= ") + _format(float(bar.limit)),
            bar.note,
        )
        for name, several in bars.items()
        for bar in several
    ]
    met = sum(row[0] == "met" for row in rows)
    columns = ("", "benchmark", "bar", "value", "limit", "")
    widths = [max(len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
    lines = [f"bars: {met} of {len(rows)} met"]
    for row in (columns, *rows):
        padded = [
            cell.rjust(width) if index in (3, 4) else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(("  " + "  ".join(padded)).rstrip())
    return "\n".join(lines) + "\n"
