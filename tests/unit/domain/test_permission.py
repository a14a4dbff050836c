"""Who may use which connection for which secret, with the attempts of a tenant to reach further."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.api import Allow, ConnectionKind, NamespaceSelector, Verb
from keyturn.domain.patterns import matches
from keyturn.domain.permission import (
    Connection,
    Decision,
    InvalidSecretIdError,
    SecretId,
    Tenant,
    canonical_name_matches,
    parse_secret_id,
    permissions,
)

ACCOUNT = "111122223333"
ARN = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:shop/orders/db-a1B2c3"


def rule(
    selector: NamespaceSelector | None = None, *, secrets: Sequence[str] = ("{namespace}/**",), verbs: Sequence[Verb] = tuple(Verb)
) -> Allow:
    return Allow(namespaces=selector or NamespaceSelector(all=True), secrets=list(secrets), verbs=list(verbs))


def cluster(*rules: Allow, account: str | None = ACCOUNT) -> Connection:
    return Connection(kind=ConnectionKind.CLUSTER_AWS_CONNECTION, name="default", region="eu-west-1", account=account, allow=rules)


def ask(
    secret_id: str,
    connection: Connection,
    *,
    namespace: str = "shop",
    labels: Mapping[str, str] | None = None,
    verb: Verb = Verb.MIRROR,
) -> Decision:
    found = permissions(secret_id=secret_id, tenant=Tenant(namespace=namespace, labels=labels or {}), connection=connection)
    return found.to(verb)


class TestSecretIds:
    @pytest.mark.parametrize("name", ["db", "shop/orders/db", "rds!db-5f3a", "a_b+c=d.e@f-g", "/leading", "x" * 512, "shop/my-secret"])
    def test_a_name_is_taken_as_it_is(self, name: str) -> None:
        assert parse_secret_id(name) == SecretId(name=name)

    def test_a_full_arn_is_taken_apart(self) -> None:
        assert parse_secret_id(ARN) == SecretId(name="shop/orders/db", arn=ARN, account=ACCOUNT, region="eu-west-1")

    @pytest.mark.parametrize(
        "arn",
        [
            f"arn:aws-cn:secretsmanager:cn-north-1:{ACCOUNT}:secret:a-abcdef",
            f"arn:aws-us-gov:secretsmanager:us-gov-west-1:{ACCOUNT}:secret:a-abcdef",
            f"arn:aws-iso-b:secretsmanager:us-isob-east-1:{ACCOUNT}:secret:a-abcdef",
            f"arn:aws-eusc:secretsmanager:eusc-de-east-1:{ACCOUNT}:secret:a-abcdef",
        ],
    )
    def test_every_partition_has_its_regions(self, arn: str) -> None:
        assert parse_secret_id(arn).arn == arn

    @pytest.mark.parametrize("name", ["", "a b", "ä", "a\n", "a*", "{namespace}/a", "x" * 513, "a:b", "a\x00"])
    def test_what_aws_allows_in_no_name_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidSecretIdError, match=r"^spec.secretId is not the name"):
            parse_secret_id(name)

    @pytest.mark.parametrize(
        "arn",
        [
            f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:shop/db",  # partial: AWS would look for what begins so
            f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:shop/db-",
            f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:shop/db-abcde",
            f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:-abcdef",
            f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:shop/db-abcdef",
            f"arn:aws:secretsmanager::{ACCOUNT}:secret:shop/db-abcdef",
            f"arn:aws:secretsmanager:EU-west-1:{ACCOUNT}:secret:shop/db-abcdef",
            "arn:aws:secretsmanager:eu-west-1::secret:shop/db-abcdef",
            "arn:aws:secretsmanager:eu-west-1:12345:secret:shop/db-abcdef",
            f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/shop-abcdef",
            f"arn:azure:secretsmanager:eu-west-1:{ACCOUNT}:secret:shop/db-abcdef",
            f"arn:aws_cn:secretsmanager:eu-west-1:{ACCOUNT}:secret:shop/db-abcdef",
            ARN + "\n",
            ARN + ":extra-abcdef",
            "arn:",
        ],
    )
    def test_whatever_is_not_a_full_arn_of_a_secret_is_refused(self, arn: str) -> None:
        with pytest.raises(InvalidSecretIdError, match=r"^spec.secretId is not a full ARN"):
            parse_secret_id(arn)

    def test_a_region_of_another_partition_is_refused(self) -> None:
        with pytest.raises(InvalidSecretIdError, match="partition aws-cn, but region eu-west-1 is in aws"):
            parse_secret_id(ARN.replace("arn:aws:", "arn:aws-cn:"))


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "name", "covered"),
        [
            ("shop/db", "shop/db", True),
            ("shop/db", "shop/db2", False),
            ("shop/db", "xshop/db", False),
            ("shop/*", "shop/db", True),
            ("shop/*", "shop/orders/db", False),
            ("shop/*", "shop", False),
            ("shop/**", "shop/orders/db", True),
            ("shop/**", "shopping/db", False),
            ("*", "db", True),
            ("*", "shop/db", False),
            ("**", "shop/orders/db", True),
            ("**/db", "shop/orders/db", True),
            ("**/db", "db", False),
            ("*/db-*", "shop/db-1", True),
            ("*/db-*", "shop/x/db-1", False),
            ("a*c", "abbc", True),
            ("a*c", "abb", False),
            ("a***c", "a/b/c", True),
            ("shop.db", "shopXdb", False),  # the dot is a dot
            ("shop/[a-z]+", "shop/abc", False),
            ("(a|b)", "a", False),
            ("shop/db?", "shop/d", False),
            ("^shop$", "shop", False),
            ("", "", True),
            ("", "a", False),
            ("{namespace}/*", "shop/db", True),
            ("{namespace}/*", "shop-b/db", False),
            ("{namespace}/*", "sho/db", False),
            ("prod/{namespace}/*", "prod/shop/db", True),
            ("prod/{namespace}/*", "prod/pay/db", False),
            ("**/{namespace}/db", "a/b/shop/db", True),
            ("**/{namespace}/db", "a/b/workshop/db", False),
            ("{namespace}", "shop", True),
            ("{namespace}-db", "shop-db", False),  # a part of a segment: it would reach what is shop-db's
            ("{namespace}*/db", "shop/db", False),
            ("x{namespace}/db", "xshop/db", False),
            ("{Namespace}/db", "shop/db", False),
        ],
    )
    def test_what_a_pattern_covers_for_the_namespace_shop(self, pattern: str, name: str, covered: bool) -> None:
        assert matches(pattern, name, namespace="shop") is covered

    @given(namespace=st.from_regex(r"[a-z]([a-z-]{0,5}[a-z])?", fullmatch=True), name=st.text("ab-/.*{}", max_size=12))
    def test_the_namespaces_own_prefix_is_all_that_its_pattern_covers(self, namespace: str, name: str) -> None:
        assert matches("{namespace}/**", name, namespace=namespace) is name.startswith(f"{namespace}/")

    @given(text=st.text(min_size=1, max_size=20).filter(lambda text: "*" not in text and "{" not in text))
    def test_a_pattern_without_wildcards_covers_itself_and_nothing_longer(self, text: str) -> None:
        assert matches(text, text, namespace="shop")
        assert not matches(text, text + "x", namespace="shop")

    def test_a_pattern_full_of_wildcards_takes_no_longer_than_its_length_times_the_names(self) -> None:
        before = time.process_time()
        assert not matches("**a" * 60, "a" * 511 + "b", namespace="shop")
        assert time.process_time() - before < 1


class TestClusterConnections:
    def test_without_rules_nobody_may_anything(self) -> None:
        decision = ask("shop/db", cluster())
        assert (decision.allowed, decision.reason) == (False, "NotAllowed")
        assert decision.message == "ClusterAWSConnection default has no rule in spec.allow for namespace shop; have one added for it."

    @pytest.mark.parametrize("secret_id", ["shop/db", ARN])
    @pytest.mark.parametrize("verb", list(Verb))
    def test_the_charts_own_rule_gives_each_namespace_its_prefix(self, secret_id: str, verb: Verb) -> None:
        assert ask(secret_id, cluster(rule()), verb=verb) == Decision(allowed=True)

    @pytest.mark.parametrize("secret_id", ["shop-b/db", "shop", "pay/db", "/shop/db", "SHOP/db", "shops/db"])
    def test_a_namespace_reaches_no_other_prefix(self, secret_id: str) -> None:
        decision = ask(secret_id, cluster(rule()))
        assert (decision.allowed, decision.reason) == (False, "NotAllowed")

    def test_the_refusal_of_a_name_says_which_patterns_there_are_for_this_namespace_only(self) -> None:
        others = rule(NamespaceSelector(names=["pay"]), secrets=["hidden/**"])
        assert ask("pay/db", cluster(rule(), others)).message == (
            'ClusterAWSConnection default does not allow namespace shop the secret "pay/db"; its patterns for that namespace'
            ' are "{namespace}/**": have one added, or use a secret that they cover.'
        )

    def test_the_refusal_of_a_name_lists_no_more_than_a_handful_of_patterns(self) -> None:
        many = rule(secrets=[f"shop/{number}" for number in range(9)])
        assert 'are "shop/0", "shop/1", "shop/2", "shop/3", "shop/4" and 4 more: have one' in ask("shop/db", cluster(many)).message

    def test_a_verb_that_no_matching_rule_has_is_refused(self) -> None:
        decision = ask("shop/db", cluster(rule(verbs=[Verb.MIRROR])), verb=Verb.ROTATE)
        assert decision.message == (
            'ClusterAWSConnection default allows namespace shop only Mirror on the secret "shop/db", not Rotate;'
            " have the verb added to the rule."
        )

    def test_name_and_verb_must_be_allowed_by_the_same_rule(self) -> None:
        rules = (rule(secrets=["shop/db"], verbs=[Verb.MIRROR]), rule(secrets=["shop/other"], verbs=[Verb.ROTATE]))
        assert not ask("shop/db", cluster(*rules), verb=Verb.ROTATE).allowed

    def test_one_rule_that_allows_is_enough(self) -> None:
        rules = (rule(secrets=["shop/db"], verbs=[Verb.MIRROR]), rule(secrets=["shop/*"], verbs=[Verb.ROTATE]))
        assert ask("shop/db", cluster(*rules), verb=Verb.ROTATE).allowed

    @pytest.mark.parametrize(
        ("selector", "selected"),
        [
            (NamespaceSelector(), False),
            (NamespaceSelector(all=False), False),
            (NamespaceSelector(all=True), True),
            (NamespaceSelector(names=["shop", "pay"]), True),
            (NamespaceSelector(names=["pay"]), False),
            (NamespaceSelector(match_labels={"team": "orders"}), True),
            (NamespaceSelector(match_labels={"team": "orders", "stage": "prod"}), False),
            (NamespaceSelector(match_labels={"team": "pay"}), False),
            (NamespaceSelector(names=["pay"], all=True), False),
            (NamespaceSelector(names=["shop"], match_labels={"team": "pay"}), False),
        ],
    )
    def test_a_namespace_is_selected_by_all_that_the_selector_gives(self, selector: NamespaceSelector, selected: bool) -> None:
        decision = ask("shop/db", cluster(rule(selector)), labels={"team": "orders"})
        assert decision.allowed is selected

    def test_an_arn_of_another_region_is_refused_before_any_rule_is_read(self) -> None:
        assert ask(ARN.replace("eu-west-1", "us-east-1"), cluster(rule(secrets=["**"]))).message == (
            'Secret "shop/orders/db" is in region us-east-1, but ClusterAWSConnection default reaches eu-west-1;'
            " use a connection for that region."
        )

    def test_an_arn_of_another_account_is_refused_once_the_connections_account_is_known(self) -> None:
        foreign = ARN.replace(ACCOUNT, "999999999999")
        assert ask(foreign, cluster(rule(secrets=["**"]))).message == (
            'Secret "shop/orders/db" is of account 999999999999, but ClusterAWSConnection default is of 111122223333;'
            " use a connection for that account."
        )
        assert ask(foreign, cluster(rule(secrets=["**"]), account=None)).allowed

    def test_a_secret_id_that_cannot_be_read_is_an_invalid_spec(self) -> None:
        assert ask(f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:shop/db", cluster(rule())).reason == "InvalidSpec"


class TestNamespacedConnections:
    OWN = Connection(kind=ConnectionKind.AWS_CONNECTION, name="mine", namespace="shop", region="eu-west-1")

    @pytest.mark.parametrize("verb", list(Verb))
    @pytest.mark.parametrize("secret_id", ["anything/at/all", ARN])
    def test_its_own_namespace_may_whatever_its_credentials_may(self, secret_id: str, verb: Verb) -> None:
        assert ask(secret_id, self.OWN, verb=verb).allowed

    def test_another_namespace_may_nothing(self) -> None:
        assert ask("pay/db", self.OWN, namespace="pay").message == (
            "AWSConnection shop/mine serves its own namespace only, not pay; make an AWSConnection there."
        )

    def test_its_allow_rules_would_not_count(self) -> None:
        assert not ask("pay/db", replace(self.OWN, allow=(rule(secrets=["**"]),)), namespace="pay").allowed

    def test_an_arn_must_be_of_its_region_too(self) -> None:
        assert not ask(ARN.replace("eu-west-1", "us-east-1"), self.OWN).allowed


class TestTheFirstAnswer:
    @pytest.mark.parametrize("secret_id", ["shop/orders/db", ARN])
    def test_the_secret_that_was_asked_for_is_used(self, secret_id: str) -> None:
        assert self.answered(secret_id, name="shop/orders/db", arn=ARN) == Decision(allowed=True)

    def test_a_partial_arn_in_a_full_ones_clothes_is_found_out(self) -> None:
        """`shop/my-secret` ends in a hyphen and six characters: its partial ARN reads like the full ARN of `shop/my`."""
        partial = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:shop/my-secret"
        decision = self.answered(partial, name="shop/my-secret", arn=f"{partial}-a1B2c3")
        assert decision.message == (
            'spec.secretId was permitted as "shop/my", but AWS answered with the secret "shop/my-secret"; give that name, or its full ARN.'
        )

    def test_a_secret_that_was_deleted_and_made_anew_is_not_the_one_of_the_arn(self) -> None:
        decision = self.answered(ARN, name="shop/orders/db", arn=ARN[:-6] + "ZZZZZZ")
        assert "no longer its own" in decision.message

    @pytest.mark.parametrize(
        "arn",
        [
            "shop/orders/db",
            ARN[:-7],
            ARN.replace("shop/orders/db", "pay/db"),
            ARN.replace("eu-west-1", "us-east-1"),
            ARN.replace(ACCOUNT, "999999999999"),
        ],
    )
    def test_an_arn_that_does_not_fit_the_name_the_region_or_the_account_is_refused(self, arn: str) -> None:
        decision = self.answered("shop/orders/db", name="shop/orders/db", arn=arn)
        assert (decision.allowed, decision.reason) == (False, "NotAllowed")

    @staticmethod
    def answered(secret_id: str, *, name: str, arn: str) -> Decision:
        return canonical_name_matches(parse_secret_id(secret_id), answered_name=name, answered_arn=arn, connection=cluster(rule()))
