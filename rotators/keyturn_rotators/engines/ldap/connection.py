"""A login at a directory: a simple bind, over verified TLS unless the secret says `"ssl": false`."""

import math
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import ldap3
from ldap3.core.exceptions import LDAPCommunicationError, LDAPException, LDAPMaximumRetriesError, LDAPStartTLSError

from keyturn_rotators.credential import Credential
from keyturn_rotators.deadline import Deadline
from keyturn_rotators.engines.ldap.results import OK, failure, refused_login
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import CONNECT_WITHIN, NO_TLS, Place
from keyturn_rotators.tls import client_context

PORT, PORT_WITHOUT_LDAPS = 636, 389
NO_SUCH_OBJECT = 32
ALREADY_THERE, NOT_THERE = (20, 68), (16,)  # attributeOrValueExists, entryAlreadyExists; noSuchAttribute
NOTHING = "1.1"  # no attributes
CONNECTION_FIELDS = ("starttls", "base_dn", "domain")  # besides AWS's

Changes = Mapping[str, tuple[str, Sequence[bytes]]]  # by attribute: MODIFY_ADD, MODIFY_DELETE or MODIFY_REPLACE, and values


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a search has found."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]  # by name in lower case

    def first(self, name: str) -> str:
        values = self.attributes.get(name.lower(), ())
        return values[0].decode(errors="replace") if values else ""


