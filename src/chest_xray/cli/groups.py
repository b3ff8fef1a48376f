"""Commands with options of their own that have subcommands too: `cxr train --data ...` and `cxr train stop NAME`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class CommandWithSubcommands(TyperGroup):
    """Its callback is the command; a subcommand's name as the first word runs that alone."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options, unless the first word is a subcommand, which reads its own."""
        if args and args[0] in self.commands:
            ctx._protected_args, ctx.args = args[:1], args[1:]
            return args[1:]
        rest = super().parse_args(ctx, args)
        if ctx._protected_args:
            ctx.fail(f"{ctx._protected_args[0]!r} is not expected here: {', '.join(self.commands)} come first.")
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command, or the subcommand without it."""
        if not ctx._protected_args:
            return super().invoke(ctx)
        name, args = ctx._protected_args[0], ctx.args
        ctx._protected_args, ctx.args = [], []
        with ctx:
            ctx.invoked_subcommand = name
            inner = self.commands[name].make_context(name, args, parent=ctx)
            with inner:
                return inner.command.invoke(inner)
