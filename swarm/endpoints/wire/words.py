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
    "accountoverdueerror": "quota",  # Volcengine
    "allocationquota.freetieronly": "quota",  # DashScope
    "setlimitexceeded": "quota",
    "accountquotaexceeded": "quota",
    "budget_exceeded": "quota",  # LiteLLM
    "1008": "quota",  # MiniMax
    "invalid_api_key": "auth",
    "invalid_authentication_error": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "authfailure": "auth",  # Tencent: what is behind the point of a code says more
    "1004": "auth",  # MiniMax
    "439": "auth",  # iFlow
    "model_not_found": "model_not_found",
    "model_not_exist": "model_not_found",
    "model_not_supported": "model_not_found",
    "model_decommissioned": "model_not_found",
    "deploymentnotfound": "model_not_found",
    "modelnotopen": "model_not_found",  # Volcengine
    "accessdenied.unpurchased": "model_not_found",  # DashScope
    "1211": "model_not_found",  # z.ai
    "context_length_exceeded": "context_length",
    "exceed_context_size_error": "context_length",
    "tokens_limit_reached": "context_length",
    "1261": "context_length",  # z.ai
    "1039": "context_length",  # MiniMax
    "model_max_prompt_tokens_exceeded": "context_length",  # Copilot
    "string_above_max_length": "context_length",
    "request_too_large": "too_large",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "data_inspection_failed": "content_filter",
    "datainspectionfailed": "content_filter",
    "moderation_blocked": "content_filter",
    "responsibleaipolicyviolation": "content_filter",
    "censorship_blocked": "content_filter",  # StepFun
    "1301": "content_filter",  # z.ai
    "1026": "content_filter",  # MiniMax: the input
    "1027": "content_filter",  # MiniMax: the answer
    "json_validate_failed": "malformed",  # Groq: the model wrote bad JSON
    "tool_use_failed": "malformed",
    "output_parse_failed": "malformed",
    "overloaded_error": "overloaded",
    "overloaded": "overloaded",
    "engine_overloaded_error": "overloaded",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "rate_limit_reached_error": "rate_limited",
    "service_tier_capacity_exceeded": "rate_limited",
    "throttling": "rate_limited",  # DashScope
    "limitexceeded": "rate_limited",  # Tencent
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
            r"|(prompt|input) (is )?too long|too many (input )?tokens(?! (per|processed))"
            r"|exceeds? max (length|context|message tokens)|exceeds? (the )?context limit"
            r"|max(imum)? input (characters|tokens)"
            r"|exceeds? the (available|maximum) (context|number of tokens)|model token limit"
            r"|reduce the length of the (messages|prompt)|range of input length"
            r"|must have less than \d{1,9} tokens|`inputs` tokens \+"
            r"|longer than the model can take"
            r"|input token count .{0,40}exceeds|超(过|出|长).{0,16}(上下文|最大长度|长度限制)"
            r"|(输入|文本|上下文|提示词).{0,12}(过长|超长|太长)|コンテキスト|컨텍스트|demasiado larg|trop long"
        ),
    ),
    (
        "too_large",
        re.compile(
            r"request too large|request entity too large|payload too large|body too large"
            r"|(request|payload|body|message) (payload |body )?size .{0,40}exceeds",
        ),
    ),
    (
        "quota",
        re.compile(
            r"insufficient[ _](account[ _])?(quota|balance|funds|credits?)|billing hard limit"
            r"|out of credits|not enough (balance|credits|funds|quota)|no (more )?credits"
            r"|requires more credits|not? have any credits|n.t have any credits"
            r"|budget has been exceeded|(exceeded|over) budget|key limit exceeded"
            r"|reached the set\b.{0,20} limit"
            r"|(balance|credits?) (is|are|has been|have been) (insufficient|exhausted|depleted"
            r"|used up|too low)"
            r"|balance is too low|suspended due to insufficient|in arrears|limit exhausted"
            r"|used (all|up)\b.{0,30} credits|usage (limit|quota) (has been |is )?(reached"
            r"|exceeded|exhausted)"
            r"|(reached|exceeded|hit) (your|the)\b.{0,30} usage limits?"
            r"|(overdue|negative) balance|(unpaid|overdue) (invoice|payment|bill)"
            r"|payment method|add funds|prepayment"
            r"|(trial|free tier)\b.{0,40} (ended|expired|exhausted|is over)|(spend|spending"
            r"|budget) (limits?|caps?)\b"
            r"|(daily|weekly|monthly)( \w{1,12}){0,2} (limits?|quotas?|caps?|allowance)\b"
        ),
    ),
    (
        "quota",
        re.compile(
            r"余额不足|欠费|使用上限|(额度|资源包|配额|点数).{0,6}(用尽|用完|不足|耗尽)"
            r"|[日天周月].{0,10}(上限|限额|用尽|用完)|明天再试|充值|残高.{0,3}不足|利用上限|잔액|한도.{0,4}초과"
            r"|недостаточно средств|пополните баланс|лимит исчерпан|saldo (insuficiente"
            r"|agotado)|agotado su saldo"
            r"|cr[ée]ditos? (insuficientes|agotad)|cuota .{0,12}(agotada|excedida)"
            r"|solde insuffisant"
            r"|cr[ée]dits? (épuisé|insuffisant)|guthaben|kontingent"
        ),
    ),
    (
        "content_filter",
        re.compile(
            r"content (filter|management policy|policy)|moderation|flagged"
            r"|inappropriate content|content exists risk"
            r"|safety (system|policy|filter)|new_sensitive|sensitive (content|information"
            r"|words?)\b"
            r"|敏感(内容|词|信息)|违规|不合规|不当内容|内容安全|high risk",
        ),
    ),
    (
        "model_not_found",
        re.compile(
            r"model\b.{0,200}?(does not exist|not found|not exist|is not available"
            r"|not supported by"
            r"|not supported\.|unknown|decommissioned|identifier is invalid)"
            r"|(no such|unknown|invalid) model\b|not found the model|no models? (are |is )?(currently )?loaded"
            r"|no endpoints found(?! that)|not a valid model"
            r"|deployment for this resource does not exist"
            r"|models/\S{1,80} is not found|(no|not have|n.t have) access to (the )?model"
            r"|no permission (to use|for) (the )?model"
            r"|access to (the )?model\b.{0,80} denied"
            r"|access to model denied|unable to access (the )?model|not activated the model"
            r"|model\b['\"`:]? ?\S{0,80} (has been|is|was) (now )?(retired|deprecated"
            r"|discontinued|sunset|removed)"
            r"|模型.{0,40}(不存在|未找到|未开通|不支持|已下线)|无可用(渠道|模型)|モデル.{0,40}(見つかりません|存在しません)"
            r"|모델.{0,40}(찾을 수 없|존재하지)|modelo .{0,80}(no existe|no encontrado|não existe"
            r"|não encontrado)"
            r"|modèle .{0,80}(n'existe pas|introuvable)|modell .{0,80}(nicht gefunden"
            r"|existiert nicht)"
            r"|модель .{0,80}не (найдена|существует)"
        ),
    ),
    (
        "overloaded",
        re.compile(
            r"overloaded|at capacity|(server|service) (is )?(too |very )?busy|engine is currently"
            r"|loading model"
            r"|服务.{0,2}繁忙|负载|混み合って",
        ),
    ),
    (
        "auth",
        re.compile(
            r"invalid api.?key|incorrect api.?key|api.?key (is )?(missing|invalid|not valid)"
            r"|unauthori[sz]ed|(token|key) (has |is |was )?(expired|incorrect|revoked|disabled)"
            r"|login fail|invalid (authentication|credentials|token\b)|token (is )?invalid"
            r"|无效的(令牌|密钥|api)"
            r"|(令牌|密钥|api ?key).{0,10}(过期|无效|错误|不正确)|鉴权失败|认证失败|apiキー.{0,8}(無効|正しく)"
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
            r"|capacity exceeded|(try again|retry) in \d|request limit reached|\bqps\b|频繁|频率|速率"
            r"|并发"
            r"|demasiadas solicitudes|trop de requêtes|zu viele anfragen|слишком много запросов"
            r"|リクエストが多すぎ|요청이 너무"
        ),
    ),
    (
        "malformed",  # the model wrote a call or JSON that cannot be read
        re.compile(
            r"failed_generation|error parsing tool call|tool call validation failed"
            r"|failed to (generate|parse) (valid )?(json|tool call)|model (generated"
            r"|produced) (an )?invalid"
            r"|generated output that could not be parsed"
        ),
    ),
)
"""Patterns of the words of bodies in lower case, the most precise first. All run in linear time."""

