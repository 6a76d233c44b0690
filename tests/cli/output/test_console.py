"""Text for people."""

from __future__ import annotations

import pytest
from hostile_names import HOSTILE

from slurmic.cli.arguments.values import duration
from slurmic.cli.output.console import printable_lines
from slurmic.errors import ConfigError
from slurmic.text import counted, printable, size


def test_text_for_people() -> None:
    assert [size(n) for n in (0, 999, 1000, 1234, 56789, 2_500_000, 9e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.2 kB",
        "57 kB",
        "2.5 MB",
        "9.0 TB",
    ]
    assert counted(1, "file") == "1 file" and counted(1234, "file") == "1,234 files"
    assert printable(HOSTILE) == "new\\nline\\udcff \\x1b[31m.py"
    assert printable_lines("a\nb\x07é") == "a\nb\\x07é"
    assert [duration(t) for t in ("90", "30m", "1h", "2d", "1.5h", "0")] == [
        90,
        1800,
        3600,
        172800,
        5400,
        0,
    ]
    with pytest.raises(ConfigError, match="'soon'"):
        duration("soon")
