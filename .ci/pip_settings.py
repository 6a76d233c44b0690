"""pip_settings.py FILE: write this machine's settings of pip into a file, for another root.

Prints the files and folders that they name, one a line.
"""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

OURS = {"cert", "cache-dir", "log", "prefix", "require-virtualenv", "target", "user"}
"""What says where things are on this machine, and nothing of the index."""


def main() -> None:
    config = configparser.RawConfigParser()
    named: set[Path] = set()
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # The environment comes last, and wins.
    for line in sorted(done.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        section = "global" if section == ":env:" else section
        if name in OURS:
            continue
        if not config.has_section(section):
            config.add_section(section)
        text = str(ast.literal_eval(value))
        config.set(section, name, text.replace("\n", "\n "))
        paths = [Path(path) for path in re.findall(r"(?:file://|(?<!\S))(/\S+)", text)]
        # The files of an index lie beside the pages that name them.
        named |= {path.parent if name.endswith("index-url") else path for path in paths}
    with open(sys.argv[1], "w") as file:
        config.write(file)
    for path in sorted(path for path in named if path.exists()):
        print(path)


if __name__ == "__main__":
    main()
