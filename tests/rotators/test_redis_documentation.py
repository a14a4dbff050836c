"""What docs/rotators/redis.md says is enough, is what the tests run with."""

import json
import re
from pathlib import Path

from keyturn_lab.backends.redis import ADMIN_RULES
from keyturn_rotators.credential import Credential
from keyturn_rotators.passwords import EXCLUDED

PAGES = Path(__file__).parents[2] / "docs" / "rotators"
PAGE = (PAGES / "redis.md").read_text()


def test_the_superuser_of_the_page_is_the_one_that_the_tests_run_with() -> None:
    line = re.search(r"^ACL SETUSER keyturn_admin on >choose-one (.*)$", PAGE, re.MULTILINE)
    assert line is not None
    assert tuple(line[1].split()) == ADMIN_RULES


def test_the_secrets_of_the_pages_are_ones_that_the_rotators_read() -> None:
    for page, port in (("redis", 6379), ("rabbitmq", 5671)):
        block = re.search(r"```json\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)
        assert block is not None
        credential = Credential.parse(block[1], secret="documented")
        assert (credential.engine, credential.port(1), credential.tls, credential.username) == (page, port, True, "app")
        assert set(json.loads(block[1])) >= {"host", "password", "masterarn"}


def test_the_characters_of_the_page_are_the_ones_that_are_left_out() -> None:
    assert f"`{EXCLUDED}`" in PAGE
