"""What servers do with registrations, and what becomes of it: on the strict server, by its switches."""

import json
from collections.abc import Iterator

import pytest
from tests.rotators.bench import APP
from tests.rotators.oauth_client_bench import OAuthBench, oauth_bench

from keyturn_lab.backends.oauth_server import METADATA, OAuthServer
from keyturn_lab.ports import free_port
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engine import Context
from keyturn_rotators.engines import chooser
from keyturn_rotators.engines.oauth_client import Overlap, SingleUser, tokens
from keyturn_rotators.errors import Kind, RotationError, Unsupported
from keyturn_rotators.rotation import Step
from keyturn_rotators.versions import PENDING


@pytest.fixture
def server() -> Iterator[OAuthServer]:
    with OAuthServer() as server:
        yield server


@pytest.fixture
def bench(server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[OAuthBench]:
    monkeypatch.setattr(tokens, "SETTLED_WITHIN", 0.0)  # one look is enough: the server knows its changes at once
    with oauth_bench(server) as bench:
        yield bench


def failure(bench: OAuthBench, step: Step, token: str | None = None) -> RotationError:
    with pytest.raises(RotationError) as failed:
        bench.step(step, token or bench.store.start(APP))
    told = f"{failed.value}{failed.value.check}"
    assert not [each for each in (bench.client.token, *bench.client.values) if each in told]
    assert failed.value.__suppress_context__ or failed.value.__context__ is None
    return failed.value


# registrations


def test_an_update_says_again_what_is_registered_and_nothing_that_is_the_servers(bench: OAuthBench) -> None:
    bench.rotate()
    assert bench.server.updates == [{**METADATA, "client_id": bench.client.id}]
    assert bench.client.metadata == METADATA


def test_a_secret_whose_answer_was_lost_is_read_from_the_registration_and_not_made_again(bench: OAuthBench) -> None:
    SingleUser.from_environment({}).propose(bench.current, _context(bench))
    made = bench.client.secrets[-1].value
    bench.rotate()
    assert bench.current.get("client_secret") == made
    assert len(bench.server.updates) == 1


def test_a_server_that_shows_no_secrets_makes_another(bench: OAuthBench) -> None:
    bench.server.shows_secret = False
    SingleUser.from_environment({}).propose(bench.current, _context(bench))
    bench.rotate()
    assert bench.can_login(bench.current)
    assert len(bench.server.updates) == 2


def test_a_registration_access_token_that_is_replaced_is_stored_with_the_secret(bench: OAuthBench) -> None:
    bench.server.renews_token = True
    for _ in range(2):
        bench.rotate()
        assert bench.current.get("registration_access_token") == bench.client.token


def test_a_registration_access_token_that_was_lost_is_told(bench: OAuthBench) -> None:
    bench.server.renews_token = True
    SingleUser.from_environment({}).propose(bench.current, _context(bench))
    error = failure(bench, Step.CREATE)
    assert error.kind is Kind.AUTHENTICATION
    assert "registration_access_token" in error.check


def test_a_server_that_makes_no_new_secret_is_told_as_such(bench: OAuthBench) -> None:
    bench.server.rotates = False
    error = failure(bench, Step.CREATE)
    assert "did not make a new secret" in str(error)
    assert "KEYTURN_SECRET_CHOSEN_BY=rotator" in error.check
    assert bench.can_login(bench.current)


def test_a_server_that_lets_nobody_choose_refuses_the_update_and_keeps_the_old_secret(bench: OAuthBench) -> None:
    bench.environ["KEYTURN_SECRET_CHOSEN_BY"] = "rotator"
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    error = failure(bench, Step.SET, token)
    assert error.kind is Kind.POLICY
    assert "400 invalid_client_metadata" in str(error)
    assert bench.can_login(bench.current)


def test_a_server_that_replaces_the_token_of_a_client_that_chooses_is_told_as_such(bench: OAuthBench) -> None:
    bench.environ["KEYTURN_SECRET_CHOSEN_BY"] = "rotator"
    bench.server.client_chooses = bench.server.renews_token = True
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    assert "replaced the registration access token" in str(failure(bench, Step.SET, token))


def test_a_registration_of_another_client_is_left_alone(bench: OAuthBench) -> None:
    other = bench.server.register(**METADATA)
    uri = bench.current.text("registration_client_uri").replace(bench.client.id, other.id)
    bench.edit(APP, registration_client_uri=uri, registration_access_token=other.token)
    assert "leads to another client" in str(failure(bench, Step.CREATE))
    assert bench.server.updates == []


# tokens


@pytest.mark.parametrize("code", ["unauthorized_client", "access_denied"])  # Keycloak's and Auth0's word for a wrong secret
def test_a_secret_that_is_refused_in_other_words_than_the_standards_is_retired(bench: OAuthBench, code: str) -> None:
    bench.server.wrong_secret = (401, {"error": code})
    old_version = bench.current_version()
    bench.rotate()
    bench.step(Step.RETIRE, old_version)
    with pytest.raises(Unsupported, match="rotate instead"):
        bench.step(Step.RESTORE, old_version)


def test_a_client_that_gets_no_tokens_at_all_retires_nobody(bench: OAuthBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.server.refuses = (401, {"error": "unauthorized_client"})  # as Keycloak says to a client without a service account
    error = failure(bench, Step.RETIRE, old_version)
    assert error.kind is Kind.AUTHENTICATION
    assert "client_credentials" in error.check


def test_a_client_that_may_not_have_its_scope_is_a_matter_of_permission(bench: OAuthBench) -> None:
    bench.edit(APP, scope="forbidden")
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    error = failure(bench, Step.SET, token)
    assert error.kind is Kind.PERMISSION
    assert "invalid_scope" in str(error)


def test_a_secret_is_posted_where_the_client_says_so(bench: OAuthBench) -> None:
    bench.edit(APP, token_endpoint_auth_method="client_secret_post")
    bench.rotate()
    assert bench.can_login(bench.current)


def test_a_client_without_secrets_of_its_own_is_refused(bench: OAuthBench) -> None:
    bench.edit(APP, token_endpoint_auth_method="private_key_jwt")
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    assert "token_endpoint_auth_method is neither" in str(failure(bench, Step.SET, token))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [((503, {}), Kind.SERVER), ((429, {}), Kind.SERVER), ((302, {}), Kind.POLICY), ((200, {}), Kind.POLICY), ((404, {}), Kind.POLICY)],
)
def test_an_answer_that_is_neither_yes_nor_no_proves_nothing(bench: OAuthBench, answer: tuple[int, dict[str, object]], kind: Kind) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.server.refuses = answer
    assert failure(bench, Step.RETIRE, old_version).kind is kind


def test_a_refusal_of_everybody_retires_nobody(bench: OAuthBench) -> None:
    old_version = bench.current_version()
    bench.rotate()
    bench.server.refuses = (401, {"error": "invalid_client"})
    error = failure(bench, Step.RETIRE, old_version)
    assert error.kind is Kind.AUTHENTICATION


def test_an_old_secret_that_the_server_still_takes_is_not_retired(bench: OAuthBench) -> None:
    old, old_version = bench.client.secrets[0], bench.current_version()
    bench.rotate()
    bench.client.secrets.insert(0, old)
    assert "still taken" in str(failure(bench, Step.RETIRE, old_version))
    bench.step(Step.RESTORE, old_version)  # it is taken: there is nothing to be done
    bench.client.secrets.remove(old)
    bench.step(Step.RETIRE, old_version)
    with pytest.raises(Unsupported, match="rotate instead"):
        bench.step(Step.RESTORE, old_version)


# what the secret says


@pytest.mark.parametrize("field", ["token_endpoint", "registration_client_uri"])
def test_nothing_is_sent_without_tls_unless_the_secret_says_so(bench: OAuthBench, field: str) -> None:
    urls = {"token_endpoint": "https://id.example/token", field: bench.current.text(field)}
    bench.store.values[APP][bench.current_version()] = json.dumps(json.loads(bench.store.value(APP)) | urls | {"ssl": True})
    error = failure(bench, Step.CREATE)
    assert error.kind is Kind.TLS
    assert field in str(error)


@pytest.mark.parametrize(
    "url", ["", "id.example/token", "https://", "https://user@id.example/", "https://id.example/a b", "https://id.example:x/"]
)
def test_a_url_that_is_none_is_refused_by_the_fields_name(bench: OAuthBench, url: str) -> None:
    bench.edit(APP, token_endpoint=url)
    assert "the field token_endpoint is" in str(failure(bench, Step.CREATE))
    assert bench.server.updates == []


def test_a_server_where_nobody_listens_is_a_network_failure(bench: OAuthBench) -> None:
    bench.edit(APP, registration_client_uri=f"http://127.0.0.1:{free_port()}/register/x")
    assert failure(bench, Step.CREATE).kind is Kind.NETWORK


@pytest.mark.parametrize("field", ["client_id", "token_endpoint", "registration_client_uri", "scope"])
def test_a_pending_version_that_leads_elsewhere_is_refused(bench: OAuthBench, field: str) -> None:
    token = bench.store.start(APP)
    bench.step(Step.CREATE, token)
    value = json.loads(bench.store.value(APP, PENDING)) | {field: "https://elsewhere.example/"}
    bench.store.values[APP][token] = json.dumps(value)
    assert f"pending version's {field} is not" in str(failure(bench, Step.SET, token))


@pytest.mark.parametrize("step", [Step.RETIRE, Step.RESTORE])
def test_an_old_version_that_leads_elsewhere_is_left_alone(bench: OAuthBench, step: Step) -> None:
    old_version = bench.current_version()
    bench.rotate()
    value = json.loads(bench.store.values[APP][old_version])
    bench.store.values[APP][old_version] = json.dumps(value | {"token_endpoint": "https://elsewhere.example/"})
    assert "the old version's token_endpoint is not" in str(failure(bench, step, old_version))


def test_who_makes_secrets_is_the_server_or_the_rotator(bench: OAuthBench) -> None:
    bench.environ["KEYTURN_SECRET_CHOSEN_BY"] = "somebody"
    assert "KEYTURN_SECRET_CHOSEN_BY is not known" in str(failure(bench, Step.CREATE))


# several secrets


def test_a_secret_that_was_made_and_could_not_be_stored_is_revoked_by_the_next_attempt(server: OAuthServer) -> None:
    with oauth_bench(server, overlap=True) as bench:
        before = bench.current
        lost = Overlap.from_environment(bench.environ).propose(before, _context(bench))
        assert bench.can_login(lost)
        bench.rotate()
        assert bench.client.values == {before.get("client_secret"), bench.current.get("client_secret")}


@pytest.mark.parametrize(("provider", "what"), [("datadog-api-key", "has no OAuth clients"), ("of-nobody", "provider is not known")])
def test_a_provider_that_is_not_the_functions_own_is_refused(server: OAuthServer, provider: str, what: str) -> None:
    with oauth_bench(server, overlap=True) as bench:
        bench.edit(APP, provider=provider)
        assert what in str(failure(bench, Step.CREATE))


def test_the_names_in_the_registry_lead_here() -> None:
    credential = Credential({"engine": "oauth-client"})
    assert type(chooser({})(credential)) is SingleUser
    assert type(chooser({"KEYTURN_STRATEGY": "Overlap"})(credential)) is Overlap


def _context(bench: OAuthBench) -> Context:
    return Context(bench.store, APP, Deadline.after(60))
