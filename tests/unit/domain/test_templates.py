"""Templates: what they can do, and what somebody who writes them with bad intent cannot."""

import base64
import contextlib
import time
import traceback
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.domain.fields import ContentError, fields_of
from keyturn.domain.templates import check_template, render_template

CANARY = "canary-4711-Grüße/☃"
FIELDS = fields_of(
    '{"username": "app", "password": "p@ss/w:rd+%", "host": "db", "port": 5432, "ratio": 1.10, "ssl": false, "tls": true, "empty": "",'
    f' "gone": null, "options": {{"a": [1, null, "x"]}}, "nothing": [], "big": 123456789012345678901234567890, "secret": "{CANARY}"}}'
)


def render(text: str) -> str:
    return render_template("KEY", text, FIELDS)


def refusal(text: str) -> str:
    with pytest.raises(ContentError) as caught:
        render(text)
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    assert caught.value.__context__ is None
    return str(caught.value)


class TestExpressions:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", ""),
            ("plain\n", "plain\n"),
            ("{{ username }}", "app"),
            ("{{username}}:{{port}}\n", "app:5432\n"),
            ("{{ ratio }}", "1.10"),
            ("{{ big }}", "123456789012345678901234567890"),
            ("{{ ssl }} {{ tls }}", "false true"),
            ("{{ options }}", '{"a":[1,null,"x"]}'),
            ("{{ 'a' ~ port ~ true }}", "a5432true"),
            ("{{ username + '-' + host }}", "app-db"),
            ("{{ 5 }} {{ 1.5 }}", "5 1.5"),
            ("{# a comment #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
            ("a\n  {%- if tls -%}  b  {%- endif -%}\n c", "abc"),
            ("{{ 'on' if tls else 'off' }}", "on"),
            ("{% if ssl %}a{% elif username == 'app' %}b{% else %}c{% endif %}", "b"),
            ("{% if ssl %}a{% elif nothing %}b{% else %}c{% endif %}", "c"),
            ("{% if ssl %}a{% endif %}", ""),
            ("{{ 'y' if port == 5432 else 'n' }}", "y"),
            ("{{ 'y' if port == 5432.0 else 'n' }}", "y"),
            ("{{ 'y' if port == '5432' else 'n' }}", "n"),
            ("{{ 'y' if 1000 < port <= 6000 else 'n' }}", "y"),
            ("{{ 'y' if 'a' < username < 'b' else 'n' }}", "y"),
            ("{{ 'y' if username in ['root', 'app'] else 'n' }}", "y"),
            ("{{ 'y' if username not in ('root', 'x') else 'n' }}", "y"),
            ("{{ 'y' if 'pp' in username else 'n' }}", "y"),
            ("{{ 'y' if not ssl and (empty or tls) else 'n' }}", "y"),
            ("{{ empty or host }}", "db"),
            ("{{ 'y' if missing is defined else 'n' }}{{ 'y' if host is defined else 'n' }}", "ny"),
            ("{{ 'y' if gone is undefined else 'n' }}", "y"),
        ],
    )
    def test_what_an_expression_gives(self, text: str, expected: str) -> None:
        assert check_template("KEY", text) is None
        assert render(text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("{{ password | urlencode }}", "p%40ss%2Fw%3Ard%2B%25"),
            ("{{ secret | urlencode }}", urllib.parse.quote(CANARY, safe="")),
            ("{{ secret | b64encode }}", base64.b64encode(CANARY.encode()).decode()),
            ("{{ secret | b64encode | b64decode }}", CANARY),
            (
                "{{ 'a\"b' | tojson }} {{ port | tojson }} {{ ssl | tojson }} {{ options | tojson }}",
                '"a\\"b" 5432 false {"a":[1,null,"x"]}',
            ),
            ("{{ missing | default('x') }} {{ gone | default(port) }} {{ host | default('x') }}", "x 5432 db"),
            ("[{{ empty | default('x') }}] [{{ empty | default('x', true) }}]", "[] [x]"),
            ("{{ username | upper }} {{ 'ABC' | lower }} [{{ ' a\n' | trim }}]", "APP abc [a]"),
            ("{{ password | replace('/', '\\\\/') | upper }}", "P@SS\\/W:RD+%"),
            ("{{ port | replace(5, 'V') }}", "V432"),
        ],
    )
    def test_what_a_filter_gives(self, text: str, expected: str) -> None:
        assert render(text) == expected

    @given(user=st.text(st.characters(exclude_categories=["Cs"])), password=st.text(st.characters(exclude_categories=["Cs"])))
    def test_a_url_made_with_urlencode_can_be_taken_apart_again(self, user: str, password: str) -> None:
        url = render_template("U", "postgresql://{{ u | urlencode }}:{{ p | urlencode }}@db:5432/x", {"u": user, "p": password})
        credentials = urllib.parse.urlsplit(url).netloc.partition("@")[0]
        assert [urllib.parse.unquote(part) for part in credentials.split(":")] == [user, password]


