"""The admin user of a namespace of Amazon Redshift Serverless, by AWS's API. Other users are rotated by SQL: see `engines.redshift`."""

from keyturn_rotators.engines.redshift_serverless.single import SingleUser

__all__ = ["SingleUser"]
