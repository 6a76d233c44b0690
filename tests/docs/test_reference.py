"""The API reference has every public name, and no other.

That it can be built, and that its links lead somewhere, is what `make docs` finds out.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

import slurmic
import slurmic_store

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"

ALIASES = {"SlurmArgs", "slurm"}
"""Second names of 0.2.1, which the page only mentions."""


@pytest.mark.parametrize("package", [slurmic, slurmic_store], ids=lambda each: each.__name__)
def test_every_public_name_is_in_the_reference(package: ModuleType) -> None:
    page = (REFERENCE / f"{package.__name__}.md").read_text()
    shown = re.findall(rf"^::: {package.__name__}\.(\w+)$", page, re.MULTILINE)
    assert sorted(shown) == sorted(set(package.__all__) - ALIASES)
