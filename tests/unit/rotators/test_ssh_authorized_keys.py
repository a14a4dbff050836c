"""The text of authorized_keys: what is another's stays byte for byte, whatever it is made of."""

import pytest

from keyturn_rotators.credential import Credential
from keyturn_rotators.engines.ssh.authorized_keys import AuthorizedKeys, Line
from keyturn_rotators.engines.ssh.keys import PublicKey, host_keys, mark_in, mark_of_all, proposal, public_key, wrong_field
from keyturn_rotators.errors import RotationError

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:orders/sftp-AbCdEf"
BEGINNING = mark_of_all(SECRET)
OURS, NEXT, OLD = (PublicKey("ssh-ed25519", blob) for blob in ("AAAAours", "AAAAnext", "AAAAold"))
OTHERS = (
    b'# \xff\xfe not UTF-8\r\n\n  \nssh-rsa AAAAelse keyturn:arn:another#1\nfrom="10.0.0.0/8 \\"x\\"",restrict ssh-rsa AAAAq z\nnonsense'
)


@pytest.mark.parametrize(
    ("text", "options", "comment"),
    [
        ("ssh-ed25519 AAAAours", "", ""),
        ("ssh-ed25519\tAAAAours\tme at home", "", "me at home"),
        ('from="10.0.0.0/8",restrict ssh-ed25519 AAAAours me', 'from="10.0.0.0/8",restrict', "me"),
        ('command="echo \\"ssh-rsa AAAA\\" x" ssh-ed25519 AAAAours', 'command="echo \\"ssh-rsa AAAA\\" x"', ""),
    ],
)
def test_a_line_has_options_a_key_and_a_comment(text: str, options: str, comment: str) -> None:
    assert Line.parse(text) == Line(options=options, key=OURS, comment=comment)


@pytest.mark.parametrize("text", ["", "   ", "# ssh-ed25519 AAAAours", "ssh-ed25519", "restrict", 'from="unclosed ssh-ed25519 AAAAours'])
def test_what_is_no_key_is_left_alone(text: str) -> None:
    assert Line.parse(text) is None


def test_lines_of_others_stay_byte_for_byte_through_every_change() -> None:
    file = AuthorizedKeys(OTHERS + b"\nrestrict ssh-ed25519 AAAAours me\n")
    like = file.find(OURS)
    assert like is not None
    changed = file.marking(OURS, beginning=BEGINNING, mark=f"{BEGINNING}adopted").with_key(NEXT, like=like, mark=f"{BEGINNING}2")
    added = f"\nrestrict ssh-ed25519 AAAAours me {BEGINNING}adopted\nrestrict ssh-ed25519 AAAAnext {BEGINNING}2\n"
    assert bytes(changed) == OTHERS + added.encode()
    assert bytes(changed.without_keys(OURS, NEXT)) == OTHERS + b"\n"


def test_a_file_without_a_last_newline_gets_a_line_of_its_own() -> None:
    file = AuthorizedKeys(b"ssh-ed25519 AAAAours")
    changed = file.with_key(NEXT, like=Line(options="", key=OURS, comment=""), mark="m")
    assert bytes(changed) == b"ssh-ed25519 AAAAours\nssh-ed25519 AAAAnext m\n"


def test_what_earlier_rotations_left_is_taken_out_and_nothing_else() -> None:
    lines = [f"{key} {BEGINNING}{number}\n" for number, key in enumerate((OLD, OURS, NEXT))]
    file = AuthorizedKeys(("".join(lines) + "ssh-rsa AAAAelse keyturn:arn:of:another#1\n").encode())
    assert bytes(file.without_marked(BEGINNING, but=(OURS, NEXT))) == bytes(file).removeprefix(lines[0].encode())


def test_a_key_that_is_there_is_neither_added_nor_marked_again() -> None:
    file = AuthorizedKeys(f"{OURS} {BEGINNING}1\n".encode())
    assert bytes(file.with_key(OURS, like=Line(options="x", key=OURS, comment=""), mark="m")) == bytes(file)
    assert bytes(file.marking(OURS, beginning=BEGINNING, mark="m")) == bytes(file)


def test_a_proposal_is_a_successor_and_carries_the_secrets_name() -> None:
    proposed = Credential(proposal(SECRET))
    assert wrong_field(proposed) is None
    assert str(proposed.get("public_key")) == f"{public_key(proposed)} {mark_in(proposed, secret=SECRET)}"
    assert mark_in(proposed, secret=SECRET).startswith(BEGINNING)


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line + "\nssh-ed25519 AAAAforeign me",
        lambda line: "restrict " + line,
        lambda line: line.replace(SECRET, "arn with blanks"),
        lambda line: line.rsplit(" ", 1)[0],
        lambda line: str(Credential(proposal(SECRET)).get("public_key")),
    ],
)
def test_a_public_key_that_no_proposal_has_is_told(change: object) -> None:
    assert callable(change)
    proposed = Credential(proposal(SECRET))
    assert wrong_field(proposed.replaced(public_key=change(str(proposed.get("public_key"))))) == "public_key"


def test_a_private_key_that_is_none_is_not_shown() -> None:
    with pytest.raises(RotationError, match="field private_key is not a private key") as refused:
        public_key(Credential({"private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----"}))
    assert "canary" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_host_keys_are_read_as_ssh_keyscan_and_known_hosts_have_them() -> None:
    line = str(public_key(Credential(proposal(SECRET))))
    for text in (line, f"files.example.com {line}\n", f"# host:22 SSH-2.0\n[files.example.com]:22 {line} comment\nssh-rsa AAAA"):
        assert [str(key) for key in host_keys(Credential({"host_key": text}))] == [line]


@pytest.mark.parametrize("before", ["@revoked * ", "@cert-authority *.example.com ", "# ", "#files.example.com "])
def test_host_keys_that_are_revoked_or_commented_out_are_not_trusted(before: str) -> None:
    good, other = (str(public_key(Credential(proposal(SECRET)))) for _ in range(2))
    lines = f"{before}{other}\nfiles.example.com {good}\n"
    assert [str(key) for key in host_keys(Credential({"host_key": lines}))] == [good]
    with pytest.raises(RotationError, match="no host key"):
        host_keys(Credential({"host_key": f"{before}{other}"}))


@pytest.mark.parametrize("value", [None, "", "ssh-ed25519", "ssh-ed25519 AAAA", "SHA256:abc", True])
def test_a_secret_without_a_host_key_is_refused(value: object) -> None:
    with pytest.raises(RotationError, match="field host_key"):
        host_keys(Credential({"host_key": value}))
