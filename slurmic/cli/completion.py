"""slurmic completion: a script that makes a shell complete slurmic's commands, options and names.

The script has the commands and options in it, so that most of what is completed costs no process.
Only for snapshots it asks ``slurmic complete-names``, which builds no parser.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

import tyro

from .commands import COMMANDS
from .exits import DONE
from .words import Word, words_of


@dataclass
class Completion:
    """Print a script that makes a shell complete commands, options and snapshots.

    bash:  echo 'source <(slurmic completion bash)' >> ~/.bashrc
    zsh:   echo 'source <(slurmic completion zsh)' >> ~/.zshrc   (after compinit)
    fish:  slurmic completion fish > ~/.config/fish/completions/slurmic.fish"""

    shell: tyro.conf.Positional[Literal["bash", "zsh", "fish"]]
    """which shell"""

    def run(self) -> int:
        """Write the script."""
        print(_fish() if self.shell == "fish" else _bash(zsh=self.shell == "zsh"), end="")
        return DONE


def _bash(*, zsh: bool) -> str:
    commands = " ".join(COMMANDS)
    cases = "\n".join(_bash_case(name, words_of(command)) for name, command in COMMANDS.items())
    head = "autoload -U +X bashcompinit && bashcompinit\n" if zsh else ""
    return f"""{head}\
_slurmic() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
    local command=${{COMP_WORDS[1]}} options= valued= arguments= kind= index word skip= place=0
    local IFS=$' \\t\\n'
    COMPREPLY=()
    if [ "$COMP_CWORD" -le 1 ]; then
        COMPREPLY=($(compgen -W "{commands} --help --version" -- "$current"))
        return
    fi
    case "$command" in
{cases}
    esac
    case " $valued " in
        *" $previous="*) kind=${{valued#*" $previous="}} kind=${{kind%% *}} ;;
    esac
    if [ -z "$kind" ]; then
        case "$current" in
            -*) COMPREPLY=($(compgen -W "$options" -- "$current")); return ;;
        esac
        for ((index = 2; index < COMP_CWORD; index++)); do
            word=${{COMP_WORDS[index]}}
            if [ -n "$skip" ]; then skip=; continue; fi
            case " $valued " in *" $word="*) skip=1; continue ;; esac
            case "$word" in -*) ;; *) place=$((place + 1)) ;; esac
        done
        index=0
        for word in $(echo $arguments); do
            kind=${{word%+}}
            if [ "$index" -eq "$place" ] || [ "$word" != "$kind" ]; then break; fi
            kind= index=$((index + 1))
        done
    fi
    case "$kind" in
        choice:*)
            kind=${{kind#choice:}}
            COMPREPLY=($(compgen -W "${{kind//,/ }}" -- "$current")) ;;
        reference|pinned)
            COMPREPLY=($(compgen -W "$("${{COMP_WORDS[0]}}" complete-names "$kind" 2>/dev/null)" \\
                -- "$current"))
            local IFS=$'\\n'
            [ "$kind" = pinned ] || COMPREPLY+=($(compgen -d -- "$current")) ;;
        folder) local IFS=$'\\n'; COMPREPLY=($(compgen -d -- "$current")) ;;
        file) local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$current")) ;;
    esac
}}
complete -o filenames -F _slurmic slurmic
"""


def _bash_case(name: str, words: list[Word]) -> str:
    options = " ".join(option for word in words for option in word.names)
    valued = " ".join(
        f"{option}={_as_text(word)}"
        for word in words
        if word.kind != "flag"
        for option in word.names
    )
    arguments = " ".join(
        _as_text(word) + ("+" if word.repeats else "") for word in words if not word.names
    )
    return (
        f"        {name})\n            options={shlex.quote(options)}\n"
        f"            valued={shlex.quote(' ' + valued)}\n"
        f"            arguments={shlex.quote(arguments)} ;;"
    )


def _as_text(word: Word) -> str:
    return f"choice:{','.join(word.choices)}" if word.choices else word.kind


def _fish() -> str:
    lines = ["complete -c slurmic -f"]
    for name, command in COMMANDS.items():
        summary = shlex.quote(command.summary)
        lines.append(f"complete -c slurmic -n __fish_use_subcommand -a {name} -d {summary}")
        for word in words_of(command):
            here = f"complete -c slurmic -n '__fish_seen_subcommand_from {name}'"
            for option in word.names:
                here += f" -l {option[2:]}" if option.startswith("--") else f" -s {option[1:]}"
            lines.append(here + _FISH_VALUES[word.kind].format(" ".join(word.choices)))
    return "\n".join(lines) + "\n"


_FISH_VALUES = {
    "flag": "",
    "text": " -x",
    "reference": " -x -a '(slurmic complete-names reference) (__fish_complete_directories)'",
    "pinned": " -x -a '(slurmic complete-names pinned)'",
    "folder": " -x -a '(__fish_complete_directories)'",
    "file": " -r -F",
    "choice": " -x -a '{}'",
}
