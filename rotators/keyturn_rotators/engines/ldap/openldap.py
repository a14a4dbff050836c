"""OpenLDAP, and directories that are like it: users are known by their distinguished names.

https://www.openldap.org/doc/admin26/overlays.html#Password%20Policies
"""

from keyturn_rotators.alternation import alternate
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.ldap.connection import Entry, Session
from keyturn_rotators.engines.ldap.names import base_of, equals, other, split
from keyturn_rotators.passwords import PasswordPolicy

GROUPS = ("member", "uniqueMember", "memberUid")
NOT_COPIED = frozenset({"userpassword", "uidnumber", "mail", "memberof"})  # secret, or of one entry only
POLICY = "pwdPolicySubentry"  # operational, so "*" has it not; without it the second user has the directory's default policy
UNKNOWN = PasswordPolicy()


class OpenLdap:
    """A password that was replaced is refused at once."""

    still_taken = "whether the entry has several passwords, and other directories of the same name, such as replicas that lag behind"

    def check(self, credential: Credential) -> None:
        split(credential)

    def bind_name(self, credential: Credential) -> str:
        return credential.username

    def next_user(self, current: Credential) -> str:
        base_of(current)
        return other(current)

    def find(self, session: Session, credential: Credential) -> Entry | None:
        return session.read(credential.username, "*", POLICY)

    def change_own(self, itself: Session, before: Credential, pending: Credential) -> bool:
        itself.change_password(pending.username, old=before.password, new=pending.password)
        return True

    def reset(self, admin: Session, entry: Entry, password: str) -> None:
        admin.change_password(entry.dn, new=password)

    def forget_before(self, admin: Session, entry: Entry, password: str) -> bool:
        return False

    def create(self, admin: Session, model: Entry, pending: Credential) -> Entry:
        kind, _, name = split(pending)[0].partition("=")
        before = alternate(name).encode()
        attributes = {
            attribute: [name.encode() if value == before else value for value in values]
            for attribute, values in model.attributes.items()
            if values and attribute not in NOT_COPIED  # ldap3 names what was asked for and is not there
        }
        naming = attributes.setdefault(kind.strip().lower(), [])
        if name.encode() not in naming:
            naming.append(name.encode())
        admin.add(pending.username, attributes)
        return Entry(dn=pending.username, attributes={attribute: tuple(values) for attribute, values in attributes.items()})

    def shut_out(self, admin: Session, entry: Entry) -> None:
        """The password becomes one that nobody knows: what else locks an entry differs from directory to directory."""
        admin.change_password(entry.dn, new=UNKNOWN.generate())

    def let_in(self, admin: Session, entry: Entry) -> None:
        pass  # the password is all there is

    def memberships(self, admin: Session, entry: Entry, credential: Credential) -> set[tuple[str, str]]:
        base = base_of(credential)
        listed = {attribute: self.listed(entry, attribute).decode() for attribute in GROUPS}
        return {
            (group.dn, attribute) for attribute, value in listed.items() if value for group in admin.search(base, equals(attribute, value))
        }

    def listed(self, entry: Entry, attribute: str) -> bytes:
        return (entry.first("uid") if attribute == "memberUid" else entry.dn).encode()
