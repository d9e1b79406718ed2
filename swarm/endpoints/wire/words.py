"""Words and codes by which endpoints say what went wrong, as tables. Data only.

`kinds` says in which order they are asked. Tests hold recorded bodies of each provider.
"""

import re
from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "insufficient_quota": "quota",
    "insufficient_user_quota": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_hard_limit": "quota",
    "exceeded_current_quota_error": "quota",
    "insufficient_balance": "quota",
    "arrearage": "quota",
    "billing_not_active": "quota",
    "usage_limit_reached": "quota",
    "1308": "quota",  # z.ai
    "1310": "quota",
    "1113": "quota",
    "1008": "quota",  # MiniMax
    "invalid_api_key": "auth",
    "invalid_authentication_error": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "1004": "auth",  # MiniMax
    "439": "auth",  # iFlow
    "model_not_found": "model_not_found",
    "model_not_exist": "model_not_found",
    "model_not_supported": "model_not_found",
    "model_decommissioned": "model_not_found",
    "deploymentnotfound": "model_not_found",
    "1211": "model_not_found",  # z.ai
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",
    "tokens_limit_reached": "context_length",
    "1261": "context_length",  # z.ai
    "request_too_large": "too_large",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "data_inspection_failed": "content_filter",
    "datainspectionfailed": "content_filter",
    "json_validate_failed": "malformed",  # Groq: the model wrote bad JSON
    "tool_use_failed": "malformed",
    "overloaded_error": "overloaded",
    "overloaded": "overloaded",
    "engine_overloaded_error": "overloaded",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "rate_limit_reached_error": "rate_limited",
    "service_tier_capacity_exceeded": "rate_limited",
    "1302": "rate_limited",  # z.ai
    "1002": "rate_limited",  # MiniMax
    "449": "rate_limited",  # iFlow
    "tokens": "rate_limited",
    "requests": "rate_limited",
    "server_error": "server_error",
    "internal_error": "server_error",
    "internal_server_error": "server_error",
    "api_error": "server_error",
    "timeout": "timeout",
    "invalid_request_error": "bad_request",
    "badrequesterror": "bad_request",
}
"""Codes and types that providers document, in lower case, and their kinds."""

NOT_FOUND = frozenset({"not_found_error", "resource_not_found_error", "notfounderror", "not_found"})
"""Codes and types of something that is missing. It is the model if the words are about one."""

WORDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "context_length",
        re.compile(
            r"context[ _-]?(length|size|window)|max(imum)? (context|prompt|input) length"
            r"|(prompt|input) (is )?too long|too many (input )?tokens|exceeds? max length"
            r"|exceeds? the (available|maximum) (context|number of tokens)|model token limit"
            r"|reduce the length of the (messages|prompt)|range of input length"
            r"|must have less than \d{1,9} tokens|`inputs` tokens \+|longer than the model can take"
            r"|input token count .{0,40}exceeds|超过.{0,10}(上下文|最大长度)"
        ),
    ),
    (
        "too_large",
        re.compile(
            r"request too large|request entity too large|payload too large|body too large"
            r"|message size .{0,40}exceeds",
        ),
    ),
    (
        "quota",
        re.compile(
            r"insufficient[ _](account[ _])?(quota|balance|funds|credits?)|billing hard limit"
            r"|out of credits|not enough credits|no (more )?credits|requires more credits"
            r"|(balance|credits?) (is|are) (insufficient|exhausted|too low)|balance is too low"
            r"|suspended due to insufficient|in arrears|free-models-per-day|limit exhausted"
            r"|(usage|daily|weekly|monthly) (limit|quota) (has been |is )?(reached|exceeded|exhausted)"
            r"|余额不足|欠费|使用上限|额度(已)?(用尽|不足|耗尽)"
        ),
    ),
    (
        "content_filter",
        re.compile(
            r"content (filter|management policy|policy)|moderation|flagged|inappropriate content",
        ),
    ),
    (
        "model_not_found",
        re.compile(
            r"model\b.{0,200}?(does not exist|not found|not exist|is not available|not supported by"
            r"|not supported\.|unknown|decommissioned|identifier is invalid)"
            r"|(no such|unknown|invalid) model\b|not found the model|no models? loaded"
            r"|no endpoints found(?! that)|not a valid model|deployment for this resource does not exist"
            r"|models/\S{1,80} is not found|does not have access to model|模型不存在|无可用渠道"
        ),
    ),
    (
        "overloaded",
        re.compile(
            r"overloaded|at capacity|server is busy|engine is currently|loading model",
        ),
    ),
    (
        "auth",
        re.compile(
            r"invalid api.?key|incorrect api.?key|api.?key (is )?(missing|invalid|not valid)"
            r"|unauthori[sz]ed|(token|key) (has |is |was )?(expired|incorrect|revoked|disabled)"
            r"|login fail|invalid (authentication|credentials|token\b)|令牌.{0,10}(过期|无效)"
        ),
    ),
    (
        "wrong_path",
        re.compile(r"unexpected endpoint or method|404 not_found|resource not found|cannot post /"),
    ),
    (
        "rate_limited",
        re.compile(
            r"rate.?limit|too many requests|high concurrency|concurrency (limit|exceeded)"
            r"|capacity exceeded|(try again|retry) in \d|请求过于频繁|并发"
        ),
    ),
)
"""Patterns of the words of bodies in lower case, the most precise first. All run in linear time."""

FIELD = re.compile(r"\b(parameters?|fields?|arguments?|propert(y|ies))\b|does not support")
"""Words about a field that a model does not accept. The model exists,
so the endpoint is not stopped."""
SPENT = re.compile(r"exceeded your current quota")
"""Words for an exhausted quota; some providers use them for a rate limit, too."""
PASSES = re.compile(
    r"per[ -]?(minute|second|day|hour)|retry[ _-]?(in|delay|after)|rate.?limit|rpm|tpm",
)
"""Words for a limit that passes by itself."""
PER_DAY = re.compile(r"per_?day", re.IGNORECASE)
"""Part of the names of daily quotas, in any field."""
