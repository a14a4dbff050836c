"""Bring the lab up, rotate once, show it, and sum up. Exit code 0 only if every pod runs on the new version and no login failed."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time

from pg8000.exceptions import DatabaseError

from keyturn_lab.demo.snapshot import Snapshot, look
from keyturn_lab.demo.stage import NAMESPACE, SECRET, SECRET_ID, DemoError, Stage, apply_examples, rotate_now, stage
from keyturn_lab.demo.view import View, view

LOOK_EVERY = 0.5
WARM_UP = 3.0  # seconds of logins before the rotation, so that a failure would be counted against something
PATIENCE = 240.0


def main() -> int:
    """The exit code."""
    options = argparse.ArgumentParser(prog="demo", description=__doc__)
    options.add_argument("--keep", action="store_true", help="leave everything running afterwards, until Ctrl-C")
    keep = options.parse_args().keep
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    showing = view()
    try:
        with showing:
            lab = stage(showing.say)
            with lab as made:
                good, text = _play(made, showing)
                showing.__exit__(None, None, None)
                print(text)
                if keep:
                    _leave_running(made)
    except DemoError as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything is taken down", file=sys.stderr)
        return 130
    return 0 if good else 1


def _play(made: Stage, showing: View) -> tuple[bool, str]:
    apply_examples(made, showing.say)
    _watch(made, showing, None, until=time.monotonic() + WARM_UP)
    before = look(made, None)
    run = rotate_now(made)
    showing.say(f"created RotationRun {run}, as `kubectl create -f examples/postgres/rotate-now.yaml` does")
    after = _watch(made, showing, run, until=time.monotonic() + PATIENCE)
    final = _watch(made, showing, run, until=time.monotonic() + WARM_UP, whole=True)
    return _summary(made, before, final if after.end else after)


def _watch(made: Stage, showing: View, run: str | None, *, until: float, whole: bool = False) -> Snapshot:
    """Look again and again, until the run is over or the time is."""
    while True:
        snapshot = look(made, run)
        showing.show(snapshot)
        if time.monotonic() > until or (snapshot.end and not whole):
            return snapshot
        time.sleep(LOOK_EVERY)


def _summary(made: Stage, before: Snapshot, after: Snapshot) -> tuple[bool, str]:
    living = [pod for pod in after.pods if not pod.terminating]
    on_version = [pod for pod in living if after.on_version(pod)]
    moved = before.labels.get("AWSCURRENT") != after.labels.get("AWSCURRENT") == after.mirrored
    good = after.end == "Complete: Adopted" and moved and len(on_version) == len(living) > 0 and after.failures == 0
    lines = [
        "",
        f"{SECRET_ID}: {before.labels.get('AWSCURRENT', '-')} -> {after.labels.get('AWSCURRENT', '-')}",
        f"Secret {SECRET} holds {after.mirrored or '-'}",
        f"pods on the new version: {len(on_version)} of {len(living)}",
        f"logins: {after.successes} good, {after.failures} failed",
        f"the old credential: {_old_credential(made)}",
        f"run: {after.end or 'not over'}{f' ({after.message})' if after.message else ''}",
    ]
    return good, "\n".join(lines)


def _old_credential(made: Stage) -> str:
    """Tried, not assumed."""
    answer = made.aws.client("secretsmanager").get_secret_value(SecretId=SECRET_ID, VersionStage="AWSPREVIOUS")
    old = json.loads(answer["SecretString"])
    try:
        made.postgres.execute("SELECT 1", database=old["dbname"], user=old["username"], password=old["password"])
    except DatabaseError:
        return f"user {old['username']} is refused"
    return f"user {old['username']} still logs in, as AlternatingUsers promises until the next rotation (nothing retires it yet)"


def _leave_running(made: Stage) -> None:
    kubectl = f"kubectl --kubeconfig {made.plane.kubeconfig} -n {NAMESPACE}"
    print("\nleft running; Ctrl-C ends it")
    print(f"  {kubectl} get rsec,rrun,deploy,pods\n  {kubectl} create -f examples/postgres/rotate-now.yaml", flush=True)
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
