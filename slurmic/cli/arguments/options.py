"""Options and arguments that are the same in several commands, each as a decorator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .group import Decorator, argument, option
from .values import FOLDER, REFERENCE

if TYPE_CHECKING:
    from slurmic.selection import SelectionRules

store_option = option(
    "--store",
    metavar="DIR",
    type=FOLDER,
    default="",
    help="the store; by default the one that a submission from here would use",
)
"""``--store``: which store is meant."""

reference_argument = argument("ref", "REF", "the snapshot: see 'slurmic --help'", type=REFERENCE)
"""``REF``: a snapshot."""

tree_argument = argument(
    "ref",
    "REF",
    "the snapshot: see 'slurmic --help'; . is the working tree, as it would be packed now",
    type=REFERENCE,
)
"""``REF``: a snapshot, or ``.`` for the working tree."""

source_argument = argument(
    "code_root", "[DIR]", "the source tree; by default the current folder", type=FOLDER, default="."
)
"""``DIR``: the source tree."""

null_option = option(
    "-0", "--null", is_flag=True, help="end each name with a NUL byte, and write it as it is"
)
"""``--null``, for lists of names."""

suffix_option = option(
    "--suffix",
    "suffixes",
    metavar="SUFFIX",
    multiple=True,
    help="an entry of code_file_suffixes, such as .py; may be repeated, and then replaces the "
    "default (.py .sh .yaml .toml)",
)
"""``--suffix``, as ``code_file_suffixes``."""

exclude_option = option(
    "--exclude",
    "excluded",
    metavar="FOLDER",
    type=FOLDER,
    multiple=True,
    help="an entry of exclude_code_folders, such as data; may be repeated, and then replaces the "
    "default (.git wandb outputs datasets)",
)
"""``--exclude``, as ``exclude_code_folders``."""


def json_option(help: str) -> Decorator:
    """``--json``; the text says what it writes."""
    return option("--json", "as_json", is_flag=True, help=help)


def rules_of(suffixes: Sequence[str], excluded: Sequence[str]) -> SelectionRules:
    """The rules that --suffix and --exclude ask for; what is not given is as by default."""
    from slurmic.defaults import DEFAULT_EXCLUDED, DEFAULT_SUFFIXES
    from slurmic.selection import SelectionRules

    return SelectionRules.from_settings(
        list(suffixes) or list(DEFAULT_SUFFIXES), list(excluded) or list(DEFAULT_EXCLUDED)
    )
