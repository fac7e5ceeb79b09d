//! What the words of a failure mean, where the status alone does not tell.

use moltbot_types::UpstreamFault;

const MONEY_CODES: &[&str] = &[
    "insufficient_quota",
    "insufficient_balance",
    "credit_balance",
    "spend_limit",
    "billing",
    "payment_required",
    "arrearage",
    "budget_exceeded",
];
const MONEY_WORDS: &[&str] = &[
    "insufficient_quota",
    "insufficient quota",
    "insufficient balance",
    "insufficient credit",
    "insufficient funds",
    "credit balance",
    "out of credits",
    "billing",
    "spend limit",
    "spending limit",
    "payment",
];
const CONTEXT_CODES: &[&str] = &[
    "context_length",
    "context_window",
    "context_size",
    "string_above_max_length",
];
const CONTEXT_WORDS: &[&str] = &[
    "context length",
    "context window",
    "context size",
    "context_length",
    "prompt is too long",
    "input is too long",
    "too many input tokens",
    "longer than the maximum model length",
];
const POLICY_CODES: &[&str] = &[
    "content_policy",
    "content_filter",
    "responsibleaipolicy",
    "data_inspection_failed",
    "moderation_blocked",
];
const POLICY_WORDS: &[&str] = &[
    "content management policy",
    "content policy",
    "content_policy",
    "safety system",
    "flagged by moderation",
];

/// The account has no money left, as opposed to a rate that comes back by itself.
pub(super) fn mean_money(fault: &UpstreamFault) -> bool {
    // some say "check your plan and billing" of a mere rate limit, and name it so in the code
    codes_have(fault, MONEY_CODES)
        || (!codes_have(fault, &["rate_limit"]) && message_has(fault, MONEY_WORDS))
}

/// The prompt does not fit the model.
pub(super) fn mean_context_window(fault: &UpstreamFault) -> bool {
    codes_have(fault, CONTEXT_CODES) || message_has(fault, CONTEXT_WORDS)
}

/// The provider's policy refuses the content.
pub(super) fn mean_content_policy(fault: &UpstreamFault) -> bool {
    codes_have(fault, POLICY_CODES) || message_has(fault, POLICY_WORDS)
}

fn codes_have(fault: &UpstreamFault, needles: &[&str]) -> bool {
    let codes = [fault.code.as_deref(), fault.kind.as_deref()];
    codes.into_iter().flatten().any(|code| has(code, needles))
}

fn message_has(fault: &UpstreamFault, needles: &[&str]) -> bool {
    has(&fault.message, needles)
}

fn has(text: &str, needles: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    needles.iter().any(|needle| text.contains(needle))
}
