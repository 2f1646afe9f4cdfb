"""Reserved for the AWS runners, which will run chains on ECS and AWS Batch in the user's own account.

There is no code here yet, and no runner of the names `aws-ecs` and `aws-batch` is registered.
"""
