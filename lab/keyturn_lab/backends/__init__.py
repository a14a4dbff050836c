"""Real servers whose credentials are rotated."""

from keyturn_lab.backends.postgres import Postgres

__all__ = ["Postgres"]
