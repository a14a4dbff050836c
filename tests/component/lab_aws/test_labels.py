"""The rules of staging labels, as a table. Sequences marked "recorded" are answers of AWS (reference page, sections 1.9 and 1.10)."""

import pytest

from keyturn_lab.aws import labels as rules

VERSIONS = ["v1", "v2", "v3"]


def labels(**holders: str) -> dict[str, str]:
    return {f"AWS{label.upper()}" if label in ("current", "previous", "pending") else label: holder for label, holder in holders.items()}


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        pytest.param(labels(), "v1", labels(current="v1"), id="the first version"),
        pytest.param(labels(current="v1"), "v2", labels(current="v2", previous="v1"), id="AWSPREVIOUS follows"),
        pytest.param(labels(current="v2", previous="v1"), "v3", labels(current="v3", previous="v2"), id="the older one loses AWSPREVIOUS"),
        pytest.param(labels(current="v2", previous="v1"), "v1", labels(current="v1", previous="v2"), id="a rollback swaps the two"),
        pytest.param(
            labels(current="v1", PUT0="v1"), "v2", labels(current="v2", previous="v1", PUT0="v1"), id="recorded: custom labels stay"
        ),
        pytest.param(labels(current="v1", previous="v3"), "v1", labels(current="v1", previous="v3"), id="to its holder: nothing"),
    ],
)
def test_promotion_moves_awscurrent_and_awsprevious(before: dict[str, str], version: str, after: dict[str, str]) -> None:
    assert rules.promote(before, version) == after


@pytest.mark.parametrize(
    ("before", "version", "stages", "after"),
    [
        pytest.param(labels(current="v1"), "v2", ["AWSCURRENT"], labels(current="v2", previous="v1"), id="the default"),
        pytest.param(labels(current="v1"), "v2", ["AWSPENDING"], labels(current="v1", pending="v2"), id="createSecret"),
        pytest.param(
            labels(current="v1", A="v1"), "v2", ["A", "B"], labels(current="v1", A="v2", B="v2"), id="labels are taken from others"
        ),
        pytest.param(
            labels(current="v2", pending="v2", previous="v1"),
            "v3",
            ["AWSCURRENT"],
            labels(current="v3", previous="v2"),
            id="recorded 2022-09-28",
        ),
        pytest.param(
            labels(current="v1", pending="v2"), "v3", ["AWSCURRENT"], labels(current="v3", previous="v1"), id="a rotation is abandoned"
        ),
    ],
)
def test_a_stored_value_takes_exactly_its_labels(before: dict[str, str], version: str, stages: list[str], after: dict[str, str]) -> None:
    assert rules.put(before, version, stages) == after


@pytest.mark.parametrize(
    ("before", "label", "remove_from", "move_to", "after"),
    [
        pytest.param(labels(current="v1"), "AWSCURRENT", "v1", "v2", labels(current="v2", previous="v1"), id="promotion"),
        pytest.param(
            labels(current="v1", pending="v2"),
            "AWSCURRENT",
            "v1",
            "v2",
            labels(current="v2", previous="v1", pending="v2"),
            id="recorded: both labels",
        ),
        pytest.param(labels(current="v1", pending="v2"), "AWSPENDING", "v2", None, labels(current="v1"), id="unstick a rotation"),
        pytest.param(labels(current="v1"), "BLUE", None, "v1", labels(current="v1", BLUE="v1"), id="a label that nobody has"),
        pytest.param(labels(current="v1"), "AWSCURRENT", None, "v1", labels(current="v1"), id="to its holder"),
    ],
)
def test_a_label_moves(before: dict[str, str], label: str, remove_from: str | None, move_to: str | None, after: dict[str, str]) -> None:
    assert rules.move(before, label, remove_from=remove_from, move_to=move_to, versions=VERSIONS) == after


@pytest.mark.parametrize(
    ("label", "remove_from", "move_to", "says"),
    [
        pytest.param(
            "AWSCURRENT", None, "v2", "RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version v1"
        ),
        pytest.param("BLUE", None, "v2", "RemoveFromVersionId can't be empty. Staging label BLUE is currently attached to version v3"),
        pytest.param("AWSCURRENT", "v3", "v2", "not attached to the version v3"),
        pytest.param("AWSCURRENT", "v1", None, "can't remove the staging label AWSCURRENT"),
        pytest.param("AWSCURRENT", "v1", "v9", "Not a valid version: v9"),
        pytest.param("AWSCURRENT", None, None, "at least one of"),
        pytest.param("GREEN", "v1", "v2", "not attached to the version v1"),
    ],
)
def test_a_move_that_aws_refuses(label: str, remove_from: str | None, move_to: str | None, says: str) -> None:
    before = labels(current="v1", BLUE="v3")
    with pytest.raises(rules.LabelError, match=says):
        rules.move(before, label, remove_from=remove_from, move_to=move_to, versions=VERSIONS)


@pytest.mark.parametrize(
    ("state", "in_progress"),
    [
        (labels(current="v1"), False),
        (labels(current="v1", pending="v1"), False),
        (labels(current="v1", pending="v2"), True),
    ],
)
def test_a_rotation_is_in_progress_while_awspending_is_on_another_version(state: dict[str, str], in_progress: bool) -> None:
    assert rules.rotation_in_progress(state) is in_progress
