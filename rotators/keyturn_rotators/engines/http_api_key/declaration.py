"""What a provider's API needs to be asked, as data: which requests make, try, list and revoke a key.

A declaration is a TOML file; `docs/rotators/http-api-key.md` is its reference. Everything that can be wrong with it is found when it is
read, before a request is sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from keyturn_rotators.engines.http_api_key.reading import Table
from keyturn_rotators.engines.http_api_key.templates import Json, Placeholder, Template, templates_in

API_KEY, KEY_ID = "api_key", "key_id"
ADMIN, CURRENT, OWN = "admin", "current", "own"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
RETRIED = (429, 502, 503, 504)
RETRIED_CREATE = (429,)  # after any other failure a key may have been made
SETTLES_WITHIN = 30.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a request shows who asks."""

    bearer: Template | None = None
    basic: tuple[Template, ...] = ()  # user and password
    headers: Mapping[str, Template] = field(default_factory=dict)

    def templates(self) -> Iterator[Template]:
        yield from (*((self.bearer,) if self.bearer else ()), *self.basic, *self.headers.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One request."""

    name: str
    auth: str  # ADMIN, CURRENT: the key of AWSCURRENT, OWN: the key that the request is about
    method: str
    path: Template
    query: Mapping[str, Template]
    headers: Mapping[str, Template]
    json: Json
    form: Mapping[str, Template]
    expect: frozenset[int]
    retry: frozenset[int]

    def templates(self) -> Iterator[Template]:
        yield from (self.path, *self.query.values(), *self.headers.values(), *self.form.values())
        yield from templates_in(self.json)


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Makes a key."""

    request: Declared
    answer: Mapping[str, str]  # field of the secret -> pointer
    limit: frozenset[int]  # statuses that mean that there may be no more keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Asks as the key itself."""

    request: Declared
    refused: frozenset[int]  # statuses that mean that the key is not valid
    require: Mapping[str, str | int | bool]  # pointer -> what a valid key's answer has there
    proves: Mapping[str, str]  # field of the secret -> pointer to what the provider says that it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """A list that comes in numbered pages."""

    parameter: str
    first: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Shows the account's keys, without their values."""

    request: Declared
    items: str
    id: str
    label: str
    ends_with: str | None  # pointer to the last letters of the key
    pages: Pages | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Revokes a key, or makes one valid again."""

    request: Declared
    gone: frozenset[int]  # statuses that mean that it was done before


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One declaration."""

    name: str
    documentation: str
    checked: str
    url: Template
    admin: Login
    key: Login
    starts_with: Template | None  # what a key begins with
    settles_within: float  # seconds until what was changed counts everywhere
    error: str | None  # pointer to the words of a refusal
    create: Create
    test: Probe
    revoke: Change
    listing: Listing | None
    restore: Change | None

    @property
    def requests(self) -> tuple[Declared, ...]:
        optional = (self.listing, self.restore)
        return (self.create.request, self.test.request, self.revoke.request, *(each.request for each in optional if each))

    @property
    def logins(self) -> tuple[Login, ...]:
        return (self.key, self.admin) if any(request.auth == ADMIN for request in self.requests) else (self.key,)

    @property
    def fields(self) -> frozenset[str]:
        """The secret's fields that requests are made of, and that no rotation changes."""
        templates = [self.url, *([self.starts_with] if self.starts_with else [])]
        templates += [template for login in self.logins for template in login.templates()]
        templates += [template for request in self.requests for template in request.templates()]
        used = {each.name for template in templates for each in template.placeholders() if each.source == "secret"}
        return frozenset((used | set(self.test.proves)) - set(self.create.answer))


def parse(name: str, content: Mapping[str, Any]) -> Provider:
    """Raises RotationError that names the provider, the field, and what to do."""
    top = Table(name, "", dict(content))
    provider = Provider(
        name=name,
        documentation=top.text("documentation", ""),
        checked=top.text("checked", ""),
        url=_url(top),
        settles_within=top.seconds("settles_within", SETTLES_WITHIN),
        error=top.pointer("error") if top.has("error") else None,
        admin=_login(top.table("admin")),
        starts_with=top.template("starts_with") if top.has("starts_with") else None,
        key=_login(top.table("key")),
        create=_create(top.table("create")),
        test=_test(top.table("test")),
        revoke=_change(top.table("revoke")),
        listing=_listing(top.table("list")) if top.has("list") else None,
        restore=_change(top.table("restore")) if top.has("restore") else None,
    )
    top.end()
    _check(provider, top)
    return provider


def _url(top: Table) -> Template:
    url = top.template("url")
    parts = url.parts
    if len(parts) == 1 and isinstance(parts[0], Placeholder):
        return url  # the whole URL is a field's: checked when it is known
    first = parts[0] if parts else ""
    written = urlsplit(url.literal)
    if not isinstance(first, str) or not first.startswith(("https://", "http://")) or written.username or written.query or written.fragment:
        raise top.error("url", "is not an https URL without user and query", 'write "https://api.example.com", or one placeholder')
    return url


def _login(table: Table) -> Login:
    login = Login(
        bearer=table.template("bearer") if table.has("bearer") else None, basic=table.texts("basic"), headers=table.templates("headers")
    )
    if login.basic and len(login.basic) != 2:
        raise table.error("basic", "is not a list of user and password", 'write basic = ["{secret:key_id}", "{secret:api_key}"]')
    table.end()
    return login


def _request(table: Table, *, auths: tuple[str, ...], method: str, expect: tuple[int, ...], retry: tuple[int, ...] = RETRIED) -> Declared:
    """The first of `auths` is the default."""
    declared = Declared(
        name=table.path,
        auth=table.choice("auth", auths[0], auths),
        method=table.choice("method", method, METHODS),
        path=table.template("path"),
        query=table.templates("query"),
        headers=table.templates("headers"),
        json=table.json("json"),
        form=table.templates("form"),
        expect=table.statuses("expect", expect),
        retry=table.statuses("retry", retry),
    )
    if not (declared.path.parts and isinstance(declared.path.parts[0], str) and declared.path.parts[0].startswith("/")):
        raise table.error("path", 'does not begin with "/"')
    if set("?#") & set(declared.path.literal):
        raise table.error("path", "has a query", "the table query")
    if declared.json is not None and declared.form:
        raise table.error("form", "is there besides json", "keep one of the two")
    return declared


def _create(table: Table) -> Create:
    create = Create(
        request=_request(table, auths=(ADMIN, CURRENT), method="POST", expect=(200, 201), retry=RETRIED_CREATE),
        answer=table.pointers("answer"),
        limit=table.statuses("limit"),
    )
    if API_KEY not in create.answer:
        raise table.error(f"answer.{API_KEY}", "is missing", "say where in the answer the new key is")
    table.end()
    return create


def _test(table: Table) -> Probe:
    probe = Probe(
        request=_request(table, auths=(OWN,), method="GET", expect=(200,)),
        refused=table.statuses("refused", (401,)),
        require=table.values("require"),
        proves=table.pointers("proves"),
    )
    if probe.refused & probe.request.expect or probe.refused & probe.request.retry or min(probe.refused, default=500) >= 500:
        raise table.error("refused", "has a status that is expected, retried, or no refusal", "name those of a key that is not valid only")
    table.end()
    return probe


def _change(table: Table) -> Change:
    change = Change(
        request=_request(table, auths=(ADMIN, CURRENT, OWN), method="DELETE", expect=(200, 202, 204)), gone=table.statuses("gone", (404,))
    )
    table.end()
    return change


def _listing(table: Table) -> Listing:
    listing = Listing(
        request=_request(table, auths=(ADMIN, CURRENT), method="GET", expect=(200,)),
        items=table.pointer("items", ""),
        id=table.pointer("id"),
        label=table.pointer("label"),
        ends_with=table.pointer("ends_with") if table.has("ends_with") else None,
        pages=_pages(table.table("pages")) if table.has("pages") else None,
    )
    table.end()
    return listing


def _pages(table: Table) -> Pages:
    pages = Pages(parameter=table.text("parameter"), first=table.integer("first"), size=table.integer("size"))
    if pages.size < 1:
        raise table.error("size", "is less than 1")
    table.end()
    return pages


def _check(provider: Provider, top: Table) -> None:
    """What no field shows by itself."""
    administered = any(request.auth == ADMIN for request in provider.requests)
    if administered and not list(provider.admin.templates()):
        raise top.error("admin", "is missing", "say how the administrator authenticates: bearer, basic or headers")
    if not list(provider.key.templates()):
        raise top.error("key", "is missing", "say how the key authenticates: bearer, basic or headers")
    # Whoever writes the app's secret must not choose where the administrator's key is sent.
    allowed = {"admin"} if administered else {"secret", "admin"}
    _only(top, "url", [provider.url], allowed)
    _only(top, "admin", provider.admin.templates(), {"admin"})
    _only(top, "key", provider.key.templates(), {"secret"})
    _only(top, "starts_with", [provider.starts_with] if provider.starts_with else [], {"secret"})
    for request in provider.requests:
        creating = request is provider.create.request
        known = {"secret", "admin"} | ({"label", "test"} if creating else set()) | ({"listed"} if creating and provider.listing else set())
        _only(top, request.name, request.templates(), known)
    if provider.listing and KEY_ID not in provider.create.answer:
        raise top.error(f"create.answer.{KEY_ID}", "is missing", "say where the new key's id is: without it a list is of no use")
    if provider.restore and not provider.listing:
        raise top.error("restore", "is there without list", "declare list: a key that is refused is known by it alone")
    labelled = any(each.source == "label" for template in provider.create.request.templates() for each in template.placeholders())
    if provider.listing and not labelled:
        raise top.error("create", "has no {label}", "put it where the key's name goes: by it a key that was made and lost is found again")


def _only(top: Table, name: str, templates: Any, sources: set[str]) -> None:
    for template in templates:
        for each in template.placeholders():
            if each.source not in sources:
                raise top.error(name, f"has the placeholder {each}", f"only these may be there: {', '.join(sorted(sources))}")