class TestWhatIsRefusedBeforeAnythingIsRendered:
    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("{{ ''.__class__ }}", "attributes"),
            ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "calls"),
            ("{{ username.format }}", "attributes"),
            ("{{ '{0.__class__}'.format(username) }}", "calls"),
            ("{{ options['a'] }}", "subscripts"),
            ("{{ options.a }}", "attributes"),
            ("{{ username[0:1] }}", "subscripts"),
            ("{{ range(9) }}", "calls"),
            ("{{ lipsum() }}", "calls"),
            ("{{ cycler.__init__.__globals__ }}", "attributes"),
            ("{{ self._TemplateReference__context }}", "attributes"),
            ("{% for c in password %}{{ c }}{% endfor %}", "loops"),
            ("{% set x = password %}", "assignments"),
            ("{% set x %}a{% endset %}", "assignments"),
            ("{% with a = 1 %}{% endwith %}", "assignments"),
            ("{% macro m() %}{% endmacro %}", "macros"),
            ("{% call m() %}{% endcall %}", "calls"),
            ("{% include 'a' %}", "includes"),
            ("{% import 'a' as b %}", "imports"),
            ("{% from 'a' import b %}", "imports"),
            ("{% extends 'a' %}", "inheritance"),
            ("{% block a %}{% endblock %}", "blocks"),
            ("{% filter upper %}a{% endfilter %}", "filter blocks"),
            ("{% autoescape true %}a{% endautoescape %}", "autoescape blocks"),
            ("{{ {'a': 1} }}", "dictionaries"),
            ("{{ 'x' * 10**9 }}", "Mul expressions"),
            ("{{ 9**9**9 }}", "Pow expressions"),
            ("{{ '%999999999d' % 1 }}", "Mod expressions"),
            ("{{ port - 1 }}", "Sub expressions"),
            ("{{ port // 0 }}", "FloorDiv expressions"),
            ("{{ -port }}", "Neg expressions"),
        ],
    )
    def test_everything_but_expressions_filters_and_conditions(self, text: str, why: str) -> None:
        expected = f"spec.target.template.KEY, line 1: {why} are not allowed; use names of fields, filters, conditions and comparisons."
        assert check_template("KEY", text) == expected
        assert "cannot be rendered" in refusal(text)

    @pytest.mark.parametrize(
        "name", ["attr", "format", "map", "join", "pprint", "xmlattr", "safe", "e", "random", "list", "center", "indent"]
    )
    def test_every_other_filter(self, name: str) -> None:
        problem = check_template("KEY", f"{{{{ username | {name}('x') }}}}")
        assert problem is not None
        assert problem.startswith(f"spec.target.template.KEY, line 1: there is no filter {name}; there are b64decode, b64encode, default,")

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("{{ a is callable }}", "only `is defined` and `is undefined` on the name of a field are known"),
            ("{{ ('a' ~ b) is defined }}", "only `is defined` and `is undefined` on the name of a field are known"),
            ("{{ a | replace('b') }}", "filter replace takes 2 arguments, not 1"),
            ("{{ a | upper(1) }}", "filter upper takes 0 arguments, not 1"),
            ("{{ a | default }}", "filter default takes 2 arguments, not 0"),
            ("{{ a | default(boolean=true) }}", "filter default takes its arguments by position only"),
            ("{{ a | replace(*b) }}", "filter replace takes its arguments by position only"),
            ("{{ none }}", "none is not allowed"),
            ("{{ [a, b] }}", "a list may only stand to the right of `in`"),
            ("{{ a == [b] }}", "a list may only stand to the right of `in`"),
            ("{{ a in [b] == c }}", "a list may only stand to the right of `in`"),
            ("{{ a in [[b]] }}", "a list may only stand to the right of `in`"),
            ("{{ [a] | tojson }}", "a list may only stand to the right of `in`"),
            ("{{ '\\ud800' }}", "it has text that cannot be written as UTF-8"),
            ("{{ 99999999999999999999 }}", "it has a number that is too large"),
            ("{{ 1e999 }}", "it has a number that is too large"),
            ("{{ " + "a + " * 3000 + "a }}", "it is nested too deeply"),
            ("{{ a" + " | upper" * 2000 + " }}", "it is nested too deeply"),
            ("{{ a", "unexpected end of template, expected 'end of print statement'"),
            ("{% if a %}", "Unexpected end of template"),
            ("{{ a b }}", "expected token 'end of print statement', got 'b'"),
            ("{% nonsense %}", "Encountered unknown tag 'nonsense'"),
        ],
    )
    def test_misuse_with_the_line_and_the_reason(self, text: str, why: str) -> None:
        problem = check_template("KEY", f"first\n{text}")
        assert problem is not None
        assert problem.startswith(f"spec.target.template.KEY, line 2: {why}")

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("{{ " + "9" * 5000 + " }}", "it has a number that is too large"),
            ("{{ " + "(" * 5000 + "a" + ")" * 5000 + " }}", "it is nested too deeply"),
            ("{{ " + "not " * 5000 + "a }}", "it is nested too deeply"),
        ],
    )
    def test_what_the_parser_gives_up_on(self, text: str, why: str) -> None:
        assert check_template("KEY", text) == f"spec.target.template.KEY: {why}."

    def test_a_reason_that_quotes_the_template_is_cut_short(self) -> None:
        problem = check_template("KEY", "{{ a | " + "x" * 9000 + " }}")
        assert problem is not None
        assert problem.endswith("xxx….")
        assert len(problem) < 300

    @given(text=st.text("{}%#|()[].'\"*+-~ \nabif_0", max_size=60))
    def test_whatever_is_written_is_either_refused_in_a_sentence_or_ends_in_text(self, text: str) -> None:
        problem = check_template("KEY", text)
        assert problem is None or problem.startswith("spec.target.template.KEY")
        with contextlib.suppress(ContentError):
            assert isinstance(render(text), str)


