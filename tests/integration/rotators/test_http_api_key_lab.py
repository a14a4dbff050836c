"""The lab's own provider of API keys: real requests, its three ways to authenticate, its switches, and nothing left of it."""

import base64
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.support.eventually import wait_until

from keyturn_lab.backends.http_provider import ADMIN, Fault, HttpProvider


@pytest.fixture
def provider() -> Iterator[HttpProvider]:
    with HttpProvider() as running:
        yield running


def ask(provider: HttpProvider, method: str, path: str, headers: dict[str, str], body: object = None) -> tuple[int, Any]:
    if provider.url.startswith("https"):
        context = ssl.create_default_context(cafile=provider.bundle)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(provider.host, provider.port, context=context, timeout=30)
    else:
        connection = http.client.HTTPConnection(provider.host, provider.port, timeout=30)
    try:
        connection.request(method, path, body=body if isinstance(body, str) else json.dumps(body), headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None
    finally:
        connection.close()


def as_admin(provider: HttpProvider, method: str, path: str, body: object = None) -> tuple[int, Any]:
    return ask(provider, method, path, {"Authorization": f"Bearer {provider.admin_token}"}, body)


def made(provider: HttpProvider, account: str = "shop", **fields: object) -> dict[str, Any]:
    status, answer = as_admin(provider, "POST", f"/v1/accounts/{account}/keys", {"name": "n"} | fields)
    assert status == 201
    key: dict[str, Any] = answer["key"]
    return key


def whoami(provider: HttpProvider, secret: str) -> int:
    return ask(provider, "GET", "/v1/whoami", {"X-Api-Key": secret})[0]


def test_a_key_is_made_tried_listed_and_revoked_over_tls(provider: HttpProvider) -> None:
    key = made(provider, scopes=["a"])
    assert ask(provider, "GET", "/v1/whoami", {"Authorization": f"Bearer {key['secret']}"}) == (
        200,
        {"key_id": key["id"], "account": "shop", "scopes": ["a"]},
    )
    listed = as_admin(provider, "GET", "/v1/accounts/shop/keys?page=1")[1]["keys"]
    assert [each["id"] for each in listed] == [key["id"]]
    assert key["secret"] not in json.dumps(listed)
    assert as_admin(provider, "DELETE", f"/v1/accounts/shop/keys/{key['id']}") == (204, None)
    assert whoami(provider, key["secret"]) == 401
    assert as_admin(provider, "DELETE", f"/v1/accounts/shop/keys/{key['id']}")[0] == 404


def test_the_administrator_has_three_ways_to_authenticate_and_no_other(provider: HttpProvider) -> None:
    basic = base64.b64encode(f"{ADMIN}:{provider.admin_token}".encode()).decode()
    wrong = base64.b64encode(f"other:{provider.admin_token}".encode()).decode()
    ways = [
        {"Authorization": f"Bearer {provider.admin_token}"},
        {"Authorization": f"Basic {basic}"},
        {"X-Admin-Token": provider.admin_token},
    ]
    others: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {wrong}"},
        {"Authorization": "Basic é"},
    ]
    assert [ask(provider, "GET", "/v1/accounts/shop/keys", way)[0] for way in ways] == [200] * 3
    assert [ask(provider, "GET", "/v1/accounts/shop/keys", way)[0] for way in others] == [401] * 4


def test_a_key_can_be_made_with_a_form(provider: HttpProvider) -> None:
    headers = {"X-Admin-Token": provider.admin_token, "Content-Type": "application/x-www-form-urlencoded"}
    status, answer = ask(provider, "POST", "/v1/accounts/shop/keys", headers, "name=a+b&scopes=x+y")
    assert (status, answer["key"]["name"], answer["key"]["scopes"]) == (201, "a b", ["x", "y"])


@pytest.mark.parametrize("body", ["{", '"text"', "{}"])
def test_a_key_without_a_name_is_refused(provider: HttpProvider, body: str) -> None:
    assert as_admin(provider, "POST", "/v1/accounts/shop/keys", body)[0] == 400


def test_a_key_of_another_account_cannot_be_revoked_by_its_id(provider: HttpProvider) -> None:
    key = provider.create_key("other")
    assert as_admin(provider, "DELETE", f"/v1/accounts/shop/keys/{key.id}")[0] == 404
    assert provider.accepts(key.secret)


def test_a_disabled_key_is_refused_until_it_is_enabled(provider: HttpProvider) -> None:
    key = provider.create_key("shop")
    said = []
    for change in ("disable", "enable"):
        as_admin(provider, "POST", f"/v1/accounts/shop/keys/{key.id}/{change}")
        said.append(whoami(provider, key.secret))
    assert said == [401, 200]


def test_more_keys_than_the_limit_are_refused(provider: HttpProvider) -> None:
    provider.faults.key_limit = 1
    made(provider)
    assert as_admin(provider, "POST", "/v1/accounts/shop/keys", {"name": "n"})[0] == 409
    made(provider, account="other")


def test_a_new_key_may_be_accepted_late_and_a_revoked_one_refused_late(provider: HttpProvider) -> None:
    provider.faults.accepted_after = provider.faults.refused_after = 3600.0
    late, old = made(provider), provider.create_key("shop")
    assert whoami(provider, late["secret"]) == 401
    as_admin(provider, "DELETE", f"/v1/accounts/shop/keys/{old.id}")
    assert whoami(provider, old.secret) == 200


def test_planned_faults_meet_one_request_each(provider: HttpProvider) -> None:
    key = provider.create_key("shop")
    provider.faults.planned.extend([Fault(status=429, retry_after="1"), None, Fault(status=503)])
    assert [whoami(provider, key.secret) for _ in range(4)] == [429, 200, 503, 200]


def test_a_request_whose_answer_is_lost_is_carried_out_and_the_next_is_not(provider: HttpProvider) -> None:
    provider.faults.dies_after = provider.faults.requests
    for _ in range(2):
        with pytest.raises((http.client.RemoteDisconnected, ssl.SSLError, ConnectionResetError)):
            as_admin(provider, "POST", "/v1/accounts/shop/keys", {"name": "n"})
    assert len(provider.keys("shop")) == 1


def test_a_client_that_never_speaks_holds_up_nobody(provider: HttpProvider) -> None:
    with socket.create_connection((provider.host, provider.port)):
        assert whoami(provider, "nobody") == 401


def test_no_key_is_in_what_it_shows_of_itself(provider: HttpProvider) -> None:
    key = made(provider)
    shown = f"{provider!r}{provider.keys('shop')!r}{provider.log!r}"
    assert key["secret"] not in shown
    assert provider.admin_token not in shown


def test_two_run_side_by_side_and_leave_neither_files_nor_threads() -> None:
    before = threading.active_count()
    with HttpProvider() as first, HttpProvider(tls=False) as second:
        assert first.port != second.port
        assert whoami(second, "nobody") == 401
        first.faults.planned.append(Fault(hang=True))

        def hang() -> None:
            with suppress(OSError, http.client.HTTPException):
                whoami(first, "nobody")

        hanging = threading.Thread(target=hang, daemon=True)
        hanging.start()
    hanging.join(30)
    assert not first.bundle.exists()
    wait_until(lambda: threading.active_count() <= before, what="the end of all threads")
    with socket.socket() as probe:
        assert probe.connect_ex((first.host, first.port)) != 0
