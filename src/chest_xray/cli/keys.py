"""`cxr keys`: who may call a server that others can reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from chest_xray.cli.options import Json
from chest_xray.console import print_json, say
from chest_xray.settings import load_settings

if TYPE_CHECKING:
    from chest_xray.inference.http.keys import KeyFile

keys = typer.Typer(
    no_args_is_help=True,
    help="API keys of `cxr serve`. A running server sees additions and revocations within a second.\n\n"
    "Example: cxr keys add ward-3",
)


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="The system that will use the key; it stands in the audit log.")],
    rate: Annotated[int, typer.Option(help="Requests a minute.")] = 600,
    json: Json = False,
) -> None:
    """Make a key and print it, once: only its hash is kept.

    Example: cxr keys add ward-3 --rate 600
    """
    from chest_xray.inference.http.keys import key_row

    key, text = _key_file().add(name, rate)
    if json:
        print_json(key_row(key) | {"key": text})
    else:
        say(f"Key {key.id} for {key.name}, {key.rate} requests a minute. It is shown this once:")
        typer.echo(text)


@keys.command("list")
def list_keys(json: Json = False) -> None:
    """List the keys, revoked ones too.

    Example: cxr keys list
    """
    from chest_xray.cli.tables import keys_table, print_table
    from chest_xray.inference.http.keys import key_row

    found = _key_file().read()
    if json:
        print_json([key_row(key) for key in found])
    else:
        print_table(keys_table(found))


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="From `cxr keys list`.")],
    json: Json = False,
) -> None:
    """Refuse a key from now on.

    Example: cxr keys revoke 1f0c2a9b
    """
    from chest_xray.inference.http.keys import key_row

    key = _key_file().revoke(key_id)
    if json:
        print_json(key_row(key))
    else:
        say(f"Key {key.id} ({key.name}) is revoked.")


def _key_file() -> KeyFile:
    from chest_xray.inference.http.keys import KeyFile

    return KeyFile(load_settings().home_dir)
