"""What docs/json.md states."""

from __future__ import annotations

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "json.md"


def json_fields(section: str) -> set[str]:
    """The fields that it states in the table under a heading."""
    return _first_column(section, r"`(\w+)`")


def json_values(section: str) -> set[str]:
    """The strings that it states in the table under a heading."""
    return _first_column(section, r'`"(\w+)"`')


def _first_column(section: str, pattern: str) -> set[str]:
    body = re.split(rf"^#+ {re.escape(section)}$", DOCUMENT.read_text(), flags=re.MULTILINE)[1]
    table = re.split(r"^#+ ", body, flags=re.MULTILINE)[0]
    found = re.findall(rf"^\| {pattern} \|", table, flags=re.MULTILINE)
    assert found and len(found) == len(set(found)), section
    return set(found)
