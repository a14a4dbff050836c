"""Which module rotates what: one line for each, so that an engine is added by adding its module and its line.

The names are what AWS's documentation gives for the field `engine`, and where it has none, what KEYTURN_ENGINE of the function says.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
"""

from dataclasses import dataclass

SINGLE_USER, ALTERNATING_USERS, OVERLAP = "SingleUser", "AlternatingUsers", "Overlap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One engine. Its module has a class for each strategy, by the strategy's name."""

    module: str  # in this package; also the name of the zip
    names: tuple[str, ...]
    strategies: tuple[str, ...]  # the first is the default, but for secrets with a superuser where there is AlternatingUsers
    drivers: tuple[str, ...]  # distributions; what they need themselves comes along
    rds: bool  # whether RDS has it: its certificate authorities come along


def _entry(module: str, names: str, strategies: str, *, drivers: str = "", rds: bool = False) -> Entry:
    return Entry(module=module, names=tuple(names.split()), strategies=tuple(strategies.split()), drivers=tuple(drivers.split()), rds=rds)


ENTRIES = (
    _entry("activedirectory", "activedirectory samba", "SingleUser AlternatingUsers", drivers="ldap3"),
    _entry("db2", "db2 db2-se db2-ae", "SingleUser AlternatingUsers", drivers="ibm_db", rds=True),
    _entry("elasticache", "elasticache memorydb", "Overlap"),
    _entry("http_api_key", "http-api-key", "Overlap"),
    _entry("iam_access_key", "iam-access-key", "Overlap"),
    _entry("ldap", "ldap openldap", "SingleUser AlternatingUsers", drivers="ldap3"),
    _entry("mongodb", "mongo mongodb documentdb docdb", "SingleUser AlternatingUsers", drivers="pymongo", rds=True),
    _entry("mysql", "mysql mariadb aurora-mysql", "SingleUser AlternatingUsers Overlap", drivers="pymysql", rds=True),
    _entry("oauth_client", "oauth-client", "SingleUser Overlap"),
    _entry("oracle", "oracle", "SingleUser AlternatingUsers Overlap", drivers="oracledb", rds=True),
    _entry("postgres", "postgres aurora-postgresql", "SingleUser AlternatingUsers", drivers="pg8000", rds=True),
    _entry("rabbitmq", "rabbitmq", "SingleUser AlternatingUsers"),
    _entry("random", "random", "Overlap"),
    _entry("redis", "redis valkey", "Overlap SingleUser AlternatingUsers"),
    _entry("redshift", "redshift", "SingleUser AlternatingUsers", drivers="redshift-connector"),
    _entry("redshift_serverless", "redshift-serverless", "SingleUser", drivers="redshift-connector"),
    _entry("sqlserver", "sqlserver", "SingleUser AlternatingUsers", drivers="python-tds", rds=True),
    _entry("ssh", "ssh sftp", "Overlap SingleUser", drivers="paramiko"),
)  # fmt: skip  # a line each, so that two that are added do not meet

BY_MODULE = {entry.module: entry for entry in ENTRIES}
BY_NAME = {name: entry for entry in ENTRIES for name in entry.names}
