"""From AWSCURRENT's value to a Secret's data, and the reasons for which the last good content stays."""

import copy
import dataclasses
import json
import pickle
import traceback
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.api import KeyMapping, SecretType, Target
from keyturn.domain.fields import ContentError, fields_of
from keyturn.domain.mirroring import Content, ContentInvalid, SecretValue, render, shape

CANARY = "canary-0815"


def content(value: str | bytes, target: Target | None = None) -> dict[str, bytes]:
    made = render(SecretValue(value), target or Target(), spec_name="shop/db")
    assert isinstance(made, Content), made
    return made.data


def complaint(value: str | bytes, target: Target | None = None) -> str:
    made = render(SecretValue(value), target or Target(), spec_name="shop/db")
    assert isinstance(made, ContentInvalid)
    assert made.reason == "ContentInvalid"
    assert CANARY not in repr(made)
    return made.message


def mapping(**keys: str) -> list[KeyMapping]:
    return [KeyMapping(from_=source, to=key) for key, source in keys.items()]


class TestFields:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("{}", {}),
            ('{"a": "x", "b": ""}', {"a": b"x", "b": b""}),
            ('{"a": 1, "b": -0, "c": 1.10, "d": 1E5, "e": 2e-7}', {"a": b"1", "b": b"-0", "c": b"1.10", "d": b"1E5", "e": b"2e-7"}),
            ('{"a": 123456789012345678901234567890.1234567890}', {"a": b"123456789012345678901234567890.1234567890"}),
            ('{"a": ' + "7" * 5000 + "}", {"a": b"7" * 5000}),
            ('{"a": true, "b": false, "c": null}', {"a": b"true", "b": b"false"}),
            ('{"a": { "b" : [1.50, null, true, "x y"] , "c": {} } }', {"a": b'{"b":[1.50,null,true,"x y"],"c":{}}'}),
            ('{"a": [ ] }', {"a": b"[]"}),
            ('{"a": "grün\\n\\u2603", "b": {"k": "\\u2603\\""}}', {"a": "grün\n☃".encode(), "b": '{"k":"☃\\""}'.encode()}),
            (' \n{"a": "x"}\n', {"a": b"x"}),
        ],
    )
    def test_each_top_level_key_becomes_a_data_key(self, value: str, expected: dict[str, bytes]) -> None:
        assert content(value) == expected

    @pytest.mark.parametrize(
        "value",
        ["hunter2", "", '"text"', "12", "[1]", "null", "{", '{"a": 1', '{"a": 1} x', '{"a": NaN}', "{a: 1}", "\ufeff{}", "[" * 60_000],
    )
    def test_what_is_not_a_json_object_is_mirrored_as_it_is_under_value(self, value: str) -> None:
        assert content(value) == {"value": value.encode()}

    @pytest.mark.parametrize("value", [b"", b"\x00\xff", b'{"a": "x"}'])
    def test_binary_is_mirrored_as_bytes_under_value(self, value: bytes) -> None:
        assert content(value) == {"value": value}

    @pytest.mark.parametrize("value", ['{"a": "CANARY", "a": "CANARY"}', '{"b": {"a": 1, "a": "CANARY"}}', '{"a": 1, "\\u0061": "CANARY"}'])
    def test_a_key_that_is_there_twice_is_refused(self, value: str) -> None:
        assert complaint(value.replace("CANARY", CANARY)) == 'Secret "shop/db" names the field "a" twice in its JSON.'

    def test_nesting_beyond_reason_is_refused(self) -> None:
        assert complaint('{"a": ' + "[" * 30_000 + "]" * 30_000 + "}") == 'Secret "shop/db" is nested too deeply.'

    @pytest.mark.parametrize("value", [f'{{"a": "{CANARY}\\ud800"}}', f'{{"a": ["{CANARY}\\udfff"]}}'])
    def test_half_a_surrogate_pair_is_refused(self, value: str) -> None:
        assert complaint(value) == 'Secret "shop/db" has text in field "a" that cannot be written as UTF-8.'

    def test_so_it_is_in_a_keys_name(self) -> None:
        assert complaint('{"a\\ud800": "x"}') == 'Secret "shop/db" has text in field "a\\ud800" that cannot be written as UTF-8.'

    @pytest.mark.parametrize("key", ["a b", "ä", "", ".", "..", "..a", "a/b", "x" * 254, "a\n", "a\x00"])
    def test_a_key_that_cannot_be_a_data_key_is_refused(self, key: str) -> None:
        assert "cannot be a data key; map those that are needed in spec.target.keys." in complaint(json.dumps({key: CANARY}))

    @pytest.mark.parametrize("key", ["a", "A_b-c.d", "tls.crt", ".dockerconfigjson", "0", "x" * 253, "a..b"])
    def test_a_key_that_can_be_one_is_kept(self, key: str) -> None:
        assert content(json.dumps({key: "x"})) == {key: b"x"}

    def test_a_key_that_cannot_be_a_data_key_does_no_harm_once_others_are_mapped(self) -> None:
        assert content('{"a b": "x", "c": "y"}', Target(keys=mapping(B="a b"))) == {"B": b"x"}

    def test_a_very_long_key_is_cut_in_the_message(self) -> None:
        assert len(complaint(json.dumps({"k" * 60_000: CANARY}))) < 250

    @given(fields=st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.text(st.characters(exclude_categories=["Cs"]))))
    def test_every_string_comes_through_unchanged(self, fields: dict[str, str]) -> None:
        assert content(json.dumps(fields)) == {key: text.encode() for key, text in fields.items()}

    @given(
        value=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        )
    )
    def test_whatever_the_value_is_there_is_content_or_a_reason(self, value: object) -> None:
        assert isinstance(render(SecretValue(json.dumps(value)), Target(), spec_name="x"), Content | ContentInvalid)