class TestWhatIsRefusedWhileRendering:
    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("{{ missing }}", 'has no field "missing", which spec.target.template.KEY needs'),
            ("{{ gone }}", 'has no field "gone", which spec.target.template.KEY needs'),
            ("{{ cycler }}", 'has no field "cycler", which spec.target.template.KEY needs'),
            ("{{ missing ~ secret }}", 'has no field "missing", which spec.target.template.KEY needs'),
            ("{{ missing == secret }}", 'has no field "missing", which spec.target.template.KEY needs'),
            ("{{ missing | upper | default('x') }}", 'has no field "missing", which spec.target.template.KEY needs'),
            ("{{ secret if ssl }}", "cannot be rendered: spec.target.template.KEY has no else for a condition in line 1"),
            (
                "{{ secret + port }}",
                "cannot be rendered: spec.target.template.KEY uses + on something that is not a string; ~ joins everything",
            ),
            ("{{ secret < port }}", "cannot be rendered: spec.target.template.KEY compares things of different kinds"),
            ("{{ port in secret }}", "cannot be rendered: spec.target.template.KEY compares things of different kinds"),
            (
                "{{ secret | b64decode }}",
                "cannot be rendered: spec.target.template.KEY cannot apply b64decode: it is not the Base64 of UTF-8 text",
            ),
            (
                "{{ '/w==' | b64decode }}",
                "cannot be rendered: spec.target.template.KEY cannot apply b64decode: it is not the Base64 of UTF-8 text",
            ),
            (
                "{{ 'YQ=!=' | b64decode }}",
                "cannot be rendered: spec.target.template.KEY cannot apply b64decode: it is not the Base64 of UTF-8 text",
            ),
            (
                "{{ secret | replace('', 'x') }}",
                "cannot be rendered: spec.target.template.KEY cannot apply replace: there is nothing to look for",
            ),
        ],
    )
    def test_the_reason_names_fields_and_never_values(self, text: str, why: str) -> None:
        assert refusal(text) == why

    def test_what_a_condition_leaves_out_is_not_looked_at(self) -> None:
        assert render("{% if ssl %}{{ missing }}{% else %}{{ 'x' or missing }}{% endif %}") == "x"


class TestBounds:
    LONG = fields_of('{"a": "' + "a" * 65_000 + '"}')

    @pytest.mark.parametrize(
        "text",
        [
            "{{ a }}" * 17,
            "{{ " + " ~ ".join("a" * 200) + " }}",
            "{{ a | replace('a', a) }}",
            "{{ 'aa' | replace('a', a) | replace('a', a) | replace('a', a) }}",
            "{{ (a ~ a ~ a ~ a ~ a ~ a ~ a ~ a)" + " | upper | lower" * 20 + " }}",
        ],
    )
    def test_no_template_makes_more_than_a_megabyte_or_works_for_long(self, text: str) -> None:
        assert check_template("KEY", text) is None
        before = time.process_time()
        with pytest.raises(ContentError, match=r"larger than 1 MiB|too much text"):
            render_template("KEY", text, self.LONG)
        assert time.process_time() - before < 1

    def test_what_stays_within_the_bounds_is_rendered(self) -> None:
        assert len(render_template("KEY", "{{ a }}" * 16, self.LONG)) == 16 * 65_000

    def test_a_number_of_any_exponent_is_written_as_it_is_and_compared_within_reason(self) -> None:
        fields = fields_of('{"n": 1e999999999999999999999, "m": 1e99999}')
        assert render_template("KEY", "{{ n }} {{ 'y' if m > 5 else 'n' }}", fields) == "1e999999999999999999999 y"
        with pytest.raises(ContentError, match="exponent is too large"):
            render_template("KEY", "{{ n > 5 }}", fields)
