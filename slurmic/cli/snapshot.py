"""slurmic snapshot: store a snapshot without submitting anything."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from slurmic import environment
from slurmic.config import DEFAULT_EXCLUDED, DEFAULT_SUFFIXES, MAX_FILES, MAX_MB, LinkMode
from slurmic.snapshot import PackRequest, SizeLimits, pack_code

from .console import number, say, size, warn
from .exits import DONE
from .files import Excluded, Suffixes


@dataclass
class Snapshot:
    """Store a snapshot of a source tree, and print its id.

    Without --output it is pinned, since no folder keeps it alive."""

    code_root: tyro.conf.Positional[str] = "."
    """the source tree"""

    output: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """build DIR as its code folder; DIR must not exist"""

    name: str = ""
    """a name for the pin"""

    store: Annotated[str, tyro.conf.arg(metavar="DIR")] = ""
    """the store; by default where a submission would put it"""

    link_mode: LinkMode = "auto"
    """how files get into DIR"""

    suffixes: Suffixes = field(default_factory=list)
    """as in code_file_suffixes; may be repeated; replaces the default (.py .sh .yaml .toml)"""

    excluded: Excluded = field(default_factory=list)
    """as in exclude_code_folders; may be repeated; replaces the default (.git wandb outputs
    datasets)"""

    max_code_files: int = MAX_FILES
    """refuse more files than this; 0 for no limit"""

    max_code_mb: int = MAX_MB
    """refuse more megabytes than this; 0 for no limit"""

    def run(self) -> int:
        """Take it; the id goes to standard output, what it cost to standard error."""
        folder = os.path.abspath(self.output) if self.output else None
        packed = pack_code(
            PackRequest(
                code_root=self.code_root,
                suffixes=self.suffixes or DEFAULT_SUFFIXES,
                exclude_folders=self.excluded or DEFAULT_EXCLUDED,
                output_path=os.path.dirname(folder) if folder else None,
                folder_name=os.path.basename(folder) if folder else None,
                link_mode=self.link_mode,
                store_path=self.store,
                store_setting=environment.store_setting(),
                home=environment.home_folder(),
                about=environment.about_process(),
                pin_name=self.name,
                limits=SizeLimits(max_files=self.max_code_files, max_mb=self.max_code_mb),
            )
        )
        for message in packed.warnings:
            warn(message)
        stats = packed.snapshot.stats
        print(packed.record.id)
        say(
            f"{number(stats.files, 'file')}, {size(stats.size)}; new to the store: "
            f"{number(stats.stored, 'file')}, {size(stats.stored_size)}; "
            f"store: {packed.store.name} ({packed.location.reason})"
        )
        return DONE