class TestKeysAndTemplates:
    VALUE = '{"username": "app", "password": "p/w", "port": 5432, "none": null}'

    def test_only_what_is_mapped_is_there(self) -> None:
        target = Target(keys=mapping(DB_PASSWORD="password", ALSO="password", PORT="port"))
        assert content(self.VALUE, target) == {"DB_PASSWORD": b"p/w", "ALSO": b"p/w", "PORT": b"5432"}

    @pytest.mark.parametrize("source", ["host", "none"])
    def test_a_mapped_field_that_is_not_there_is_a_reason(self, source: str) -> None:
        expected = f'Secret "shop/db" has no field "{source}", which spec.target.keys maps to "A".'
        assert complaint(self.VALUE, Target(keys=mapping(A=source))) == expected

    def test_a_template_adds_a_key_and_sees_fields_that_are_not_mapped(self) -> None:
        target = Target(keys=mapping(U="username"), template={"URL": "{{ username }}:{{ password | urlencode }}@{{ port }}"})
        assert content(self.VALUE, target) == {"U": b"app", "URL": b"app:p%2Fw@5432"}

    def test_without_a_mapping_a_template_stands_in_for_the_field_of_its_name(self) -> None:
        assert content('{"a": " x ", "b": "y"}', Target(template={"a": "{{ a | trim }}"})) == {"a": b"x", "b": b"y"}

    def test_a_template_that_names_a_missing_field_is_a_reason(self) -> None:
        expected = 'Secret "shop/db" has no field "host", which spec.target.template.URL needs.'
        assert complaint(self.VALUE, Target(template={"URL": "{{ host }}"})) == expected

    def test_a_template_that_is_none_is_a_reason(self) -> None:
        expected = 'Secret "shop/db" cannot be rendered: spec.target.template.URL, line 1: calls are not allowed'
        assert complaint(self.VALUE, Target(template={"URL": "{{ f() }}"})).startswith(expected)

    def test_a_plain_string_is_the_field_value(self) -> None:
        assert content("abc", Target(keys=mapping(TOKEN="value"), template={"H": "Bearer {{ value }}"})) == {
            "TOKEN": b"abc",
            "H": b"Bearer abc",
        }

    def test_binary_can_be_mapped(self) -> None:
        assert content(b"\x00", Target(keys=mapping(keystore="value"))) == {"keystore": b"\x00"}

    def test_binary_has_no_other_field(self) -> None:
        assert complaint(b"\x00", Target(keys=mapping(A="a"))) == 'Secret "shop/db" has no field "a", which spec.target.keys maps to "A".'

    def test_binary_is_nothing_for_templates(self) -> None:
        expected = 'Secret "shop/db" is binary, and spec.target.template works on text only; use spec.target.keys.'
        assert complaint(b"\x00", Target(template={"A": "{{ value }}"})) == expected


