"""`cxr`: one command per step, in the order of the flow."""

from chest_xray.cli.app import app, main

__all__ = ["app", "main"]
