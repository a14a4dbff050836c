"""Making, finding, listing and deleting secrets, as AWS does it (reference page, sections 1.7, 1.11 and 8)."""

import json
import urllib.request
import uuid
from datetime import timedelta

import boto3
import pytest

from keyturn_lab.aws import Aws

from .support import make, put, refused, stages, token, value


def test_a_secret_is_found_by_name_by_arn_and_by_arn_without_suffix(aws: Aws, name: str) -> None:
    make(aws, name)
    secrets = aws.client("secretsmanager")
    arn = secrets.describe_secret(SecretId=name)["ARN"]
    assert {secrets.describe_secret(SecretId=known)["Name"] for known in (name, arn, arn[:-7])} == {name}


def test_a_secret_of_another_region_is_not_found_here(aws: Aws, name: str) -> None:
    make(aws, name)
    elsewhere = Aws.attach(aws.url, region="us-east-1")
    with refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret."):
        elsewhere.client("secretsmanager").describe_secret(SecretId=name)


def test_another_account_needs_a_resource_policy(aws: Aws, name: str) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples_cross.html"""
    make(aws, name)
    own = aws.client("secretsmanager")
    arn = own.describe_secret(SecretId=name)["ARN"]
    role = aws.client("sts").assume_role(RoleArn="arn:aws:iam::210987654321:role/reader", RoleSessionName="session")["Credentials"]
    stranger = boto3.client(
        "secretsmanager",
        endpoint_url=aws.url,
        region_name=aws.region,
        aws_access_key_id=role["AccessKeyId"],
        aws_secret_access_key=role["SecretAccessKey"],
        aws_session_token=role["SessionToken"],
    )
    with refused("ResourceNotFoundException"):
        stranger.get_secret_value(SecretId=name)
    with refused("AccessDeniedException", "because no resource-based policy allows the secretsmanager:GetSecretValue action"):
        stranger.get_secret_value(SecretId=arn)
    own.put_resource_policy(SecretId=name, ResourcePolicy='{"Version": "2012-10-17", "Statement": []}')
    assert stranger.get_secret_value(SecretId=arn)["Name"] == name


def test_what_was_never_set_is_absent_from_the_description(aws: Aws, name: str) -> None:
    """Recorded 2024-03-15: no Rotation fields before rotation was configured."""
    make(aws, name)
    described = aws.client("secretsmanager").describe_secret(SecretId=name)
    assert not set(described) & {
        "RotationEnabled",
        "RotationRules",
        "RotationLambdaARN",
        "NextRotationDate",
        "LastRotatedDate",
        "DeletedDate",
    }
    assert not set(described) & {"KmsKeyId", "Tags", "LastAccessedDate", "Description"}


def test_a_second_secret_of_the_same_name_is_refused(aws: Aws, name: str) -> None:
    make(aws, name)
    with refused("ResourceExistsException", f"The operation failed because the secret {name} already exists."):
        make(aws, name)


def test_a_repeated_creation_with_its_token_succeeds(aws: Aws, name: str) -> None:
    """API_CreateSecret: the operation is idempotent by ClientRequestToken."""
    secrets, again = aws.client("secretsmanager"), token()
    first = secrets.create_secret(Name=name, SecretString="value", ClientRequestToken=again)
    second = secrets.create_secret(Name=name, SecretString="value", ClientRequestToken=again)
    assert first["ARN"] == second["ARN"]
    with refused("ResourceExistsException"):
        secrets.create_secret(Name=name, SecretString="other", ClientRequestToken=again)


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("CreateSecret", "InvalidRequestException"),
        ("PutSecretValue", "InvalidRequestException"),
        ("UpdateSecret", "InvalidRequestException"),
        ("RotateSecret", "InvalidParameterException"),
    ],
)
def test_a_raw_call_needs_a_token(aws: Aws, name: str, action: str, code: str) -> None:
    """Recorded 2023-05-12: InvalidRequestException, but InvalidParameterException for RotateSecret."""
    make(aws, name)
    body = {"Name": f"{name}/new", "SecretId": name, "SecretString": "value"}
    credential = f"Credential=lab/20260101/{aws.region}/secretsmanager/aws4_request"
    headers = {
        "X-Amz-Target": f"secretsmanager.{action}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0",
    }
    request = urllib.request.Request(aws.url, data=json.dumps(body).encode(), headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request)
    assert refusal.value.code == 400
    answer = json.load(refusal.value)
    assert answer["__type"] == code
    assert answer["message"] == "You must provide a ClientRequestToken value. We recommend a UUID-type value."


def test_a_secret_scheduled_for_deletion_is_described_but_not_read(aws: Aws, name: str) -> None:
    """https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html"""
    make(aws, name)
    secrets = aws.client("secretsmanager")
    secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    assert secrets.describe_secret(SecretId=name)["DeletedDate"] - aws.now() > timedelta(days=6)
    for refuse in (
        lambda: value(aws, name),
        lambda: put(aws, name, "new"),
        lambda: secrets.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: secrets.rotate_secret(SecretId=name),
    ):
        with refused("InvalidRequestException", "marked for deletion"):
            refuse()


def test_a_name_that_waits_for_deletion_cannot_be_used_again(aws: Aws, name: str) -> None:
    """Row 24, recorded 2022."""
    make(aws, name)
    aws.client("secretsmanager").delete_secret(SecretId=name)
    with refused("InvalidRequestException", "already scheduled for deletion"):
        make(aws, name)


def test_a_restored_secret_is_as_it_was(aws: Aws, name: str) -> None:
    version = make(aws, name)
    secrets = aws.client("secretsmanager")
    secrets.delete_secret(SecretId=name)
    secrets.restore_secret(SecretId=name)
    assert stages(aws, name) == {version: ["AWSCURRENT"]}
    assert "DeletedDate" not in secrets.describe_secret(SecretId=name)


def test_a_forced_deletion_is_at_once_and_repeatable(aws: Aws, name: str) -> None:
    make(aws, name)
    secrets = aws.client("secretsmanager")
    arn = secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)["ARN"]
    secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    with refused("ResourceNotFoundException"):
        secrets.describe_secret(SecretId=name)
    make(aws, name)
    assert secrets.describe_secret(SecretId=name)["ARN"] != arn


@pytest.mark.parametrize("window", [6, 31])
def test_the_recovery_window_is_seven_to_thirty_days(aws: Aws, name: str, window: int) -> None:
    make(aws, name)
    with refused("InvalidParameterException", "between 7 and 30 days"):
        aws.client("secretsmanager").delete_secret(SecretId=name, RecoveryWindowInDays=window)


def test_tags_come_and_go(aws: Aws, name: str) -> None:
    """Recorded 2024-04-05."""
    make(aws, name)
    secrets = aws.client("secretsmanager")
    secrets.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    secrets.tag_resource(SecretId=name, Tags=[{"Key": "a", "Value": "3"}])
    secrets.untag_resource(SecretId=name, TagKeys=["b"])
    assert secrets.describe_secret(SecretId=name)["Tags"] == [{"Key": "a", "Value": "3"}]


def test_a_resource_policy_is_json_and_comes_back(aws: Aws, name: str) -> None:
    """Row 21: a malformed one is refused."""
    make(aws, name)
    secrets = aws.client("secretsmanager")
    with refused("MalformedPolicyDocumentException"):
        secrets.put_resource_policy(SecretId=name, ResourcePolicy="not json")
    secrets.put_resource_policy(SecretId=name, ResourcePolicy='{"Version": "2012-10-17", "Statement": []}')
    assert json.loads(secrets.get_resource_policy(SecretId=name)["ResourcePolicy"])["Statement"] == []


def listed(aws: Aws, prefix: str, **options: object) -> list[str]:
    entries = aws.client("secretsmanager").list_secrets(Filters=[{"Key": "name", "Values": [prefix]}], **options)["SecretList"]  # type: ignore[arg-type]
    return [entry["Name"].rpartition("/")[2] for entry in entries]


def test_a_list_shows_the_labels_under_its_own_name(aws: Aws, name: str) -> None:
    version = make(aws, name)
    (entry,) = aws.client("secretsmanager").list_secrets(Filters=[{"Key": "name", "Values": [name]}])["SecretList"]
    assert entry["SecretVersionsToStages"] == {version: ["AWSCURRENT"]}
    assert "VersionIdsToStages" not in entry


def test_a_list_is_sorted_as_asked(aws: Aws, name: str) -> None:
    """Row 22."""
    for number, ending in enumerate("bca"):
        make(aws, f"{name}/{ending}")
        aws.backdate(f"{name}/{ending}", days=10 * number)
    assert listed(aws, name) == ["a", "c", "b"]
    assert listed(aws, name, SortBy="name") == ["a", "b", "c"]
    assert listed(aws, name, SortBy="name", SortOrder="desc") == ["c", "b", "a"]


def test_a_page_has_at_most_a_hundred_entries(aws: Aws) -> None:
    """Row 22."""
    with refused("ValidationException", "less than or equal to 100"):
        aws.client("secretsmanager").list_secrets(MaxResults=101)


def test_pages_together_are_the_whole(aws: Aws, name: str) -> None:
    for number in range(5):
        make(aws, f"{name}/{number}")
    pages = aws.client("secretsmanager").get_paginator("list_secrets")
    found = [
        len(page["SecretList"])
        for page in pages.paginate(Filters=[{"Key": "name", "Values": [f"{name}/"]}], PaginationConfig={"PageSize": 2})
    ]
    assert found == [2, 2, 1]


def test_a_page_token_of_nobody_is_refused(aws: Aws) -> None:
    with refused("InvalidNextTokenException"):
        aws.client("secretsmanager").list_secrets(NextToken="17")


def test_deleted_secrets_are_listed_on_request(aws: Aws, name: str) -> None:
    make(aws, name)
    aws.client("secretsmanager").delete_secret(SecretId=name)
    assert listed(aws, name) == []
    assert len(listed(aws, name, IncludePlannedDeletion=True)) == 1


def test_an_action_that_the_lab_lacks_says_so(aws: Aws, name: str) -> None:
    """Row 26: moto answers with a 500 that clients retry."""
    make(aws, name)
    with refused("UnknownOperationException", "StopReplicationToReplica"):
        aws.client("secretsmanager").stop_replication_to_replica(SecretId=name)


def test_an_unsigned_call_is_refused(aws: Aws) -> None:
    headers = {"X-Amz-Target": "secretsmanager.ListSecrets", "Content-Type": "application/x-amz-json-1.1"}
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(urllib.request.Request(aws.url, data=b"{}", headers=headers))
    assert json.load(refusal.value)["__type"] == "MissingAuthenticationTokenException"


def test_old_versions_are_pruned_above_a_hundred_but_never_within_a_day(aws: Aws, name: str) -> None:
    """Row 20; https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version"""
    make(aws, name)
    secrets = aws.client("secretsmanager")
    for number in range(105):
        put(aws, name, f"value {number}")
    assert len(_versions(aws, name)) == 106
    aws.backdate(name, days=2)
    secrets.put_secret_value(SecretId=name, SecretString="last", ClientRequestToken=str(uuid.uuid4()))
    assert len(_versions(aws, name)) == 100


def _versions(aws: Aws, name: str) -> list[str]:
    secrets, found, more = aws.client("secretsmanager"), list[str](), dict[str, str]()
    while True:
        page = secrets.list_secret_version_ids(SecretId=name, IncludeDeprecated=True, MaxResults=100, **more)
        found += [version["VersionId"] for version in page["Versions"]]
        if "NextToken" not in page:
            return found
        more = {"NextToken": page["NextToken"]}
