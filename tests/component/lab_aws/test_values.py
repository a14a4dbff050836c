"""Reading and storing values: where moto differs from AWS, the lab follows AWS.

Numbers in docstrings are the rows of the reference page's section 8 (what stock moto gets wrong); "recorded" means an answer of AWS itself.
"""

from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from keyturn_lab.aws import Aws

from .support import make, put, refused, stages, token, value


def test_a_read_without_a_label_follows_awscurrent_after_a_promotion(aws: Aws, name: str) -> None:
    """Row 1. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html"""
    first = make(aws, name)
    second = put(aws, name, "second", "AWSPENDING")
    aws.client("secretsmanager").update_secret_version_stage(
        SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first
    )
    assert value(aws, name) == "second"
    batch = aws.client("secretsmanager").batch_get_secret_value(SecretIdList=[name])
    assert [entry["VersionId"] for entry in batch["SecretValues"]] == [second]


def test_a_promoted_version_keeps_awspending_on_a_secret_without_rotation(aws: Aws, name: str) -> None:
    """Recorded 2022-09-28."""
    first = make(aws, name)
    second = put(aws, name, "second", "AWSPENDING")
    aws.client("secretsmanager").update_secret_version_stage(
        SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first
    )
    assert stages(aws, name) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "AWSPENDING"]}


def test_a_value_without_labels_takes_awspending_off(aws: Aws, name: str) -> None:
    """Recorded 2022-09-28: v2=[AWSCURRENT,AWSPENDING], then PutSecretValue gives v3=[AWSCURRENT], v2=[AWSPREVIOUS]."""
    first = make(aws, name)
    second = put(aws, name, "second", "AWSPENDING")
    aws.client("secretsmanager").update_secret_version_stage(
        SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first
    )
    third = put(aws, name, "third")
    assert stages(aws, name) == {second: ["AWSPREVIOUS"], third: ["AWSCURRENT"]}


def test_custom_labels_stay_when_awscurrent_moves_on(aws: Aws, name: str) -> None:
    """Row 17, recorded 2022: v2=[AWSCURRENT,PUT0] becomes [AWSPREVIOUS,PUT0]."""
    make(aws, name)
    second = put(aws, name, "second", "AWSCURRENT", "PUT0")
    third = put(aws, name, "third")
    assert stages(aws, name) == {second: ["AWSPREVIOUS", "PUT0"], third: ["AWSCURRENT"]}


def test_a_label_held_elsewhere_moves_only_with_its_holder_named(aws: Aws, name: str) -> None:
    """Row 15. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html"""
    make(aws, name)
    second = put(aws, name, "second", "BLUE")
    third = put(aws, name, "third", "GREEN")
    secrets = aws.client("secretsmanager")
    with refused("InvalidParameterException", f"Staging label BLUE is currently attached to version {second}"):
        secrets.update_secret_version_stage(SecretId=name, VersionStage="BLUE", MoveToVersionId=third)
    secrets.update_secret_version_stage(SecretId=name, VersionStage="BLUE", MoveToVersionId=third, RemoveFromVersionId=second)
    assert stages(aws, name)[third] == ["BLUE", "GREEN"]


def test_awscurrent_cannot_be_taken_off_without_another_holder(aws: Aws, name: str) -> None:
    """Row 16: a secret always has AWSCURRENT (https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html)."""
    first = make(aws, name)
    with refused("InvalidParameterException"):
        aws.client("secretsmanager").update_secret_version_stage(SecretId=name, VersionStage="AWSCURRENT", RemoveFromVersionId=first)
    assert stages(aws, name) == {first: ["AWSCURRENT"]}


def test_moving_a_label_is_a_change_of_the_secret(aws: Aws, name: str) -> None:
    """LastChangedDate moves with labels (API_DescribeSecret)."""
    first = make(aws, name)
    aws.backdate(name, days=1)
    secrets = aws.client("secretsmanager")
    before = secrets.describe_secret(SecretId=name)["LastChangedDate"]
    secrets.update_secret_version_stage(SecretId=name, VersionStage="BLUE", MoveToVersionId=first)
    assert secrets.describe_secret(SecretId=name)["LastChangedDate"] > before + timedelta(hours=23)


def test_the_same_token_with_the_same_value_is_harmless(aws: Aws, name: str) -> None:
    """API_PutSecretValue: the request is ignored."""
    make(aws, name)
    version = put(aws, name, "second", "AWSPENDING")
    put(aws, name, "second", "AWSPENDING", version_id=version)
    assert stages(aws, name)[version] == ["AWSPENDING"]


