"""Whether the server is the only one. Users are not replicated: the others would know the old password only.

https://redis.io/docs/latest/commands/info/
"""

from collections.abc import Mapping

from keyturn_rotators.engines.redis.connection import Refusal, Session
from keyturn_rotators.errors import Kind
from keyturn_rotators.passwords import TRUE

ONE_OF_SEVERAL = "KEYTURN_REDIS_ONE_OF_SEVERAL"
UNTOLD = ("NOPERM", "ERR unknown command")  # INFO may not be run, or has another name


def is_accepted(environ: Mapping[str, str]) -> bool:
    """Whether one of several servers may be changed, since somebody sees to the others."""
    return environ.get(ONE_OF_SEVERAL, "").strip().lower() in TRUE


def refuse_one_of_several(session: Session) -> None:
    """Raises RotationError where the server says that it has replicas, is one, or is a node of a cluster; not where it says nothing."""
    try:
        said = session.run("INFO")
    except Refusal as refused:
        if refused.said.startswith(UNTOLD):
            return
        raise
    if why := _company(dict(line.partition(":")[::2] for line in str(said).splitlines())):
        check = f"the known limits on the engine's page; where somebody sees to the other servers, {ONE_OF_SEVERAL}=true of the function"
        raise session.place.error(Kind.POLICY, f"{why}; users are not replicated, and only this server's would be changed", check)


def _company(info: Mapping[str, str]) -> str | None:
    if info.get("cluster_enabled") == "1":
        return "the server is a node of a cluster"
    if info.get("role") == "slave":
        return "the server is a replica"
    replicas = info.get("connected_slaves", "0")
    return None if replicas == "0" else f"the server has replicas ({replicas})"
