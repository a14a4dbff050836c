"""Keys of one account, the current one and the next, in its authorized_keys; changed by the account itself.

The next key may do what the current one may: its line has the same options. Lines that are not the secret's are not touched.
"""

from collections.abc import Mapping
from typing import Self

from keyturn_rotators.credential import Credential
from keyturn_rotators.engine import Context
from keyturn_rotators.engines.ssh.authorized_keys import AuthorizedKeys, Line
from keyturn_rotators.engines.ssh.connection import PORT, Session, logs_in, same_account, same_server
from keyturn_rotators.engines.ssh.files import DEFAULT, edit
from keyturn_rotators.engines.ssh.keys import (
    HOST_KEY,
    PRIVATE,
    PUBLIC,
    PublicKey,
    host_keys,
    mark_in,
    mark_of_all,
    proposal,
    public_key,
    wrong_field,
)
from keyturn_rotators.errors import Kind, RotationError
from keyturn_rotators.network import Place
from keyturn_rotators.proof import prove_refused


class Overlap:
    """An Ed25519 key at every rotation. The first one may be of another type."""

    principal = ("username", PRIVATE)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        return cls()

    def propose(self, current: Credential, context: Context) -> Credential:
        current.username  # noqa: B018  # a secret that cannot be rotated is refused before a version of it is written
        host_keys(current), public_key(current)
        return current.replaced(**proposal(context.secret))

    def is_successor(self, pending: Credential, current: Credential) -> str | None:
        if pending.username != current.username:
            return "username"
        return same_server(pending, current) or wrong_field(pending)

    def apply(self, pending: Credential, context: Context) -> None:
        if logs_in(pending, deadline=context.deadline, by_key=True):
            return
        current, beginning = context.current(), mark_of_all(context.secret)
        ours, added = public_key(current), public_key(pending)

        def change(file: AuthorizedKeys) -> AuthorizedKeys:
            like = _line(file, ours, current)
            kept = file.without_marked(beginning, but=(ours, added))
            marked = kept.marking(ours, beginning=beginning, mark=mark_in(current, secret=context.secret))
            return marked.with_key(added, like=like, mark=mark_in(pending, secret=context.secret))

        with Session(current, deadline=context.deadline, by_key=True) as session:
            edit(session, _path(current), change, secret=context.secret)

    def verify(self, pending: Credential, context: Context) -> None:
        with Session(pending, deadline=context.deadline, by_key=True):
            pass  # what the account may do is not the key's; what the key may do is in its line's options

    def retire(self, old: Credential, context: Context) -> None:
        """The old key's line is taken out. sshd does not know with which key a session was opened, so none is ended."""
        current = context.current()
        same_account(old, current)
        ours, theirs = public_key(current), public_key(old)
        if ours == theirs:
            check = "whether the next rotation replaces it"
            raise RotationError(Kind.POLICY, "its key is the current version's too", check=check, secret=old.secret, user=old.username)
        context.confirm_idle()
        # A refusal proves something only where the current one is taken.
        with Session(current, deadline=context.deadline, by_key=True) as session:
            edit(session, _path(current), lambda file: file.without_keys(theirs), secret=context.secret)
        place = Place.of(current, port=PORT, user=current.username)
        prove_refused(logs_in(_there(old, current), deadline=context.deadline, by_key=True), place)

    def restore(self, old: Credential, context: Context) -> None:
        """The old key's line is added again, and the current one stays."""
        current = context.current()
        same_account(old, current)
        ours, theirs = public_key(current), public_key(old)
        context.confirm_idle()
        with Session(current, deadline=context.deadline, by_key=True) as session:
            edit(
                session,
                _path(current),
                lambda file: file.with_key(theirs, like=_line(file, ours, current), mark=mark_in(old, secret=context.secret)),
                secret=context.secret,
            )
        self.verify(_there(old, current), context)


def _path(credential: Credential) -> str:
    return credential.text("authorized_keys") if credential.get("authorized_keys") else DEFAULT


def _there(old: Credential, current: Credential) -> Credential:
    """An older version's key, at the server as it is known now."""
    return current.replaced(**{PRIVATE: old.get(PRIVATE), PUBLIC: old.get(PUBLIC), HOST_KEY: current.get(HOST_KEY)})


def _line(file: AuthorizedKeys, key: PublicKey, current: Credential) -> Line:
    """The line that lets the current key in: another one is to be like it."""
    line = file.find(key)
    if line is None:
        check = "AuthorizedKeysFile and AuthorizedKeysCommand in sshd_config, and the field authorized_keys of the secret"
        what = f"the current key is taken, but it is not in {_path(current)}"
        raise RotationError(Kind.POLICY, what, check=check, secret=current.secret, host=current.host, user=current.username)
    return line
