"""What docs/rotators/redis.md says is enough, is what the tests run with."""

import json

from tests.support.rotator_pages import RotatorPage

from keyturn_lab.backends.redis import ADMIN_RULES
from keyturn_rotators.passwords import EXCLUDED

PAGE = RotatorPage("redis")


def test_the_superuser_of_the_page_is_the_one_that_the_tests_run_with() -> None:
    line = PAGE.line(r"^ACL SETUSER keyturn_admin on >choose-one (.*)$")
    assert tuple(line[1].split()) == ADMIN_RULES


def test_the_secrets_of_the_pages_are_ones_that_the_rotators_read() -> None:
    for page, port in (("redis", 6379), ("rabbitmq", 5671)):
        credential = RotatorPage(page).secret()
        assert (credential.engine, credential.port(1), credential.tls, credential.username) == (page, port, True, "app")
        assert set(json.loads(credential.to_json())) >= {"host", "password", "masterarn"}


def test_the_characters_of_the_page_are_the_ones_that_are_left_out() -> None:
    assert f"`{EXCLUDED}`" in PAGE
