"""Operations that need no credential. Every other operation is in `volens.service.http.access.ALLOWED_ROLES`."""

from typing import Final

PUBLIC_LOG_OPERATIONS: Final = frozenset(
    {
        "read_public_checkpoint",
        "read_public_key",
        "read_public_tile",
        "prove_public_inclusion",
        "prove_public_consistency",
    }
)
"""Anyone may verify that the log only grows, and that a certificate is in it (docs/adr/0039)."""

PUBLIC_PAPER_OPERATIONS: Final = frozenset(
    {"read_public_policy", "list_public_notices", "read_public_notice", "read_controller"}
)
"""What people are told is public: the policy, the notices, the controller (docs/adr/0078)."""

PUBLIC_OPERATIONS: Final = (
    PUBLIC_LOG_OPERATIONS
    | PUBLIC_PAPER_OPERATIONS
    | {
        "healthz",
        "readyz",
        "security_txt",
        "withdraw",
        "ask_for_access",
        "explain_decisions",
        "restrict",
        "lift_restriction",
        "revoke_by_hook",
    }
)
"""To withdraw is as easy as to consent: no login (GDPR 7(3)). Hooks are signed."""
