"""What a user may do in its database: the authorities and privileges that SYSCAT lists for it, and its roles."""

from collections.abc import Iterable
from dataclasses import dataclass

from keyturn_rotators.engines.db2.connection import Row, Session, identifier
from keyturn_rotators.rights import Right, of_all_grantors

GRANTABLE, YES = "G", "Y"
ROLES = "SELECT ROLENAME, ADMIN FROM SYSCAT.ROLEAUTH WHERE GRANTEETYPE = 'U' AND GRANTEE = ?"
ROUTINES = "SELECT SCHEMA, SPECIFICNAME, ROUTINETYPE, EXECUTEAUTH FROM SYSCAT.ROUTINEAUTH WHERE GRANTEETYPE = 'U' AND GRANTEE = ?"
KINDS = {"F": "FUNCTION", "P": "PROCEDURE"}
NOT_COPIED = (
    "COLAUTH",
    "INDEXAUTH",
    "VARIABLEAUTH",
    "MODULEAUTH",
    "XSROBJECTAUTH",
    "PASSTHRUAUTH",
    "WORKLOADAUTH",
)


@dataclass(frozen=True, slots=True)
class View:
    """One of SYSCAT's views: the columns of the object's name, what a statement says before that, and its privileges by column."""

    name: str
    object: tuple[str, ...]
    kind: str
    privileges: dict[str, str]

    @property
    def query(self) -> str:
        columns = ", ".join((*self.object, *self.privileges))
        return f"SELECT {columns} FROM SYSCAT.{self.name} WHERE GRANTEETYPE = 'U' AND GRANTEE = ?"  # noqa: S608  # names of ours

    def rights(self, rows: Iterable[Row]) -> Iterable[Right]:
        for row in rows:
            path = ".".join(identifier(str(part).rstrip()) for part in row[: len(self.object)])
            on = f"{self.kind} {path}".strip()
            for privilege, letter in zip(self.privileges.values(), row[len(self.object) :], strict=True):
                if letter in (YES, GRANTABLE):
                    yield _right(privilege, on, grantable=letter == GRANTABLE)


VIEWS = (
    View("DBAUTH", (), "ON DATABASE", {
        "CONNECTAUTH": "CONNECT", "CREATETABAUTH": "CREATETAB", "BINDADDAUTH": "BINDADD", "IMPLSCHEMAAUTH": "IMPLICIT_SCHEMA",
        "LOADAUTH": "LOAD", "EXTERNALROUTINEAUTH": "CREATE_EXTERNAL_ROUTINE", "NOFENCEAUTH": "CREATE_NOT_FENCED_ROUTINE",
        "QUIESCECONNECTAUTH": "QUIESCE_CONNECT", "SQLADMAUTH": "SQLADM", "WLMADMAUTH": "WLMADM", "EXPLAINAUTH": "EXPLAIN",
        "DATAACCESSAUTH": "DATAACCESS", "ACCESSCTRLAUTH": "ACCESSCTRL", "SECURITYADMAUTH": "SECADM",
        "CREATESECUREAUTH": "CREATE_SECURE_OBJECT", "DBADMAUTH": "DBADM WITHOUT DATAACCESS WITHOUT ACCESSCTRL",
    }),
    View("TABAUTH", ("TABSCHEMA", "TABNAME"), "ON TABLE", {
        "CONTROLAUTH": "CONTROL", "ALTERAUTH": "ALTER", "DELETEAUTH": "DELETE", "INDEXAUTH": "INDEX", "INSERTAUTH": "INSERT",
        "REFAUTH": "REFERENCES", "SELECTAUTH": "SELECT", "UPDATEAUTH": "UPDATE",
    }),
    View("SCHEMAAUTH", ("SCHEMANAME",), "ON SCHEMA", {
        "ALTERINAUTH": "ALTERIN", "CREATEINAUTH": "CREATEIN", "DROPINAUTH": "DROPIN", "SELECTINAUTH": "SELECTIN",
        "INSERTINAUTH": "INSERTIN", "UPDATEINAUTH": "UPDATEIN", "DELETEINAUTH": "DELETEIN", "EXECUTEINAUTH": "EXECUTEIN",
        "SCHEMAADMAUTH": "SCHEMAADM", "ACCESSCTRLAUTH": "ACCESSCTRL", "DATAACCESSAUTH": "DATAACCESS", "LOADAUTH": "LOAD",
    }),
    View("PACKAGEAUTH", ("PKGSCHEMA", "PKGNAME"), "ON PACKAGE", {"CONTROLAUTH": "CONTROL", "BINDAUTH": "BIND", "EXECUTEAUTH": "EXECUTE"}),
    View("SEQUENCEAUTH", ("SEQSCHEMA", "SEQNAME"), "ON SEQUENCE", {"USAGEAUTH": "USAGE", "ALTERAUTH": "ALTER"}),
    View("TBSPACEAUTH", ("TBSPACE",), "OF TABLESPACE", {"USEAUTH": "USE"}),
)  # fmt: skip  # as many to a line as there is room for


def rights_of(session: Session, user: str) -> frozenset[Right]:
    """Of the user itself, in the session's database; what it has by its groups is not in it."""
    grantee = user.upper()
    found = [right for view in VIEWS for right in view.rights(session.run(view.query, grantee))]
    found += [_role(str(name), str(admin)) for name, admin in session.run(ROLES, grantee)]
    found += [_routine(*row) for row in session.run(ROUTINES, grantee)]
    return frozenset(of_all_grantors(found))


def not_copied(session: Session, user: str) -> list[str]:
    """The views that list something for the user which is not made equal."""
    counts = (f"SELECT '{view}', COUNT(*) FROM SYSCAT.{view} WHERE GRANTEETYPE = 'U' AND GRANTEE = ?" for view in NOT_COPIED)  # noqa: S608  # names of ours
    rows = session.run(" UNION ALL ".join(counts), *[user.upper()] * len(NOT_COPIED))
    return [f"SYSCAT.{str(view).strip()}" for view, count in rows if count]


def _right(privilege: str, on: str, *, grantable: bool = False) -> Right:
    more = " WITH GRANT OPTION" if grantable else ""
    return Right(1, (f"GRANT {privilege} {on} TO USER ", more), (f"REVOKE {privilege.split()[0]} {on} FROM USER ", ""))


def _role(name: str, admin: str) -> Right:
    role = identifier(name.rstrip())
    return Right(0, (f"GRANT ROLE {role} TO USER ", " WITH ADMIN OPTION" if admin == YES else ""), (f"REVOKE ROLE {role} FROM USER ", ""))


def _routine(schema: str, name: str | None, kind: str, letter: str) -> Right:
    known = kind in KINDS
    path = identifier(str(schema).rstrip())
    on = f"SPECIFIC {KINDS.get(kind, kind)} {path}.{identifier(name.rstrip())}" if name else f"{KINDS.get(kind, kind)} {path}.*"
    more = " WITH GRANT OPTION" if letter == GRANTABLE else ""
    return Right(1, (f"GRANT EXECUTE ON {on} TO USER ", more), (f"REVOKE EXECUTE ON {on} FROM USER ", " RESTRICT"), known)
