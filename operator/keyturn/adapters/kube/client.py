"""The one HTTP client of the API server: raw JSON over one aiohttp session.

Typed models would cost time on every object of every list; what is needed of an answer is read off the dict. JSON is pydantic's, which
takes less than half the time of Python's own. Bodies are never logged, and the session logs in by itself, so that kopf can share it (and
the limit of connections with it).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
from pydantic_core import from_json, to_json

from keyturn.adapters.kube.access import Access
from keyturn.adapters.kube.clock import ServerClock
from keyturn.adapters.kube.refusals import outage, refusal
from keyturn.domain.failures import OutsideError

Json = dict[str, Any]
OnRequest = Callable[[str, int, float], None]
"""Called with (verb, HTTP code or 0 without an answer, seconds) after every request."""

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
FIELD_MANAGER = "keyturn"
STATUS_MANAGER = "keyturn-status"

ATTEMPTS = 3  # of a GET
SHORT_WAIT = 0.2  # seconds, where the server names none
LONGEST_WAIT = 5.0  # seconds, whatever Retry-After says

_VERBS = {"GET": "read", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of connections, and of seconds for one request."""

    connections: int = 64  # kopf's watches included
    request: float = 30.0
    connect: float = 10.0


@dataclass(frozen=True, slots=True, repr=False)
class _Call:
    """A prepared request. Without a repr: `content` may be a Secret."""

    method: str
    url: str
    content: bytes | None
    headers: Mapping[str, str]
    params: Mapping[str, str]
    attempt: str
    sensitive: bool


@dataclass(frozen=True, slots=True, repr=False)
class _Answer:
    code: int
    body: bytes
    retry_after: float | None


