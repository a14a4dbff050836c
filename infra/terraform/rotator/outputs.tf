output "function_arn" {
  description = "ARN of the function, for `rotation_lambda_arn` of a secret's rotation."
  value       = aws_lambda_function.this.arn

  # Secrets Manager refuses a function that it may not invoke yet.
  depends_on = [aws_lambda_permission.secrets_manager]
}

output "function_name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "role_arn" {
  description = "ARN of the function's role, for the policies of KMS keys and of secrets in other accounts."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of the function's role."
  value       = aws_iam_role.this.name
}

output "log_group_name" {
  description = "Name of the log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue of calls that nobody waited for and that failed."
  value       = aws_sqs_queue.dead_letters.arn
}

output "alarm_arn" {
  description = "ARN of the alarm on failed steps."
  value       = aws_cloudwatch_metric_alarm.errors.arn
}

output "policy_json" {
  description = "The policy that the function's role has, as JSON."
  value       = data.aws_iam_policy_document.this.json
}
