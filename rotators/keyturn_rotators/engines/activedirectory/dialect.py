"""How Active Directory names, changes and closes accounts.

The password before the current one is taken for a while after a change: for logins with NTLM by Active Directory, for all by Samba.
https://learn.microsoft.com/troubleshoot/windows-server/windows-security/new-setting-modifies-ntlm-network-authentication
"""

import ldap3

from keyturn_rotators.alternation import next_user
from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.ldap.connection import Entry, Session
from keyturn_rotators.engines.ldap.names import equals, parent
from keyturn_rotators.errors import Kind
from keyturn_rotators.passwords import PasswordPolicy

LONGEST_NAME = 20  # characters of a user's sAMAccountName
DISABLED, NORMAL, DOES_NOT_EXPIRE = 0x2, 0x200, 0x10000  # bits of userAccountControl; the last is of the password
ATTRIBUTES = ("sAMAccountName", "userAccountControl", "memberOf", "primaryGroupID", "description", "userPrincipalName")
MEMBER = "member"
NOT_THE_PASSWORD = "00000056"  # noqa: S105  # ERROR_INVALID_PASSWORD: what was given as the one before is not
UNKNOWN = PasswordPolicy()


class ActiveDirectory:
    """Users are known by their sAMAccountName, and log in as name@domain."""

    still_taken = (
        "the grace period: the password before the current one is taken for 60 minutes (OldPasswordAllowedPeriod; Samba: old password "
        "allowed period). Retire again after that, or name an administrator by masterarn, who can end it"
    )

    def check(self, credential: Credential) -> None:
        name = credential.username
        if any(character in name for character in '@\\,=/"[]:;|+*?<>'):
            raise credential.invalid("username", "is not a sAMAccountName, such as app")
        credential.text("domain")

    def bind_name(self, credential: Credential) -> str:
        return f"{credential.username}@{credential.text('domain')}"

    def next_user(self, current: Credential) -> str:
        return next_user(current, longest=LONGEST_NAME, unit="characters")

    def find(self, session: Session, credential: Credential) -> Entry | None:
        condition = f"(&(objectClass=user){equals('sAMAccountName', credential.username)})"
        found = session.search(_base(credential), condition, *ATTRIBUTES)
        return found[0] if found else None

    def change_own(self, itself: Session, before: Credential, pending: Credential) -> bool:
        entry = self.find(itself, pending)
        if entry is None:
            raise itself.place.error(Kind.PERMISSION, "the user cannot read its own entry", "its rights in the directory")
        changes = [(ldap3.MODIFY_DELETE, [_quoted(before.password)]), (ldap3.MODIFY_ADD, [_quoted(pending.password)])]
        return itself.replace(entry.dn, {"unicodePwd": changes}, doing="change the password", unless=NOT_THE_PASSWORD)

    def reset(self, admin: Session, entry: Entry, password: str) -> None:
        admin.modify(entry.dn, {"unicodePwd": (ldap3.MODIFY_REPLACE, [_quoted(password)])}, doing="set the password")

    def forget_before(self, admin: Session, entry: Entry, password: str) -> bool:
        """Set the same password once more: the password before the current one is then the current one."""
        self.reset(admin, entry, password)
        return True

    def create(self, admin: Session, model: Entry, pending: Credential) -> Entry:
        dn = f"CN={pending.username},{parent(model.dn)}"
        attributes = {
            "objectClass": [b"top", b"person", b"organizationalPerson", b"user"],
            "sAMAccountName": [pending.username.encode()],
            "userPrincipalName": [self.bind_name(pending).encode()],
            # One whose password does not expire would get a partner whose password does, while it is the current one.
            "userAccountControl": [str(NORMAL | DISABLED | _control(model) & DOES_NOT_EXPIRE).encode()],
        }
        if description := model.attributes.get("description"):
            attributes["description"] = list(description)
        admin.add(dn, attributes)
        entry = self.find(admin, pending)
        if entry is None:
            raise admin.place.error(Kind.PERMISSION, f"the new user {pending.username} cannot be read", "the administrator's rights")
        return entry

    def shut_out(self, admin: Session, entry: Entry) -> None:
        """Disabled, which ends the grace period too, and without a password that anybody knows."""
        control = _control(entry)
        if not control & DISABLED:
            self._set_control(admin, entry, control | DISABLED)
        self.reset(admin, entry, UNKNOWN.generate())

    def let_in(self, admin: Session, entry: Entry) -> None:
        control = _control(entry)
        if control & DISABLED:
            self._set_control(admin, entry, control & ~DISABLED)

    def memberships(self, admin: Session, entry: Entry, credential: Credential) -> set[tuple[str, str]]:
        return {(group.decode(), MEMBER) for group in entry.attributes.get("memberof", ())}

    def listed(self, entry: Entry, attribute: str) -> bytes:
        return entry.dn.encode()

    def _set_control(self, admin: Session, entry: Entry, control: int) -> None:
        change = {"userAccountControl": (ldap3.MODIFY_REPLACE, [str(control).encode()])}
        admin.modify(entry.dn, change, doing="enable or disable the user")


def _base(credential: Credential) -> str:
    if credential.get("base_dn"):
        return credential.text("base_dn")
    return ",".join(f"DC={part}" for part in credential.text("domain").split("."))


def _control(entry: Entry) -> int:
    return int(entry.first("userAccountControl") or NORMAL)


def _quoted(password: str) -> bytes:
    """As the attribute wants it."""
    return f'"{password}"'.encode("utf-16-le")
