"""Every connection is cut before any one request to PostgreSQL, and AWS starts again from the first step."""

import pytest
from pg8000.exceptions import DatabaseError
from tests.integration.rotators.proxies import MortalProxy
from tests.integration.rotators.worlds import Shop

from keyturn_lab.backends import Postgres
from keyturn_rotators.errors import RotationError
from keyturn_rotators.rotation import CURRENT, PENDING, Step

STRIDE = 7  # one statement is two or three packets; users change places between the cuts, so both directions are met


def attempt(shop: Shop, token: str) -> bool:
    try:
        for step in Step:
            shop.step(step, token)
    except RotationError:
        return False
    return True


def use(shop: Shop, label: str) -> None:
    credential = shop.store.credential("app", label)
    shop.use(f"SELECT a FROM {shop.app}.t", credential=credential)


@pytest.mark.timeout(400)
def test_with_two_users_the_current_credential_works_wherever_the_connections_are_cut(pg: Postgres) -> None:
    shop = Shop(pg)
    shop.use(f"CREATE TABLE {shop.app}.t (a int)")
    with MortalProxy(pg.host, pg.port) as proxy:
        for secret in ("app", "superuser"):
            shop.set_value(secret, port=proxy.port)
        cut = 0
        while True:
            token = shop.store.start("app")
            proxy.revive(dies_before=cut)
            finished = attempt(shop, token)
            use(shop, CURRENT)
            proxy.revive()
            assert attempt(shop, token), f"the attempt after the one that was cut before request {cut}"
            assert shop.store.holder("app", CURRENT) == token
            use(shop, CURRENT)
            if finished:
                break
            cut += STRIDE
    assert cut > 60, "one rotation has more requests than were cut"


def test_with_one_user_the_current_or_the_pending_credential_works_wherever_the_connections_are_cut(pg: Postgres) -> None:
    shop = Shop(pg, strategy="SingleUser")
    shop.use(f"CREATE TABLE {shop.app}.t (a int)")
    with MortalProxy(pg.host, pg.port) as proxy:
        shop.set_value("app", port=proxy.port)
        for cut in range(30):
            token = shop.store.start("app")
            proxy.revive(dies_before=cut)
            finished = attempt(shop, token)
            works = [label for label in (CURRENT, PENDING) if logs_in(shop, label)]
            assert works, f"nothing logs in after the cut before request {cut}"
            proxy.revive()
            assert attempt(shop, token)
            use(shop, CURRENT)
            if finished:
                return
    pytest.fail("one rotation has fewer requests than this")


def logs_in(shop: Shop, label: str) -> bool:
    try:
        use(shop, label)
    except DatabaseError:
        return False
    return True