def test_the_same_token_with_another_value_is_refused_on_a_pending_version_too(aws: Aws, name: str) -> None:
    """Row 18."""
    make(aws, name)
    version = put(aws, name, "second", "AWSPENDING")
    with refused("ResourceExistsException", "already in use for a version of secret"):
        put(aws, name, "other", "AWSPENDING", version_id=version)


def test_update_secret_refuses_the_token_of_any_version(aws: Aws, name: str) -> None:
    """API_UpdateSecret: a version cannot be changed, only made."""
    first = make(aws, name)
    with refused("ResourceExistsException"):
        aws.client("secretsmanager").update_secret(SecretId=name, SecretString="same", ClientRequestToken=first)


def test_a_missing_value_is_named_by_label_or_version(aws: Aws, name: str) -> None:
    """Recorded 2024-04-11 and 2024-06-13."""
    make(aws, name)
    secrets = aws.client("secretsmanager")
    with refused("ResourceNotFoundException", "can't find the specified secret value for staging label: AWSPREVIOUS"):
        secrets.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")
    absent = token()
    with refused("ResourceNotFoundException", f"can't find the specified secret value for VersionId: {absent}"):
        secrets.get_secret_value(SecretId=name, VersionId=absent)


def test_version_and_label_must_agree(aws: Aws, name: str) -> None:
    """Recorded 2024-04-11."""
    first = make(aws, name)
    put(aws, name, "second")
    with refused("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."):
        aws.client("secretsmanager").get_secret_value(SecretId=name, VersionId=first, VersionStage="AWSCURRENT")


def test_the_first_value_of_an_empty_secret_becomes_current(aws: Aws, name: str) -> None:
    """Recorded 2023-09-05; and API_PutSecretValue for the first version of all."""
    secrets = aws.client("secretsmanager")
    made = secrets.create_secret(Name=name)
    assert "VersionId" not in made
    assert "VersionIdsToStages" not in secrets.describe_secret(SecretId=name)
    version = put(aws, name, "first", "BLUE")
    assert stages(aws, name) == {version: ["AWSCURRENT", "BLUE"]}


def test_binary_values_come_back_as_they_went_in(aws: Aws, name: str) -> None:
    secrets = aws.client("secretsmanager")
    secrets.create_secret(Name=name, SecretBinary=b"\x00\xff\x10")
    answer = secrets.get_secret_value(SecretId=name)
    assert answer["SecretBinary"] == b"\x00\xff\x10"
    assert "SecretString" not in answer
    assert secrets.batch_get_secret_value(SecretIdList=[name])["SecretValues"][0]["SecretBinary"] == b"\x00\xff\x10"


def test_versions_without_labels_are_hidden_until_asked_for(aws: Aws, name: str) -> None:
    """Row 20, recorded 2024-03-29."""
    first, second, third = make(aws, name), put(aws, name, "second"), put(aws, name, "third")
    assert set(stages(aws, name)) == {second, third}
    secrets = aws.client("secretsmanager")
    assert {version["VersionId"] for version in secrets.list_secret_version_ids(SecretId=name)["Versions"]} == {second, third}
    every = secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    assert {version["VersionId"]: version.get("VersionStages") for version in every} == {
        first: None,
        second: ["AWSPREVIOUS"],
        third: ["AWSCURRENT"],
    }


def test_the_list_of_versions_has_the_arn_the_dates_and_the_key(aws: Aws, name: str) -> None:
    """Row 20, recorded 2023-12-19: KmsKeyIds is DefaultEncryptionKey for the key that AWS manages."""
    make(aws, name)
    aws.backdate(name, days=3)
    secrets = aws.client("secretsmanager")
    listed = secrets.list_secret_version_ids(SecretId=name)
    assert listed["ARN"].startswith("arn:aws:secretsmanager:")
    (version,) = listed["Versions"]
    assert version["KmsKeyIds"] == ["DefaultEncryptionKey"]
    assert aws.now() - version["CreatedDate"] >= timedelta(days=3)
    assert "LastAccessedDate" not in version
    value(aws, name)
    assert "LastAccessedDate" in secrets.list_secret_version_ids(SecretId=name)["Versions"][0]


def test_the_list_of_versions_comes_in_pages(aws: Aws, name: str) -> None:
    """Row 20."""
    make(aws, name)
    for number in range(4):
        put(aws, name, f"value {number}", f"LABEL{number}")
    secrets = aws.client("secretsmanager")
    page = secrets.list_secret_version_ids(SecretId=name, MaxResults=3)
    rest = secrets.list_secret_version_ids(SecretId=name, MaxResults=3, NextToken=page["NextToken"])
    assert (len(page["Versions"]), len(rest["Versions"])) == (3, 2)
    assert "NextToken" not in rest


