"""Defaults of settings, and the limits of a snapshot's size.

Apart from :mod:`slurmic.config`, which takes longer to import than some commands have to do.
"""

from __future__ import annotations

import sys

DEFAULT_SUFFIXES = (".py", ".sh", ".yaml", ".toml")
"""Which files count as code by default, from the specification."""

WARN_FILES, WARN_MB = 10_000, 200
"""Above this a snapshot is larger than a code tree should be (files, megabytes of 10^6 bytes)."""

MAX_FILES, MAX_MB = 100_000, 2_147
"""Above this a snapshot is refused: 100,000 files or 2 GiB, rounded down to megabytes."""

WARN_ADDED_FILES, WARN_ADDED_MB = 500, 50
"""Above this, ignored files that suffixes add back were probably forgotten (files, megabytes)."""

DEFAULT_EXCLUDED = (".git", "wandb", "outputs", "datasets")
"""Which folders are never packed by default, from the specification."""

NO_LIMIT = sys.maxsize
"""A timeout_min that means no time limit of ours: the partition's own applies."""
