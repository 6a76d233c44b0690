"""What docs/json.md states."""

from __future__ import annotations

import re
from pathlib import Path


def json_fields(section: str) -> set[str]:
    """The fields that docs/json.md states in the table under a heading."""
    text = Path(__file__).parents[2].joinpath("docs", "json.md").read_text()
    body = re.split(rf"^#+ {re.escape(section)}$", text, flags=re.MULTILINE)[1]
    table = re.split(r"^#+ ", body, flags=re.MULTILINE)[0]
    fields = set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE))
    assert fields, section
    return fields
