//! The closed table of problem codes: what a program may match on, and the page that explains each.

/// One kind of refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Stable name, the `code` member.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The `title` member.
    pub title: &'static str,
    /// When it happens.
    pub meaning: &'static str,
    /// What the reader can do.
    pub what_to_do: &'static str,
}

const fn code(code: &'static str, status: u16, title: &'static str, meaning: &'static str, what_to_do: &'static str) -> Code {
    Code { code, status, title, meaning, what_to_do }
}

/// All codes, by status.
pub const CODES: &[Code] = &[
    code("malformed_json", 400, "Malformed JSON", "The body is not valid JSON.", "Mend the body at the line and column named in `detail`."),
    code(
        "malformed_request",
        400,
        "Malformed request",
        "The path, a header or the body cannot be read.",
        "Mend the part named in `detail`.",
    ),
    code(
        "malformed_rows",
        400,
        "Malformed rows",
        "An imported file cannot be read as CSV, NDJSON or Parquet.",
        "Mend the line named in `errors`, or import with `on_error=skip`.",
    ),
    code(
        "checksum_mismatch",
        400,
        "Checksum mismatch",
        "The body received is not the body that the checksum header names.",
        "Send it again.",
    ),
    code(
        "invalid_credentials",
        400,
        "Invalid credentials",
        "No account has this e-mail address and password.",
        "Check both; after several failures wait a minute.",
    ),
    code(
        "refresh_token_invalid",
        400,
        "Refresh token invalid",
        "The refresh token is unknown, expired, or was used before.",
        "Sign in again.",
    ),
    code(
        "unauthenticated",
        401,
        "Not signed in",
        "The request carries no token, key or session.",
        "Send `Authorization: Bearer TOKEN` or `apikey: KEY`, or sign in at the rater app's `/login`.",
    ),
    code(
        "token_expired",
        401,
        "Token expired",
        "The access token was good and its time is over.",
        "Get a new one with the refresh token (`POST /auth/v1/token?grant_type=refresh_token`) or sign in again.",
    ),
    code(
        "token_invalid",
        401,
        "Token invalid",
        "The token is malformed or signed with another secret.",
        "Sign in again; if that does not help, check that all services share ENDCAP_JWT_SECRET.",
    ),
    code("key_invalid", 401, "Key invalid", "The API key is unknown or was revoked.", "Make a new key with `endcap keys create`."),
    code(
        "forbidden",
        403,
        "Not allowed",
        "The caller is known and the role does not include this.",
        "Ask an administrator for the role named in `detail`.",
    ),
    code(
        "scope_missing",
        403,
        "Scope missing",
        "The API key is narrowed to scopes, and this needs another one, which `scope` names.",
        "Make a key with that scope: `endcap keys create --scope`, or `POST /v1/api-keys`.",
    ),
    code(
        "cross_site_request",
        403,
        "Cross-site request refused",
        "A browser session was used from another site's page.",
        "Call from our own pages, or send a token in the `Authorization` header.",
    ),
    code("link_invalid", 403, "Link invalid", "The link to a file was not made here, or was changed.", "Ask whoever sent it for another."),
    code("link_expired", 403, "Link expired", "The link to a file was good and its time is over.", "Ask whoever sent it for another."),
    code(
        "not_calibrated",
        403,
        "Not calibrated",
        "The rater has not passed calibration for this.",
        "Do the calibration at `/calibration`.",
    ),
    code(
        "signup_closed",
        403,
        "Sign-up closed",
        "This installation does not let strangers sign up.",
        "Ask an administrator for an account.",
    ),
    code(
        "not_found",
        404,
        "Not found",
        "There is no such thing, or it is not yours to see.",
        "Check the identifier and the caller's tenant.",
    ),
    code(
        "method_not_allowed",
        405,
        "Method not allowed",
        "The path exists and does not take this method.",
        "See `/docs` for the methods of each path.",
    ),
    code(
        "not_acceptable",
        406,
        "Not acceptable",
        "No format in `Accept` can be produced.",
        "Ask for one of the formats named in `detail`.",
    ),
    code(
        "import_running",
        409,
        "Import running",
        "The same file is being loaded into the same table with the same options.",
        "Wait for the end of the import that `detail` names; send the file again only if it failed.",
    ),
    code("conflict", 409, "Conflict", "The request contradicts the present state.", "Read the thing again and decide anew."),
    code(
        "already_exists",
        409,
        "Already exists",
        "Something with this identifier or natural key is there already.",
        "Choose another identifier, or change the existing one with PATCH.",
    ),
    code(
        "transition_not_allowed",
        409,
        "Transition not allowed",
        "The state machine has no such step from the present state.",
        "Take one of the moves in `allowed`.",
    ),
    code("still_referenced", 409, "Still in use", "Other things refer to this one.", "Remove or archive those first."),
    code("stale", 409, "Changed meanwhile", "Somebody changed it since it was read.", "Read it again and repeat the change."),
    code(
        "readout_too_early",
        409,
        "Too early to read",
        "The experiment is read once, at its planned end, and that is not yet.",
        "Come again at `not_before`, or plan a sequential analysis, which may be read at any time.",
    ),
    code(
        "already_read",
        409,
        "Read already",
        "The experiment was read, and its design is read once: what was read stays, and no more observations are taken.",
        "Take what `/results` holds and conclude the experiment; to look while rows come in, plan a sequential analysis.",
    ),
    code(
        "idempotency_key_reused",
        409,
        "Idempotency key reused",
        "The key was used before with another body.",
        "Use a new `Idempotency-Key` for a new request.",
    ),
    code(
        "lease_expired",
        409,
        "Lease expired",
        "The assignment ran out or was given to somebody else.",
        "Ask for the next assignment; a saved draft is kept.",
    ),
    code(
        "judgment_exists",
        409,
        "Judgment exists",
        "This rater has judged this task with another answer.",
        "Undo the judgment within its time, or go on.",
    ),
    code("undo_expired", 409, "Undo expired", "The time to take a judgment back is over.", "Ask an expert to review the task."),
    code(
        "not_enough_data",
        409,
        "Not enough data",
        "There are too few judgments or rows for this computation.",
        "Collect at least as many as `detail` says.",
    ),
    code(
        "gate_failed",
        409,
        "Gate not passed",
        "The reward model does not beat the simple rules it must beat before it may score.",
        "Collect more judgments and train again, or activate it with an `override_reason`.",
    ),
    code(
        "model_unusable",
        409,
        "Model cannot be used",
        "The reward model was stored by another version of the program, or is damaged, so that this one cannot score with it.",
        "Train it again; or activate another one.",
    ),
    code(
        "artifact_in_use",
        409,
        "Artifact in use",
        "A version of an adapter is made of this file, so it stays as it is.",
        "Remove the version first, or upload to another path.",
    ),
    code(
        "infeasible",
        422,
        "No allocation is possible",
        "The constraints contradict each other.",
        "Loosen one of those listed in `conflict`.",
    ),
    code("gone", 410, "Gone", "It was there and was removed.", "Use its successor, if `detail` names one."),
    code(
        "precondition_failed",
        412,
        "Precondition failed",
        "`If-Match` or another precondition does not hold.",
        "Read it again for the present `ETag`.",
    ),
    code(
        "body_too_large",
        413,
        "Body too large",
        "The body has more bytes than this path accepts.",
        "Send less at once, or use the streaming import.",
    ),
    code(
        "unsupported_media_type",
        415,
        "Unsupported media type",
        "The body's `Content-Type` is not one that this path reads.",
        "Send one of the types named in `detail`.",
    ),
    code(
        "range_not_satisfiable",
        416,
        "Range not satisfiable",
        "The range of bytes begins behind the end of the file.",
        "Ask within the `size_bytes` of the answer, or without `Range`.",
    ),
    code(
        "invalid_input",
        422,
        "Invalid input",
        "The request can be read and breaks rules.",
        "Mend the fields listed in `errors`; nothing was kept.",
    ),
    code("invalid_cursor", 422, "Invalid cursor", "The cursor is not one that this list gave out.", "Begin again without `cursor`."),
    code("weak_password", 422, "Weak password", "The password is too short or too common.", "Choose one of at least 10 characters."),
    code("account_exists", 422, "Account exists", "An account with this e-mail address is there already.", "Sign in instead."),
    code(
        "tenant_busy",
        429,
        "Tenant busy",
        "As many requests of this tenant wait for the database or a solver as one tenant may have waiting.",
        "Send fewer at once; try again after `Retry-After` seconds.",
    ),
    code("rate_limited", 429, "Too many requests", "The key or the tenant has used up its share.", "Wait as long as `Retry-After` says."),
    code(
        "internal",
        500,
        "Internal error",
        "A fault of ours; the cause is in our log under the request id.",
        "Try again; report the `request_id` when it stays.",
    ),
    code("unavailable", 503, "Unavailable", "The database or another service does not answer.", "Try again after `Retry-After` seconds."),
    code(
        "request_timeout",
        408,
        "Request timed out",
        "The body of the request came too slowly.",
        "Send it faster or in smaller parts; large files go to the import and artifact addresses.",
    ),
    code("timeout", 503, "Timed out", "The answer took longer than allowed.", "Try again after `Retry-After` seconds, or ask for less."),
    code("draining", 503, "Shutting down", "This process is about to stop.", "Try again: another one answers."),
];

/// The entry of a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|entry| entry.code == code)
}

/// Text of `docs/errors.md`.
#[must_use]
pub fn render_errors_page() -> String {
    let mut text = String::from(
        "# Errors\n\n\
         Every refusal is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail`, `code`, `errors` (`field`, `message`) and `request_id`.\n\
         `code` is stable: match on it, not on the words. `type` is `/docs/errors#CODE`, a page that each service serves. Of a refused request nothing is kept.\n\
         The cause of a 500 is logged once under its `request_id` and never sent. This page is written from `crates/web/src/problem/codes.rs`.\n\n\
         | code | status | title | when | what to do |\n|---|---|---|---|---|\n",
    );
    for entry in CODES {
        text.push_str(&format!(
            "| <a id=\"{0}\"></a>`{0}` | {1} | {2} | {3} | {4} |\n",
            entry.code, entry.status, entry.title, entry.meaning, entry.what_to_do
        ));
    }
    text
}
