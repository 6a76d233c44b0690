"""slurmic's commands as click has them: loaded when they are used, with the help that we want."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from slurmic.cli.exits import DONE, UsageError
from slurmic.cli.table import COMMANDS, load, overview

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Argument(click.Argument):
    """An argument with a help text. (click has that from 8.5 on only.)"""

    def __init__(self, *declarations: Any, help: str = "", **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.text = help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Its name as the usage has it, and its help."""
        return self.metavar or "", self.text


class Option(click.Option):
    """An option that stands under a heading of its own in the help.

    Args:
        declarations: as click's.
        group: the heading.
        attributes: as click's.
    """

    def __init__(self, *declarations: Any, group: str = "", **attributes: Any) -> None:
        super().__init__(*declarations, **attributes)
        self.group = group


class Command(click.Command):
    """A command: its callback gives the exit code."""

    _help: click.Option | None = None

    def get_help_option(self, ctx: click.Context) -> click.Option:
        """``--help``; click's own looks for translations of its text whenever a command is run."""
        if self._help is None:
            self._help = click.Option(
                ["-h", "--help"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                help="show this help",
                callback=_print_help,
            )
        return self._help

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What stands behind the command's name; click leaves out options that are required."""
        required = [each for each in self.params if isinstance(each, click.Option)]
        return super().collect_usage_pieces(ctx) + [
            f"{each.opts[0]} {each.metavar}" for each in required if each.required
        ]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the line with the usage."""
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), "usage: ")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, at the margin."""
        formatter.write_paragraph()
        # Cleaned: before Python 3.13 and click 8.2 it still has its indentation.
        formatter.write_text(inspect.cleandoc(self.help or ""))

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: they come with the options, whatever the version of click."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write arguments and options, each group under its heading."""
        groups: dict[str, list[tuple[str, str]]] = {"arguments": [], "options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                usual = "arguments" if isinstance(param, click.Argument) else "options"
                groups.setdefault(getattr(param, "group", "") or usual, []).append(record)
        for heading, records in groups.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _print_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        print(ctx.get_help())
        ctx.exit()


class WordsCommand(Command):
    """A command that takes another one behind ``--``, which is left as it is.

    Its words are the parameter "words".
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before ``--``.

        Raises:
            UsageError: a command stands there.
        """
        ctx.allow_interspersed_args = False
        place = args.index("--") if "--" in args else len(args)
        given = list(args)
        rest = super().parse_args(ctx, args[:place])
        before = ctx.params.get("words")
        if before and not ctx.resilient_parsing:
            options = given[: place - len(before)]
            raise UsageError(
                f"'{before[0]}' is not an option of 'slurmic {self.name}'",
                hint="write '--' before the command: "
                + _shortened(["slurmic", str(self.name), *options, "--", *before]),
            )
        if place < len(given):
            ctx.params["words"] = tuple(given[place + 1 :])
        return rest


def _shortened(words: Sequence[str], length: int = 80) -> str:
    import shlex

    text = shlex.join(words)
    return text if len(text) <= length else f"{text[: length - 4]} ..."


class CommandGroup(Command, click.Group):
    """All commands; the module of one is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name."""
        found: click.Command | None = load(cmd_name) if cmd_name in COMMANDS else None
        return found

    def get_help(self, ctx: click.Context) -> str:
        """The overview."""
        return overview()

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands that begin like this, without a look into them, and our own options."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=command.summary)
            for name, command in COMMANDS.items()
            if name.startswith(incomplete)
        ]


SLURMIC = CommandGroup(
    "slurmic",
    context_settings=_SETTINGS,
    params=[click.Option(["-V", "--version"], is_flag=True, help="print the version")],
)
"""The command line."""


def run(arguments: list[str]) -> int:
    """Run a command; its exit code.

    Raises:
        UsageError: the arguments mean nothing.
    """
    try:
        with SLURMIC.make_context("slurmic", list(arguments)) as context:
            code: int = SLURMIC.invoke(context)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.UsageError as error:
        raise _usage_error(error) from error
    return DONE if code is None else code


def _usage_error(error: click.UsageError) -> UsageError:
    """click's complaint, in the form that ours have."""
    command = error.ctx.command_path if error.ctx is not None else "slurmic"
    hint = f"'{command} --help' says more"
    if isinstance(error, click.NoSuchOption):
        close = " or ".join(sorted(error.possibilities or ())[:3])
        hint = f"did you mean {close}?" if close else f"'{command} --help' lists the options"
        return UsageError(f"'{command}' has no option {error.option_name}", hint=hint)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        name = error.param.metavar or ""
        if not isinstance(error.param, click.Argument):
            name = f"{max(error.param.opts, key=len)} {name}"
        return UsageError(f"{name.strip('[].')} is missing", hint=hint)
    if isinstance(error, click.BadParameter) and error.param is not None:
        option = not isinstance(error.param, click.Argument)
        name = max(error.param.opts, key=len) if option else error.param.metavar or ""
        return UsageError(f"{name}: {_lower(error.message)}", hint=hint)
    return UsageError(_lower(error.format_message()), hint=hint)


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:].rstrip(".")


Function = Callable[..., int]


def command(name: str, *, words: bool = False) -> Callable[[Function], click.Command]:
    """Make a function a command; its docstring is the help.

    Args:
        name: what the user types.
        words: whether it takes another command behind ``--``.
    """
    kind: type[click.Command] = WordsCommand if words else Command
    settings = _SETTINGS | {"token_normalize_func": _with_hyphens}
    return click.command(name, cls=kind, context_settings=settings)


def _with_hyphens(word: str) -> str:
    """An option may be written as the setting is that it stands for: ``--code_root``."""
    return word.replace("_", "-")


Decorator = Callable[[Any], Any]


def argument(name: str, metavar: str, help: str, **attributes: Any) -> Decorator:
    """Give a command an argument; ``metavar`` is its name in the usage."""
    return click.argument(name, cls=Argument, metavar=metavar, help=help, **attributes)


def option(*declarations: str, **attributes: Any) -> Decorator:
    """Give a command an option, as ``click.option`` does; it may have a ``group``."""
    return click.option(*declarations, cls=Option, **attributes)
