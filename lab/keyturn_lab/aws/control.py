"""The lab's control path: what tests and the demo move, switch and count, from whichever process they are in.

`POST /lab/<verb>` with a JSON object; the answer is JSON. `client.py` has a method for each verb.
"""

import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from . import seams
from .context import Json, Lab
from .executor import Executor
from .faults import Fault
from .reads import remember_list
from .records import FunctionCall
from .rotation import reschedule, run_due
from .settings import Settings

CALLS_KEPT = 10_000

Verb = Callable[[Json], Any]


class Control:
    """The verbs, and the log of calls."""

    def __init__(self, *, lab: Lab, executor: Executor) -> None:
        self._lab, self._executor, self._faults = lab, executor, lab.faults
        self._counting = threading.Lock()
        self._calls: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._lambda_calls: Counter[str] = Counter()
        self._function_calls: deque[FunctionCall] = deque(maxlen=CALLS_KEPT)
        self._verbs: dict[str, Verb] = {
            "health": lambda _: {"status": "ok"},
            "now": lambda _: {"now": self._lab.clock.now().timestamp()},
            "advance": self._advance,
            "backdate": self._backdate,
            "configure": self._configure,
            "calls": self._counted,
            "function-calls": lambda _: [asdict(call) for call in list(self._function_calls)],
            "reset-calls": self._reset_calls,
            "set-fault": self._set_fault,
            "clear-faults": self._clear_faults,
            "faults": lambda _: self._faults.listed(),
            "invocations": self._invocations,
            "labels": self._labels,
            "reset": self._reset,
        }

    def answer(self, verb: str, body: bytes) -> tuple[int, Any]:
        """(status, answer) of one verb."""
        known = self._verbs.get(verb)
        if known is None:
            return 404, {"error": f"no such verb: {verb}"}
        try:
            return 200, known(json.loads(body or b"{}"))
        except (ValueError, TypeError, KeyError) as error:
            return 400, {"error": str(error)}

    def count(self, action: str, *, access_key_id: str, by_lambda: bool) -> None:
        """One more call."""
        with self._counting:
            (self._lambda_calls if by_lambda else self._calls[access_key_id])[action] += 1

    def record(self, call: FunctionCall) -> None:
        """Keep what a function called."""
        self._function_calls.append(call)

    def _advance(self, params: Json) -> Json:
        now = self._lab.clock.advance(timedelta(seconds=float(params["seconds"])))
        return {"now": now.timestamp(), "started": run_due(self._lab)}

    def _backdate(self, params: Json) -> Json:
        with self._lab.lock:
            found = [secret for secret in self._lab.store if params["secret"] in (secret.name, secret.arn)]
            if not found:
                raise ValueError(f"no secret {params['secret']}")
            step = timedelta(seconds=float(params["seconds"]))
            for secret in found:
                secret.move_back(step)
                if secret.rotation:
                    secret.rotation.since -= step
                    reschedule(self._lab, secret)
            return {"secrets": [secret.arn for secret in found]}

    def _labels(self, params: Json) -> dict[str, list[str]]:
        with self._lab.lock:
            return next((secret.stages for secret in self._lab.store if params["secret"] in (secret.name, secret.arn)), {})

    def _configure(self, params: Json) -> Json:
        with self._lab.lock:
            self._lab.settings = replace(self._lab.settings, **params)
            return asdict(self._lab.settings)

    def _counted(self, params: Json) -> Json:
        with self._counting:
            if params.get("lambdas"):
                return dict(self._lambda_calls)
            total: Counter[str] = Counter()
            for access_key_id, calls in self._calls.items():
                if params.get("key") in (None, access_key_id):
                    total += calls
            return dict(total)

    def _reset_calls(self, params: Json) -> Json:
        with self._counting:
            self._calls.clear()
            self._lambda_calls.clear()
            self._function_calls.clear()
        return {}

    def _set_fault(self, params: Json) -> Json:
        fault = Fault(**params)
        if fault.kind == "stale-list":
            with self._lab.lock:
                self._lab.stale_list = remember_list(self._lab)
        if fault.kind == "stale-read":
            with self._lab.lock:
                fault.then = {secret.arn: dict(secret.labels) for secret in self._lab.store}
        return {"id": self._faults.set(fault)}

    def _clear_faults(self, params: Json) -> Json:
        self._faults.clear(params.get("id"))
        if not self._faults.any_of("stale-list"):
            with self._lab.lock:
                self._lab.stale_list = None
        return {}

    def _invocations(self, params: Json) -> list[Json]:
        wanted = params.get("function")
        return [asdict(entry) | {"at": entry.at.timestamp()} for entry in list(self._executor.log) if wanted in (None, entry.function)]

    def _reset(self, params: Json) -> Json:
        self._clear_faults({})
        with self._lab.lock:
            for secret in self._lab.store:
                secret.active = None
            self._lab.store.clear()
            self._lab.clock.reset()
            self._lab.settings = Settings()
        self._executor.reset()
        seams.reset()
        return self._reset_calls({})