class Session:
    """`with Session(credential, deadline=...) as session`. Raises RotationError."""

    def __init__(self, credential: Credential, *, deadline: Deadline, name: str | None = None) -> None:
        """`name`: what to bind as, where it is not the field username."""
        self.deadline = deadline
        port = port_of(credential)
        self.place = Place.of(credential, port=port, user=credential.username)
        password = credential.password.encode()
        tls = _VerifiedTls(credential.host, self.place) if credential.tls else None
        server = ldap3.Server(
            credential.host,
            port=credential.port(port),
            use_ssl=credential.tls and not starttls(credential),
            tls=tls,
            get_info=ldap3.NONE,
            connect_timeout=deadline.remaining(at_most=CONNECT_WITHIN),
        )
        self._connection: Any = ldap3.Connection(
            server,
            user=name or credential.username,
            password=password,
            auto_referrals=False,
            check_names=False,
            receive_timeout=math.ceil(deadline.remaining()),  # whole seconds only
        )
        try:
            self._open(tls, starttls(credential))
            self._do("bind", read_server_info=False)
        except BaseException:
            self._close()
            raise
        if self._result["result"] != OK:
            self._close()
            raise refused_login(self.place, self._result)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def search(self, base: str, condition: str, *attributes: str, scope: str = ldap3.SUBTREE) -> list[Entry]:
        """The entries below `base` that meet the condition; `attributes` are read of each."""
        self._do("search", base, condition, search_scope=scope, attributes=attributes or [NOTHING])
        return self._found()

    def read(self, dn: str, *attributes: str) -> Entry | None:
        """The entry of a name; None where there is none, or none that may be seen."""
        self._do("search", dn, "(objectClass=*)", search_scope=ldap3.BASE, attributes=attributes or [NOTHING])
        if self._result["result"] == NO_SUCH_OBJECT:
            return None
        return next(iter(self._found()), None)

    def add(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> None:
        self._do("add", dn, attributes={name: list(values) for name, values in attributes.items()})
        self._expect("add an entry")

    def modify(self, dn: str, changes: Changes, *, doing: str, harmless: Sequence[int] = ()) -> None:
        """`harmless`: results that say that there was nothing to do."""
        self._do("modify", dn, {name: [(how, list(values))] for name, (how, values) in changes.items()})
        self._expect(doing, harmless=harmless)

    def replace(self, dn: str, changes: Mapping[str, Sequence[tuple[str, Sequence[bytes]]]], *, doing: str, unless: str) -> bool:
        """Several changes of the same attribute at once, in their order. False where the directory refuses them and says `unless`."""
        self._do("modify", dn, {name: [(how, list(values)) for how, values in steps] for name, steps in changes.items()})
        if self._result["result"] != OK and unless in str(self._result.get("message")):
            return False
        self._expect(doing)
        return True

    def change_password(self, dn: str, *, new: str, old: str | None = None) -> None:
        """RFC 3062. Without `old`, as somebody who may set it."""
        self._bounded()
        try:
            extended = self._connection.extend.standard
            extended.modify_password(dn, old.encode() if old is not None else None, new.encode())
        except (LDAPException, OSError) as error:
            raise self._broken(error) from None
        self._expect("change the password")

    @property
    def _result(self) -> dict[str, Any]:
        result: dict[str, Any] = self._connection.result
        return result

    def _found(self) -> list[Entry]:
        self._expect("search")
        found = [each for each in self._connection.response if each["type"] == "searchResEntry"]
        return [
            Entry(dn=each["dn"], attributes={name.lower(): tuple(values) for name, values in each["raw_attributes"].items()})
            for each in found
        ]

    def _expect(self, doing: str, *, harmless: Sequence[int] = ()) -> None:
        if self._result["result"] not in (OK, *harmless):
            raise failure(self.place, doing, self._result)

    def _open(self, tls: "_VerifiedTls | None", with_starttls: bool) -> None:
        try:
            self._connection.open(read_server_info=False)
            if tls and with_starttls:
                self._connection.start_tls(read_server_info=False)
        except (LDAPException, OSError) as error:
            if tls and tls.failed:
                raise tls.failed from None
            if isinstance(error, LDAPStartTLSError):
                raise self.place.error(Kind.TLS, "the server has no StartTLS", f"the port, and {NO_TLS}") from None
            raise self.place.unanswered(error) from None

    def _do(self, operation: str, *arguments: object, **options: object) -> None:
        self._bounded()
        try:
            getattr(self._connection, operation)(*arguments, **options)
        except (LDAPException, OSError) as error:
            raise self._broken(error) from None

    def _bounded(self) -> None:
        left = self.deadline.remaining()
        if self._connection.socket is not None:
            self._connection.socket.settimeout(left)

    def _broken(self, error: BaseException) -> RotationError:
        if isinstance(error, (LDAPCommunicationError, LDAPMaximumRetriesError, OSError)):
            return self.place.unanswered(ConnectionResetError() if isinstance(error, ssl.SSLError) else error)  # TLS was there
        return self.place.error(Kind.POLICY, f"the request cannot be made ({type(error).__name__})", "the names in the secret")

    def _close(self) -> None:
        with suppress(LDAPException, OSError):
            self._connection.unbind()
        sock, self._connection.socket = self._connection.socket, None
        if sock is not None:
            sock.close()


class _VerifiedTls(ldap3.Tls):  # type: ignore[misc]  # ldap3 has no types
    """The driver's own verifies host names by rules of its own, and its errors lose what TLS said."""

    def __init__(self, host: str, place: Place) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._host, self._place = host, place
        self.failed: RotationError | None = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        try:
            connection.socket = client_context().wrap_socket(connection.socket, server_hostname=self._host)
        except RotationError as error:
            self.failed = error
            raise OSError from None
        except (ssl.SSLError, TimeoutError) as error:
            self.failed = self._place.unanswered(error)
            raise
        except OSError as error:  # a port without TLS hangs up
            what = f"the server does not answer as one that speaks TLS ({type(error).__name__})"
            self.failed = self._place.error(Kind.TLS, what, f"the port, starttls in the secret, and {NO_TLS}")
            raise


def starttls(credential: Credential) -> bool:
    """Whether TLS begins on the plaintext port."""
    return credential.get("starttls") in (True, "true")


def port_of(credential: Credential) -> int:
    """The default port."""
    return PORT if credential.tls and not starttls(credential) else PORT_WITHOUT_LDAPS


def place_of(credential: Credential) -> Place:
    return Place.of(credential, port=port_of(credential), user=credential.username)