def test_a_batch_reports_what_it_cannot_read_and_reads_the_rest(aws: Aws, name: str) -> None:
    """Row 23. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html"""
    secrets = aws.client("secretsmanager")
    make(aws, name)
    secrets.create_secret(Name=f"{name}/empty")
    make(aws, f"{name}/deleted")
    secrets.delete_secret(SecretId=f"{name}/deleted")
    batch = secrets.batch_get_secret_value(SecretIdList=[name, f"{name}/empty", f"{name}/deleted", f"{name}/missing"])
    assert [entry["Name"] for entry in batch["SecretValues"]] == [name]
    assert {error["SecretId"].removeprefix(name): error["ErrorCode"] for error in batch["Errors"]} == {
        "/empty": "ResourceNotFoundException",
        "/deleted": "InvalidRequestException",
        "/missing": "ResourceNotFoundException",
    }


def test_a_batch_of_more_than_twenty_is_refused(aws: Aws) -> None:
    """Row 23."""
    with refused("ValidationException", "less than or equal to 20"):
        aws.client("secretsmanager").batch_get_secret_value(SecretIdList=[f"n{number}" for number in range(21)])


def test_a_batch_by_filter_comes_in_pages(aws: Aws, name: str) -> None:
    secrets = aws.client("secretsmanager")
    for number in range(3):
        make(aws, f"{name}/{number}")
    chosen = [{"Key": "name", "Values": [f"{name}/"]}]
    page = secrets.batch_get_secret_value(Filters=chosen, MaxResults=2)  # type: ignore[arg-type]  # the stubs want their own dict type
    rest = secrets.batch_get_secret_value(Filters=chosen, MaxResults=2, NextToken=page["NextToken"])  # type: ignore[arg-type]
    assert [len(page["SecretValues"]), len(rest["SecretValues"])] == [2, 1]


def test_an_unusable_key_fails_reads_of_the_value_and_nothing_else(aws: Aws, name: str) -> None:
    """Row 21; DecryptionFailure in API_GetSecretValue."""
    keys, secrets = aws.client("kms"), aws.client("secretsmanager")
    key = keys.create_key()["KeyMetadata"]["KeyId"]
    secrets.create_secret(Name=name, SecretString="value", KmsKeyId=key)
    assert value(aws, name) == "value"
    keys.disable_key(KeyId=key)
    with refused("DecryptionFailure"):
        value(aws, name)
    assert secrets.batch_get_secret_value(SecretIdList=[name])["Errors"][0]["ErrorCode"] == "DecryptionFailure"
    assert secrets.describe_secret(SecretId=name)["KmsKeyId"] == key
    keys.enable_key(KeyId=key)
    assert value(aws, name) == "value"


def test_a_key_that_does_not_exist_denies_access(aws: Aws, name: str) -> None:
    """The text that AWS answers with."""
    aws.client("secretsmanager").create_secret(Name=name, SecretString="value", KmsKeyId="alias/nobody")
    with refused("AccessDeniedException", "Access to KMS is not allowed"):
        value(aws, name)


@pytest.mark.parametrize("bad", ["with space", "star*", "ä"])
def test_a_name_that_aws_refuses(aws: Aws, bad: str) -> None:
    """Row 21; code and text recorded 2022-09-28."""
    with refused("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters"):
        aws.client("secretsmanager").create_secret(Name=bad, SecretString="value")


def test_a_value_over_64_kib_is_refused(aws: Aws, name: str) -> None:
    """Row 21."""
    with refused("ValidationException"):
        aws.client("secretsmanager").create_secret(Name=name, SecretString="x" * 65_537)
    aws.client("secretsmanager").create_secret(Name=name, SecretString="x" * 65_536)


def test_a_random_password_obeys_its_rules(aws: Aws) -> None:
    secrets = aws.client("secretsmanager")
    password = secrets.get_random_password(PasswordLength=200, ExcludePunctuation=True, ExcludeCharacters="abcABC123")["RandomPassword"]
    assert len(password) == 200
    assert password.isalnum()
    assert not set(password) & set("abcABC123")


@pytest.mark.parametrize(("length", "code"), [(3, "InvalidParameterException"), (4097, "ValidationException")])
def test_the_length_of_a_random_password_is_bounded(aws: Aws, length: int, code: str) -> None:
    with refused(code):
        aws.client("secretsmanager").get_random_password(PasswordLength=length)


def test_an_error_is_introduced_once(aws: Aws, name: str) -> None:
    """Row 35: moto's texts begin with "An error occurred" themselves."""
    make(aws, name)
    secrets = aws.client("secretsmanager")
    secrets.delete_secret(SecretId=name)
    with pytest.raises(ClientError) as refusal:
        value(aws, name)
    assert str(refusal.value).count("An error occurred") == 1
