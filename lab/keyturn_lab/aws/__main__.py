"""`python -m keyturn_lab.aws`: see server.py."""

from .server import main

main()
