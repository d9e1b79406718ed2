"""How `--help` is laid out, and how two-word commands such as `cache clear` are found.

A page has the usage, the description, arguments, options, examples and the page to read next. The
first page has the commands in groups. It is plain text: a pipe gets the same page as a terminal,
and no help text is read as markup.
"""

from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

Row = tuple[str, str]


class Command(TyperCommand):
    """A command: its help ends with examples and the page to read next."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Write arguments as in the manual pages of Unix: optional ones in brackets."""
        pieces = ["[OPTIONS]"]
        for parameter in self.get_params(ctx):
            if parameter.param_type_name == "argument":
                name = parameter.metavar or str(parameter.name).upper()
                name = name if parameter.required else f"[{name}]"
                pieces.append(f"{name}..." if parameter.nargs == -1 else name)
        return pieces

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands below this one, the arguments, then the options."""
        siblings: dict[str, Any] = {} if ctx.parent is None else ctx.parent.command.commands
        rows = [(n, _summary(each)) for n, each in siblings.items() if n.startswith(f"{self.name} ")]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
        _write_parameters(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what follows the options as it is: examples can be copied."""
        formatter.write(f"\n{self.epilog}\n")


class Commands(TyperGroup):
    """All commands. `models get` is a command of its own: it has its own options and its own help."""

    def list_commands(self, ctx: Any) -> list[str]:
        """List the commands of one word."""
        return [name for name in self.commands if " " not in name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is meant: one word, or two with options between them."""
        for n, word in enumerate(args[1:], 1):
            name = f"{args[0]} {word}"
            if name in self.commands:
                return name, self.commands[name], [*args[1:n], *args[n + 1 :]]
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in groups, then the options."""
        groups: dict[str, list[Row]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.commands[name]
            if not command.hidden:
                rows = groups.setdefault(command.rich_help_panel or "Commands", [])
                rows.append((name, _summary(command)))
        widest = max(len(name) for name in self.list_commands(ctx))
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), text) for name, text in rows])
        _write_parameters(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write what follows the options as it is: its tables keep their columns."""
        formatter.write(f"\n{self.epilog}\n")


def _summary(command: Any) -> str:
    """Return the first line of a help page."""
    return command.get_short_help_str(limit=100)


def _write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    for title, rows in (("Arguments", _arguments(command, ctx)), ("Options", _options(command, ctx))):
        found = list(rows)
        if found:
            with formatter.section(title):
                formatter.write_dl(found)


def _arguments(command: Any, ctx: Any) -> Iterator[Row]:
    for parameter in command.get_params(ctx):
        if parameter.param_type_name == "argument":
            yield parameter.metavar or parameter.name.upper(), parameter.help or ""


def _options(command: Any, ctx: Any) -> Iterator[Row]:
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if parameter.param_type_name == "option" and record is not None:
            names, text = record
            yield names, text.replace("  [default", " [default")
