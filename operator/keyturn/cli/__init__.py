"""The `keyturn` command, which is `kubectl keyturn` too."""

from keyturn.cli.main import main

__all__ = ["main"]
