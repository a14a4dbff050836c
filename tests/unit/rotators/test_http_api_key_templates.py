"""Placeholders: what they may be, and that no value leaves the place where it stands."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyturn_rotators.engines.http_api_key import pointer
from keyturn_rotators.engines.http_api_key.templates import Placeholder, Resolve, Template, Unfit, parse_json, render_json


def resolve_to(value: object) -> Resolve:
    return lambda placeholder: value


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("/v1/keys", ("/v1/keys",)),
        ("/a/{secret:key_id}/b", ("/a/", Placeholder("secret", "key_id"), "/b")),
        ("{admin:site}", (Placeholder("admin", "site"),)),
        ("{label}", (Placeholder("label"),)),
        ("{test:/scopes/0}{listed:}", (Placeholder("test", "/scopes/0"), Placeholder("listed", ""))),
        ("query { actor { user } }", ("query { actor { user } }",)),
    ],
)
def test_a_text_is_cut_at_its_placeholders(text: str, parts: tuple[object, ...]) -> None:
    assert Template.parse(text).parts == parts


@pytest.mark.parametrize(
    "text",
    ["{id}", "{secret}", "{secret:}", "{sercet:key}", "{secret:a/b}", "{label:x}", "{test:scopes}", "{listed:/a~2}", "{:x}", "{}"],
)
def test_a_placeholder_that_is_none_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"has the placeholder"):
        Template.parse(text)


@given(st.text(alphabet=st.characters()))
@example("a/b")
@example("../../admin?x=1#y")
@example("a%2Fb\r\nX-Header: 1")
def test_a_value_in_a_path_stays_one_segment(value: str) -> None:
    template = Template.parse("/keys/{secret:id}/end")
    try:
        path = template.path(resolve_to(value))
    except Unfit:
        return
    assert path.count("/") == 3
    assert not set(path) & set("?# \r\n\\")
    assert path.split("/")[2] not in ("", ".", "..")


@pytest.mark.parametrize("value", ["", ".", "..", "a\ud800"])
def test_a_value_that_would_change_the_path_is_refused(value: str) -> None:
    with pytest.raises(Unfit):
        Template.parse("/keys/{secret:id}").path(resolve_to(value))


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\0b", "é", "\u2028"])
def test_a_value_that_would_end_a_header_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(Unfit) as refused:
        Template.parse("Bearer {secret:api_key}").header(resolve_to(value))
    assert value not in str(refused.value)


@pytest.mark.parametrize("value", ["evil.example/", "a@evil.example", "evil.example#", "a:1", "..", "-", "", "a..b", "a\nb"])
def test_a_value_that_would_lead_to_another_host_is_refused(value: str) -> None:
    with pytest.raises(Unfit):
        Template.parse("https://api.{admin:site}").host(resolve_to(value))


def test_a_field_of_json_may_be_left_out_where_the_answer_has_nothing() -> None:
    body = parse_json({"name": "{label}", "condition": "{listed?:/condition}", "deep": {"on": "{test?:/on}", "off": "{test:/off}"}})
    values: dict[str, object] = {"": "k", "/condition": None, "/on": False, "/off": None}
    rendered = render_json(body, lambda placeholder: values[placeholder.name])
    assert rendered == {"name": "k", "deep": {"on": False, "off": None}}


@pytest.mark.parametrize(
    "content", ["{listed?:/a}", {"x": "a {listed?:/a}"}, {"x": ["{test?:/a}"]}, {"x": "{secret?:a}"}, {"x": "{label?}"}]
)
def test_only_the_whole_of_a_field_of_json_may_be_left_out(content: object) -> None:
    with pytest.raises(ValueError, match="has the placeholder"):
        parse_json(content)


def test_a_placeholder_that_stands_alone_in_json_keeps_its_type() -> None:
    body = parse_json({"scopes": "{test:/scopes}", "name": "a {test:/n}", "deep": [{"x": 1, "y": True}]})
    values = {"/scopes": ["a", {"b": 1}], "/n": 7}
    assert render_json(body, lambda placeholder: values[placeholder.name]) == {
        "scopes": ["a", {"b": 1}],
        "name": "a 7",
        "deep": [{"x": 1, "y": True}],
    }


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}])
def test_only_texts_and_whole_numbers_stand_within_a_text(value: object) -> None:
    with pytest.raises(Unfit):
        Template.parse("a{secret:x}").text(resolve_to(value))


DOCUMENT = {"foo": ["bar", {"baz": None}], "": 0, "a/b": 1, "m~n": 2, "0": 3}


@pytest.mark.parametrize(
    ("where", "value"),
    [("", DOCUMENT), ("/foo/0", "bar"), ("/foo/1/baz", None), ("/", 0), ("/a~1b", 1), ("/m~0n", 2), ("/0", 3)],
)
def test_a_pointer_finds_what_rfc_6901_says(where: str, value: object) -> None:
    assert pointer.find(DOCUMENT, where) == value


@pytest.mark.parametrize("where", ["/bar", "/foo/2", "/foo/01", "/foo/-", "/foo/0/x", "/foo/-1", "/foo/²"])
def test_a_pointer_to_nothing_is_missing(where: str) -> None:
    with pytest.raises(pointer.Missing):
        pointer.find(DOCUMENT, where)