class TestRequire:
    @pytest.mark.parametrize("value", ["{}", '{"password": null}', '{"password": ""}', CANARY])
    def test_a_required_field_must_be_there_and_not_empty(self, value: str) -> None:
        expected = 'Secret "shop/db" lacks "password", or has nothing in it, and spec.target.require asks for it.'
        assert complaint(value, Target(require=["password"])) == expected

    @pytest.mark.parametrize(
        "value", ['{"password": "x"}', '{"password": 0}', '{"password": false}', '{"password": " "}', '{"password": {}}']
    )
    def test_anything_else_is_something(self, value: str) -> None:
        assert "password" in content(value, Target(require=["password"]))

    @pytest.mark.parametrize("value", ["", b""])
    def test_an_empty_plain_value_lacks_value(self, value: str | bytes) -> None:
        assert 'lacks "value"' in complaint(value, Target(require=["value"]))

    def test_all_that_lacks_is_named(self) -> None:
        assert 'lacks "a", "c",' in complaint('{"b": "x"}', Target(require=["a", "b", "c"]))


class TestTypes:
    @pytest.mark.parametrize(
        ("kind", "value"),
        [
            (SecretType.BASIC_AUTH, '{"username": "a"}'),
            (SecretType.BASIC_AUTH, '{"password": "a"}'),
            (SecretType.SSH_AUTH, '{"ssh-privatekey": "a"}'),
            (SecretType.TLS, '{"tls.crt": "a", "tls.key": "b", "ca.crt": "c"}'),
            (SecretType.DOCKER_CONFIG_JSON, '{".dockerconfigjson": {"auths": {}}}'),
            (SecretType.DOCKER_CONFIG_JSON, '{".dockerconfigjson": "{\\"auths\\": {\\"r\\": {}}}"}'),
        ],
    )
    def test_a_type_that_has_the_keys_it_needs_is_rendered(self, kind: SecretType, value: str) -> None:
        assert content(value, Target(type=kind))

    @pytest.mark.parametrize(
        ("kind", "value", "why"),
        [
            (SecretType.BASIC_AUTH, '{"user": "CANARY"}', "gives neither username nor password"),
            (SecretType.BASIC_AUTH, '{"username": ""}', "gives neither username nor password"),
            (SecretType.SSH_AUTH, '{"key": "CANARY"}', "gives no ssh-privatekey"),
            (SecretType.TLS, '{"tls.crt": "CANARY"}', "gives no tls.key"),
            (SecretType.TLS, '{"tls.key": "CANARY", "tls.crt": ""}', "gives no tls.crt"),
            (SecretType.DOCKER_CONFIG_JSON, "CANARY", "gives no .dockerconfigjson"),
            (SecretType.DOCKER_CONFIG_JSON, '{".dockerconfigjson": "CANARY"}', "is not a JSON object with auths"),
            (SecretType.DOCKER_CONFIG_JSON, '{".dockerconfigjson": ["CANARY"]}', "is not a JSON object with auths"),
            (SecretType.DOCKER_CONFIG_JSON, '{".dockerconfigjson": {"auths": "CANARY"}}', "is not a JSON object with auths"),
        ],
    )
    def test_a_type_whose_keys_are_missing_is_a_reason(self, kind: SecretType, value: str, why: str) -> None:
        assert why in complaint(value.replace("CANARY", CANARY), Target(type=kind))

    def test_a_type_takes_its_keys_from_mappings_and_templates_too(self) -> None:
        target = Target(type=SecretType.TLS, keys=[KeyMapping(from_="c", to="tls.crt")], template={"tls.key": "{{ k }}"})
        assert content('{"c": "1", "k": "2"}', target) == {"tls.crt": b"1", "tls.key": b"2"}


class TestSize:
    def test_a_secret_of_one_mebibyte_is_the_largest(self) -> None:
        value = json.dumps({"a": "x" * 65_536})
        sixteen = Target(keys=mapping(**{f"k{number}": "a" for number in range(16)}))
        assert sum(map(len, content(value, sixteen).values())) == 1024 * 1024
        more = Target(keys=sixteen.keys, template={"b": "x"})
        assert complaint(value, more) == 'Secret "shop/db" makes a Secret of more than 1 MiB, which the API server does not take.'


