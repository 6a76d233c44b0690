"""Run the benchmarks.

    make bench                  about five minutes on two processors
    make bench SIZE=full        the figures that one quotes: about an hour, 10 GB of disk
    python -m benchmarks.run --only packing --only disk

Tables go to standard output, the list of all bars last; JSON and pictures go to a folder. What is
fetched (packages from PyPI as real source trees, slurmic 0.2.1 as a peer) is kept in
$SLURMIC_BENCH_CACHE, else $XDG_CACHE_HOME/slurmic-bench, else ~/.cache/slurmic-bench; everything
else is written to a folder below it, which is removed in the end.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from .harness import Settings, remove
from .report import Bar, Report, format_bars

BENCHMARKS = {
    "selection": "which files are packed: against the filesystem's floor, git and ripgrep",
    "packing": "a submission's work: unchanged, edited, first; memory; against number of files",
    "repeated": "the thousandth snapshot of one tree against the tenth",
    "disk": "bytes and inodes against number of jobs",
    "submission": "submitting arrays: each task, and submitit's own share",
    "latency": "a filesystem on which every operation takes a millisecond",
    "gc": "a dry run over many blobs and trees, against listing them",
    "startup": "imports and commands, against an empty start and submitit",
    "staging": "importing from such a filesystem, or from the node's own disk",
}

PROGRAMS = {
    "git": "git",
    "rsync": "rsync",
    "ostree": "ostree",
    "restic": "restic",
    "borg": "borgbackup",
    "rg": "ripgrep",
    "fusermount3": "fuse3",
}
"""Peers that are programs, and the Debian packages that have them."""

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run those that were asked for."""
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", choices=("tiny", "quick", "full"), default="quick")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="may be repeated")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder for JSON and pictures"
    )
    parser.add_argument(
        "--scratch", type=Path, help="where to work: on a local disk (default: the cache)"
    )
    arguments = parser.parse_args()
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    arguments.results.mkdir(parents=True, exist_ok=True)
    say_what_is_missing()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up then, too
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=arguments.scratch or cache)).resolve()
    isolate(scratch)
    bars: dict[str, list[Bar]] = {}
    failed: list[str] = []
    began = time.monotonic()
    try:
        for name in arguments.only or BENCHMARKS:
            folder = scratch / name
            folder.mkdir()
            settings = Settings(size=arguments.size, scratch=folder, cache=cache)
            report = Report(name, settings, arguments.results)
            print(f"=== {name}: {BENCHMARKS[name]}\n", flush=True)
            try:
                importlib.import_module(f"benchmarks.{name}").run(settings, report)
            except Exception:
                traceback.print_exc()
                failed.append(name)
            bars[name] = report.bars
            report.save()
            remove(folder)
    finally:
        remove(scratch)
    print(format_bars(bars))
    print(f"{time.monotonic() - began:.0f} s; results and pictures: {arguments.results}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def cache_folder() -> Path:
    """Where fetched things are kept."""
    chosen = os.environ.get("SLURMIC_BENCH_CACHE")
    if chosen:
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "slurmic-bench").resolve()


def say_what_is_missing() -> None:
    """Name the peers that will be left out."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        packages = " ".join(PROGRAMS[program] for program in missing)
        print(
            f"not installed, so left out: {', '.join(missing)}\n"
            f"  Debian: run benchmarks/install-peers as root, or apt-get install {packages}\n",
            file=sys.stderr,
        )


def isolate(scratch: Path) -> None:
    """Nothing of the user's settings reaches slurmic and its peers, and nothing of theirs stays."""
    home = scratch / "home"
    home.mkdir()
    for name in [
        name for name in os.environ if name.startswith(("GIT_", "SLURMIC_", "RESTIC_", "BORG_"))
    ]:
        del os.environ[name]
    os.environ.update(
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
        GIT_CONFIG_GLOBAL=os.devnull,
        GIT_CONFIG_SYSTEM=os.devnull,
        # The scratch folder may itself be in a repository.
        GIT_CEILING_DIRECTORIES=str(scratch),
        LC_ALL="C.UTF-8",
    )


if __name__ == "__main__":
    sys.exit(main())
