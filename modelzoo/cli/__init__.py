"""The ``modelzoo`` command. It talks; the library under it does the work."""

from modelzoo.cli.app import app, main

__all__ = ["app", "main"]