class TestShape:
    BASE = Target(keys=mapping(A="a", B="b"), template={"C": "{{ a }}"}, require=["a"])

    @pytest.mark.parametrize(
        "edit",
        [
            {"keys": None},
            {"keys": mapping(A="a")},
            {"keys": mapping(A="b", B="a")},
            {"template": {"C": "{{ b }}"}},
            {"template": {}},
            {"require": []},
            {"type": SecretType.BASIC_AUTH},
        ],
    )
    def test_an_edit_of_what_decides_the_content_changes_it(self, edit: dict[str, object]) -> None:
        assert shape(self.BASE.model_copy(update=edit)) != shape(self.BASE)

    @pytest.mark.parametrize("edit", [{"keys": mapping(B="b", A="a")}, {"labels": {"x": "y"}}, {"name": "other"}, {}])
    def test_any_other_edit_does_not(self, edit: dict[str, object]) -> None:
        assert shape(self.BASE.model_copy(update=edit)) == shape(self.BASE)


class TestNothingIsShown:
    @pytest.mark.parametrize("value", [SecretValue(CANARY), SecretValue(CANARY.encode()), Content({"password": CANARY.encode()})])
    def test_neither_printing_nor_formatting_nor_a_dump_shows_a_value(self, value: SecretValue | Content) -> None:
        printed = [repr(value), str(value), f"{value}", f"{value:>100}", f"{value!r}", "%s" % value, repr([value]), repr(dir(value))]  # noqa: UP031 another way
        assert not [text for text in printed if CANARY in text]
        with pytest.raises(TypeError):
            vars(value)

    @pytest.mark.parametrize("value", [SecretValue(CANARY), Content({"password": CANARY.encode()})])
    def test_a_value_can_be_neither_pickled_nor_copied_nor_hashed_nor_dumped(self, value: SecretValue | Content) -> None:
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy, hash, json.dumps):
            with pytest.raises(TypeError) as caught:
                attempt(value)
            assert CANARY not in str(caught.value)

    def test_a_dataclass_that_holds_one_cannot_be_taken_apart(self) -> None:
        @dataclasses.dataclass
        class Holder:
            value: SecretValue

        with pytest.raises(TypeError, match="not to be copied"):
            dataclasses.asdict(Holder(SecretValue(CANARY)))

    def test_values_are_equal_by_content_and_kind(self) -> None:
        assert SecretValue("a☃\ud800") == SecretValue("a☃\ud800")
        assert SecretValue("a") != SecretValue("b")
        assert SecretValue("a") != SecretValue(b"a")
        assert SecretValue("a") != "a"
        assert SecretValue("a").reveal() == "a"

    def test_contents_are_equal_by_keys_and_values(self) -> None:
        one = Content({"a": b"1", "b": b"2"})
        assert one == Content({"b": b"2", "a": b"1"})
        assert one not in (Content({"a": b"1"}), Content({"a": b"1", "b": b"3"}), Content({"a": b"1", "c": b"2"}), {"a": b"1", "b": b"2"})
        assert one.keys == ("a", "b")

    def test_content_is_not_changed_by_who_reads_it(self) -> None:
        made = Content({"a": b"1"})
        made.data["a"] = b"2"
        assert made.data == {"a": b"1"}

    def test_a_defect_in_rendering_is_told_without_what_it_stumbled_over(self) -> None:
        broken = SecretValue(cast(Any, {CANARY: CANARY}))
        made = render(broken, Target(), spec_name="shop/db")
        assert made == ContentInvalid('Secret "shop/db" cannot be rendered: a defect in Keyturn (TypeError); please report it.')

    @pytest.mark.parametrize("value", [f'{{"a": "{CANARY}\\ud800"}}', f'{{"a": "{CANARY}", "a": 1}}', f'{{"a": {"[" * 9999}"{CANARY}"'])
    def test_the_exception_behind_a_reason_holds_no_other_that_holds_the_document(self, value: str) -> None:
        with pytest.raises(ContentError) as caught:
            fields_of(value)
        assert caught.value.__context__ is None
        assert CANARY not in "".join(traceback.format_exception(caught.value))
