"""What an engine may expect of any driver, tried on listeners of our own: certificates are looked at, and nobody is waited for too long."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
from tests.rotators.secure_listener import SecureListener

from keyturn_lab.controlplane.certificates import Authority
from keyturn_lab.ports import free_port
from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.errors import Kind, RotationError

PASSWORD = "Canary-password-of-the-app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One engine's sessions, and what its logins name."""

    session: Callable[..., object]  # called with a credential and `deadline`
    database: str | None = None
    host: str = "localhost"  # of the servers that are tried

    def login(self, port: int, *, password: str = PASSWORD, host: str | None = None, tls: bool = True, user: str = "app") -> Credential:
        fields: dict[str, object] = {"host": host or self.host, "port": port, "username": user, "password": password, "ssl": tls}
        return Credential(fields | ({"dbname": self.database} if self.database else {}))

    def refusal(self, credential: Credential, *, within: float = 60.0) -> RotationError:
        """How a login fails."""
        with pytest.raises(RotationError) as refused:
            self.session(credential, deadline=Deadline.after(within))
        assert PASSWORD not in str(refused.value)
        return refused.value


class DriverCases:
    """Subclass it, and say which driver. It speaks TLS from its first words, or is none of these."""

    driver: ClassVar[Driver]
    unknown: ClassVar[str] = ""  # what the error says besides, of an authority that nobody knows
    another_host: ClassVar[str] = ""  # ... and of a certificate for another host

    @pytest.fixture
    def listener(self, authority: Authority) -> Iterator[SecureListener]:
        with SecureListener(authority, "localhost") as running:
            yield running

    @pytest.fixture
    def trusted(self, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KEYTURN_CA_BUNDLE", str(authority.certificate))

    def test_a_certificate_of_an_unknown_authority_is_refused(self, listener: SecureListener) -> None:
        error = self.driver.refusal(self.driver.login(listener.port))
        assert (error.kind, self.unknown in str(error)) == (Kind.TLS, True)
        assert listener.heard == b""

    @pytest.mark.usefixtures("trusted")
    def test_a_certificate_for_another_host_is_refused(self, listener: SecureListener) -> None:
        error = self.driver.refusal(self.driver.login(listener.port, host="127.0.0.1"))
        assert (error.kind, self.another_host in str(error)) == (Kind.TLS, True)
        assert listener.heard == b""

    @pytest.mark.usefixtures("trusted")
    def test_a_certificate_for_the_host_is_taken(self, listener: SecureListener) -> None:
        error = self.driver.refusal(self.driver.login(listener.port))
        assert error.kind is Kind.NETWORK, f"it hangs up after the handshake: {error}"
        assert listener.heard

    @pytest.mark.parametrize("tls", [False, True])
    def test_a_server_that_never_answers_ends_with_the_step(self, tls: bool) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            error = self.driver.refusal(self.driver.login(silent.getsockname()[1], tls=tls), within=1.0)
        assert error.kind is Kind.NETWORK

    def test_a_host_where_nobody_listens_is_a_network_failure(self) -> None:
        assert self.driver.refusal(self.driver.login(free_port(), tls=False)).kind is Kind.NETWORK