TOO_LONG = re.compile(
    r"\b(prompt|input|inputs|tokens?|context|messages?|conversation|characters)\b[^.\n]{0,60}?"
    r"(exceed|too long|too large|larger than|longer than|greater than|more than max"
    r"|\bmax(imum)? (input )?characters)"
)
"""Words about a prompt that is too long, in the order of no known provider. They count if no other words do."""
NOT_THE_PROMPT = re.compile(
    r"max_?(completion_|output_|new_)?tokens|(output|completion) tokens?|\bimages?\b|audio"
    r"|video|\bfiles?\b|tools?\b"
    r"|temperature|top_p|\brate\b|per (second|minute|hour|day)"
)
"""Words of a size that is not the prompt's."""
FIELD = re.compile(r"\b(parameters?|fields?|arguments?|propert(y|ies))\b|does not support")
"""Words about a field that a model does not accept. The model exists,
so the endpoint is not stopped."""
SPENT = re.compile(r"exceeded your current quota|(?<!allocated )\bquota exceeded\b")
"""Words for an exhausted quota; some providers use them for a rate limit, too."""
PASSES = re.compile(
    r"per[ -]?(minute|second|day|hour)|retry[ _-]?(in|delay|after)|rate.?limit|rpm|tpm",
)
"""Words for a limit that passes by itself."""
PER_MINUTE = re.compile(r"per[ -]?(minute|second)|\b[rt]pm\b|\b[rt]ps\b|每分钟|每秒")
"""Words of a limit that is no quota, in lower case: a minute later it has passed."""
PER_DAY = re.compile(r"per_?day", re.IGNORECASE)
"""Part of the names of daily quotas, in any field."""
OF_DAYS = re.compile(r"(per[ -]|/ ?)(day|month)\b|\b[rt]pd\b|byday\b|一日あたり|por día|par jour|pro tag")
"""Words of a limit that counts days, in lower case."""
