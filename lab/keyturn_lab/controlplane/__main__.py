"""`python -m keyturn_lab.controlplane build` makes the programs beforehand; `... up` runs a control plane until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
from contextlib import suppress

from keyturn_lab.controlplane import binaries
from keyturn_lab.controlplane.build import build
from keyturn_lab.controlplane.plane import ControlPlane


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m keyturn_lab.controlplane", description=__doc__)
    parser.add_argument("verb", choices=["build", "up"])
    if parser.parse_args().verb == "build":
        print(binaries.find(build=build))
        return
    with ControlPlane() as plane:
        print(f"export KUBECONFIG={plane.kubeconfig}")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
