"""How credentials are replaced: AWS's rotation protocol, the back ends it reaches, and the Lambda function that runs it."""
