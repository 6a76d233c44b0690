"""Files whose names say that they hold secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from slurmic.selection.ignore.lines import read_head
from slurmic.selection.paths import quoted_list
from slurmic.selection.rules import SelectionRules
from slurmic.selection.walk.secretnames import is_public, may_be_public
from slurmic.selection.warn.warning import SelectionWarning
from slurmic.text import counted

#: This many files that are named like keys are read, at most, and this many bytes of each.
READ_AT_MOST: Final = 100
HEAD: Final = 1 << 20


def secret_warnings(
    root: bytes, suspects: Sequence[bytes], rules: SelectionRules
) -> Iterator[SelectionWarning]:
    """Warn of files whose names say that they hold secrets.

    Certificates and public keys do not. Of very many files, all are taken for secrets.

    Args:
        root: absolute.
        suspects: selected files with such names, sorted.
        rules: that they were selected by.
    """
    secrets = list(suspects)
    if len(secrets) <= READ_AT_MOST:
        secrets = [path for path in secrets if not _is_public(os.path.join(root, path))]
    if not secrets:
        return
    by_suffix = [path for path in secrets if rules.taking_entry(root, path) is not None]
    them = "it" if len(secrets) == 1 else "them"
    hint = (
        f"add {them} to .gitignore (and `git rm --cached` what git tracks), or move {them} into a"
    )
    if by_suffix:
        hint = f"move {them} out of code_root, or into a"
    hint += " folder that exclude_code_folders names"
    if by_suffix:
        which = them if len(by_suffix) == len(secrets) else quoted_list(by_suffix)
        hint += f"; .gitignore does not keep {which} out, because of code_file_suffixes"
    yield SelectionWarning(
        "secret",
        f"{counted(len(secrets), 'file')} that may hold secrets: {quoted_list(secrets)}",
        hint,
        tuple(secrets),
    )


def _is_public(path: bytes) -> bool:
    return may_be_public(path) and is_public(read_head(path, HEAD))
