variable "name" {
  description = "Name of the function; its role, queue and alarm are named after it."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9-_]{1,50}$", var.name))
    error_message = "A name has 1 to 50 letters, digits, hyphens and underscores."
  }
}

variable "package" {
  description = "Path of the zip that `keyturn-rotators package ENGINE` wrote."
  type        = string

  validation {
    condition     = fileexists(var.package)
    error_message = "There is no such file: build it with `keyturn-rotators package`."
  }
}

variable "architecture" {
  description = "Processor that the zip was built for: x86_64 or arm64."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "An architecture is x86_64 or arm64."
  }
}

variable "runtime" {
  description = "Lambda's Python. A zip with C code runs on the version that it was built for (`--python-version`), python3.13 by default."
  type        = string
  default     = "python3.13"

  validation {
    condition     = can(regex("^python3\\.(1[1-9]|[2-9][0-9])$", var.runtime))
    error_message = "The rotators need python3.11 or later."
  }
}

variable "secrets" {
  description = "ARNs of the secrets that the function rotates. The six random characters at the end may be given as `??????`."
  type        = list(string)

  validation {
    condition     = length(var.secrets) > 0
    error_message = "Name at least one secret."
  }

  validation {
    condition     = alltrue([for arn in var.secrets : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+-([A-Za-z0-9]{6}|\\?{6})$", arn))])
    error_message = "Each is the full ARN of one secret, with its six last characters or `??????` in their place; `*` would take in other secrets."
  }
}

variable "superuser_secrets" {
  description = "ARNs of the secrets whose credential may change others' (`masterarn`). The function only reads them."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.superuser_secrets : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+-([A-Za-z0-9]{6}|\\?{6})$", arn))])
    error_message = "Each is the full ARN of one secret, with its six last characters or `??????` in their place."
  }
}

variable "secrets_kms_key_arns" {
  description = "ARNs of the KMS keys that the secrets are encrypted with, where these are keys of your own. They are used through Secrets Manager only."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.secrets_kms_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "Each is the ARN of a key; IAM does not take an alias."
  }
}

variable "function_kms_key_arn" {
  description = "ARN of a KMS key for what the function leaves behind: its environment and its log group. The key's policy has to let CloudWatch Logs use it. Without one, AWS's own keys are used."
  type        = string
  default     = null

  validation {
    condition     = var.function_kms_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.function_kms_key_arn))
    error_message = "It is the ARN of a key."
  }
}

variable "vpc" {
  description = "Where the function runs to reach the back end: subnets with a route to it and to Secrets Manager (an interface endpoint or NAT), and security groups. Null runs it outside of any VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null

  validation {
    condition     = var.vpc == null || try(length(var.vpc.subnet_ids) > 0 && length(var.vpc.security_group_ids) > 0, false)
    error_message = "A VPC needs at least one subnet and one security group."
  }
}

variable "strategy" {
  description = "KEYTURN_STRATEGY: how the credential is replaced. Null leaves it to the engine and the secret."
  type        = string
  default     = null

  validation {
    condition     = var.strategy == null || can(regex("^[A-Z][A-Za-z]+$", var.strategy))
    error_message = "A strategy is a name such as SingleUser or AlternatingUsers."
  }
}

variable "environment" {
  description = "Further environment variables of the function, as the engine's page names them. Never a credential."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name)) && !startswith(name, "AWS_")])
    error_message = "Names have letters, digits and underscores, and AWS_ is Lambda's own."
  }
}

variable "engine_policy_json" {
  description = "Policy (JSON) for what the engine needs besides Secrets Manager, from its page: an AWS service whose keys it replaces, for example."
  type        = string
  default     = null

  validation {
    condition     = var.engine_policy_json == null || can(jsondecode(var.engine_policy_json).Statement)
    error_message = "It is an IAM policy in JSON."
  }
}

variable "timeout" {
  description = "Seconds until Lambda ends a step. A step gives up two seconds before."
  type        = number
  default     = 120

  validation {
    condition     = var.timeout >= 30 && var.timeout <= 900
    error_message = "A time-out is between 30 and 900 seconds."
  }
}

variable "memory" {
  description = "MB of memory; Lambda gives processor time in proportion."
  type        = number
  default     = 256

  validation {
    condition     = var.memory >= 128 && var.memory <= 10240
    error_message = "Memory is between 128 and 10240 MB."
  }
}

variable "reserved_concurrent_executions" {
  description = "How many steps may run at the same time. Null: as many as the account has left. Engines whose provider makes the credential, such as http-api-key, want 1."
  type        = number
  default     = null

  validation {
    condition     = var.reserved_concurrent_executions == null ? true : var.reserved_concurrent_executions >= 1
    error_message = "At least 1: a function that may not run rotates nothing."
  }
}

variable "invokers" {
  description = "ARNs of the IAM principals that may invoke the function besides Secrets Manager: Keyturn's operator, for retireSecret and restoreSecret."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.invokers : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/.+$", arn))])
    error_message = "Each is the ARN of a role or a user."
  }
}

variable "log_retention_days" {
  description = "Days that log lines are kept. There is no value of a secret in them."
  type        = number
  default     = 90

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch Logs keeps lines for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "alarm_actions" {
  description = "ARNs that are told when a step fails, and when it is over: SNS topics, for example. The alarm is there without them too."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.alarm_actions : startswith(arn, "arn:")])
    error_message = "Each is an ARN."
  }
}

variable "tags" {
  description = "Tags of everything that this module makes."
  type        = map(string)
  default     = {}
}
