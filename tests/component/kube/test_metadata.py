"""What managed fields say about who wrote what and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from keyturn.adapters.kube.metadata import foreign_time, managers_below, owned_keys, target_view, write_time

Fields = dict[str, Any]


def entry(manager: str, second: int, fields: Fields, **more: Any) -> dict[str, Any]:
    return {"manager": manager, "time": f"2026-11-21T10:00:{second:02}Z", "fieldsV1": fields, **more}


def meta(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"creationTimestamp": "2026-11-21T09:00:00Z", "managedFields": list(entries), **more}


def at(second: int) -> datetime:
    return datetime(2026, 11, 21, 10, 0, second, tzinfo=UTC)


DATA: Fields = {"f:data": {"f:password": {}}}


def test_the_last_writer_of_a_field_comes_last() -> None:
    item = meta(entry("late", 9, DATA), entry("early", 1, DATA), entry("elsewhere", 5, {"f:metadata": {}}))
    assert list(managers_below(item, "f:data")) == ["early", "late"]


def test_a_status_is_not_part_of_the_object() -> None:
    assert list(managers_below(meta(entry("kubelet", 1, DATA, subresource="status")), "f:data")) == []


def test_our_time_is_that_of_our_own_last_write() -> None:
    item = meta(entry("keyturn", 3, DATA), entry("other", 9, DATA), entry("keyturn", 7, DATA, operation="Apply"))
    assert write_time(item, "keyturn") == at(7)


def test_without_a_write_of_ours_the_last_of_anybody_counts_because_it_can_only_be_later() -> None:
    assert write_time(meta(entry("a", 3, DATA), entry("b", 9, DATA)), "keyturn") == at(9)
    assert write_time(meta(), "keyturn") == datetime(2026, 11, 21, 9, tzinfo=UTC)


@pytest.mark.parametrize("field", ["f:data", "f:stringData"])
def test_others_have_touched_it_when_they_last_wrote_data(field: str) -> None:
    item = meta(entry("kubectl-create", 2, {field: {"f:password": {}}}), entry("kubectl-edit", 4, DATA), entry("keyturn", 8, DATA))
    assert foreign_time(item, "keyturn") == at(4)


@pytest.mark.parametrize("fields", [{"f:metadata": {"f:annotations": {"f:a": {}}}}, {"f:immutable": {}}, {"f:type": {}}])
def test_who_owns_no_data_has_not_touched_what_pods_read(fields: Fields) -> None:
    assert foreign_time(meta(entry("kubectl-create", 2, DATA), entry("kubectl-annotate", 9, fields)), "keyturn") == at(2)
    assert foreign_time(meta(entry("keyturn", 2, DATA), entry("kubectl-annotate", 9, fields)), "keyturn") is None


def test_who_applies_string_data_manages_the_secret() -> None:
    """Seen on the API server: server-side apply of stringData owns f:stringData, and nobody owns the data that it became."""
    item = meta(entry("argocd-controller", 2, {"f:stringData": {"f:a": {}}}), entry("kubectl-label", 3, {"f:metadata": {}}))
    raw = {"metadata": item | {"name": "a", "uid": "u", "resourceVersion": "1"}}
    assert target_view(raw, ours="keyturn").managers == ("argocd-controller",)


def test_keys_that_another_manager_owns_as_well_are_not_ours_alone() -> None:
    labels: Fields = {"f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:b": {}}}}
    shared: Fields = {"f:metadata": {"f:labels": {"f:b": {}}}}
    assert owned_keys(meta(entry("keyturn", 1, labels), entry("argo", 2, shared)), "keyturn", "f:metadata", "f:labels") == {"a"}


def test_an_epoch_that_is_no_number_is_none() -> None:
    raw = {"metadata": meta(name="a", uid="u", resourceVersion="1", annotations={"keyturn.dev/epoch": "-1e9", "keyturn.dev/adopt-by": "x"})}
    view = target_view(raw, ours="keyturn")
    assert (view.epoch, view.adopt_by) == (None, "x")
