"""Real servers whose credentials are rotated."""

from keyturn_lab.backends.postgres import Postgres, PostgresError

__all__ = ["Postgres", "PostgresError"]
