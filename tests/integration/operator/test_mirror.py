"""The mirror: first content, change of version, repair of drift, keys and templates, and the last good content that is kept."""

from __future__ import annotations

import base64

from tests.support.eventually import wait_until
from tests.support.kube import condition
from tests.support.shop import Shop


def test_the_smallest_object_mirrors_every_field_and_is_ready(shop: Shop) -> None:
    version = shop.put("db", port=5432, nested={"a": [1]}, nothing=None)
    shop.rotating_secret("db")
    seen = shop.ready("db", version=version)
    assert shop.data("db") == {"username": "app", "password": shop.value()["password"], "port": "5432", "nested": '{"a":[1]}'}
    assert seen["status"]["settled"] == {"versionId": version, "epoch": 1}
    assert shop.runs() == []


def test_a_secret_that_is_deleted_by_hand_is_back_and_nothing_restarts(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db")
    before = shop.ready("db")["status"]["mirror"]
    shop.kube.delete("Secret", "db")
    shop.kube.wait_for("Secret", "db", lambda seen: seen["metadata"]["uid"] != before["secretUid"])
    after = shop.kube.wait_for("RotatingSecret", "db", lambda seen: seen["status"]["mirror"]["secretUid"] != before["secretUid"])
    assert after["status"]["mirror"]["epoch"] == before["epoch"]
    assert shop.runs() == []


def test_a_secret_that_is_edited_by_hand_is_repaired(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    good = shop.data("db")
    wrong = base64.b64encode(b"edited").decode()
    shop.kube.patch("Secret", "db", {"data": {"password": wrong, "foreign": wrong}})
    wait_until(lambda: shop.data("db") == good, what="the repair")


def test_a_promotion_by_somebody_else_gets_a_run_and_is_mirrored(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db")
    shop.ready("db")
    version = shop.promote("db")
    shop.ready("db", version=version)
    assert shop.data("db")["password"] == shop.value()["password"]
    (run,) = shop.runs()
    assert (run["spec"]["trigger"], run["spec"]["versionId"]) == ("Observed", version)
    assert shop.over(run["metadata"]["name"])["status"]["summary"]["step"] == "Adopted"


def test_a_version_that_lacks_a_required_field_leaves_the_last_good_content(shop: Shop) -> None:
    shop.put("db")
    shop.rotating_secret("db", target={"require": ["password"]})
    shop.ready("db")
    good = shop.data("db")
    shop.promote("db", password="")
    assert "password" in shop.stalled("ContentInvalid")
    assert shop.data("db") == good
    version = shop.promote("db")
    shop.ready("db", version=version)
    assert condition(shop.kube.get("RotatingSecret", "db"), "Stalled") == {}