class KubeClient:
    """Requests to one API server. Every refusal and outage is an OutsideError, already classified.

    Use as an async context manager. kopf can share `session`: `kopf.AiohttpSession(server=client.url, aiohttp_session=client.session)`.
    """

    def __init__(self, access: Access, *, limits: Limits | None = None, on_request: OnRequest | None = None, lent: bool = False) -> None:
        """With `lent`, whoever has the session sends its own requests through it, and those are what `on_request` is told of."""
        limits = limits or Limits()
        self._access, self._on_request = access, None if lent else on_request
        self._timeout = aiohttp.ClientTimeout(total=limits.request, connect=limits.connect)
        self.url = access.url
        self.clock = ServerClock()
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limits.connections, ssl=access.tls()),
            middlewares=(self._logged_in,),
            proxy=access.proxy,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            trace_configs=[_traced(on_request)] if lent and on_request else [],
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        subject: str,
        content_type: str = JSON,
        params: Mapping[str, str] | None = None,
        accept: str = JSON,
        sensitive: bool = False,
    ) -> Json:
        """The answer's JSON object. `subject` names the object for messages; `sensitive`: the body holds a Secret's data.

        A GET is tried up to three times where the server is busy or gone; nothing else is ever repeated here.
        """
        headers = {"Accept": accept} if body is None else {"Accept": accept, "Content-Type": content_type}
        content = None if body is None else to_json(body)
        call = _Call(method, self.url + path, content, headers, params or {}, f"{_VERBS[method]} {subject}", sensitive)
        for left in reversed(range(ATTEMPTS if method == "GET" else 1)):
            outcome, wait = self._judged(call, await self._sent(call))
            if isinstance(outcome, dict):
                return outcome
            if not left or wait is None:
                raise outcome
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def stream(self, path: str, *, subject: str, params: Mapping[str, str], accept: str) -> AsyncIterator[aiohttp.StreamReader]:
        """The answer to a watch, for as long as the server sends; the caller watches the clock. Refusals as with `request`."""
        attempt, started = f"watch {subject}", time.monotonic()
        response = await self._opened(path, params, accept, attempt)
        try:
            self._observe("WATCH", response.status, started)
            if response.status >= 400:
                raise refusal(response.status, _status(await response.read()), attempt=attempt, sensitive=False)
            yield response.content
        except (aiohttp.ClientError, OSError) as error:
            cause = type(error).__name__
        else:
            return
        finally:
            response.close()
        raise outage(attempt, cause)

    async def _opened(self, path: str, params: Mapping[str, str], accept: str, attempt: str) -> aiohttp.ClientResponse:
        endless = aiohttp.ClientTimeout(total=None, connect=self._timeout.connect)
        try:
            async with asyncio.timeout(self._timeout.total):
                return await self.session.get(
                    self.url + path,
                    params=params,
                    headers={"Accept": accept},
                    timeout=endless,
                    server_hostname=self._access.server_hostname,
                )
        except (aiohttp.ClientError, OSError) as error:
            cause = type(error).__name__
        raise outage(attempt, cause)

    @staticmethod
    def _judged(call: _Call, answer: _Answer | str) -> tuple[Json | OutsideError, float | None]:
        """The answer's JSON, or the error and after how many seconds another try makes sense (None: none)."""
        if isinstance(answer, str):
            return outage(call.attempt, answer), None if answer.endswith("TimeoutError") else SHORT_WAIT  # enough time was lost
        if answer.code < 400:
            parsed = _parsed(answer.body)
            return (outage(call.attempt, "UnreadableAnswer"), SHORT_WAIT) if parsed is None else (parsed, None)
        error = refusal(answer.code, _status(answer.body), attempt=call.attempt, sensitive=call.sensitive)
        busy = answer.code == 429 or answer.code >= 500
        return error, min(SHORT_WAIT if answer.retry_after is None else answer.retry_after, LONGEST_WAIT) if busy else None

    async def _sent(self, call: _Call) -> _Answer | str:
        """The answer, or the name of what went wrong: the exception itself might hold the request, and is left behind."""
        started, sent = time.monotonic(), time.time()
        try:
            async with self.session.request(
                call.method,
                call.url,
                data=call.content,
                headers=call.headers,
                params=call.params,
                server_hostname=self._access.server_hostname,
            ) as response:
                body = await response.read()
                self._observe(call.method, response.status, started)
                self.clock.heard(response.headers.get("Date"), sent=sent, received=time.time())
                return _Answer(response.status, body, _seconds(response.headers.get("Retry-After")))
        except (aiohttp.ClientError, OSError) as error:
            self._observe(call.method, 0, started)
            return type(error).__name__

    async def _logged_in(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Middleware: the current token on every request, and one renewal after a 401."""
        if token := await self._access.authorization():
            request.headers["Authorization"] = token
        response = await handler(request)
        if response.status != 401 or not await self._access.renew():
            return response
        response.release()
        if token := await self._access.authorization():
            request.headers["Authorization"] = token
        return await handler(request)

    def _observe(self, method: str, code: int, started: float) -> None:
        seconds = time.monotonic() - started
        _log.debug("%s answered %s in %.3f s", method, code, seconds)
        if self._on_request:
            self._on_request(method, code, seconds)


_Ended = aiohttp.TraceRequestEndParams | aiohttp.TraceRequestExceptionParams


def _traced(on_request: OnRequest) -> aiohttp.TraceConfig:
    """Tells of every request of a session, when its answer begins."""

    async def started(_: object, context: SimpleNamespace, __: object) -> None:
        context.started = time.monotonic()

    def tell(context: SimpleNamespace, params: _Ended, code: int) -> None:
        watches = params.url.query.get("watch") == "true"
        on_request("WATCH" if watches else params.method, code, time.monotonic() - context.started)

    async def ended(_: object, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        tell(context, params, params.response.status)

    async def failed(_: object, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams) -> None:
        tell(context, params, 0)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(failed)
    return trace


def _parsed(body: bytes) -> Json | None:
    try:
        answer = from_json(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _status(body: bytes) -> Json:
    """A refusal's Status; plain text (from a proxy, or an overloaded server) becomes its message."""
    return _parsed(body) or {"message": body[:1000].decode(errors="replace").strip()}


def _seconds(header: str | None) -> float | None:
    """Retry-After as a number of seconds; its form as a date is not used by API servers."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
