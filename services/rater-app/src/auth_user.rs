//! A user in the shape of Supabase Auth.

use chrono::{DateTime, Utc};
use domain::role::Role;
use serde::Serialize;
use serde_json::{Map, Value, json};
use storage::accounts::Account;
use storage::types::Timestamp;

/// A user, as Supabase Auth shows one.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct User {
    /// Account id.
    pub id: String,
    /// `authenticated`.
    pub aud: &'static str,
    /// `authenticated`; the Endcap role is in `app_metadata`.
    pub role: &'static str,
    /// E-mail address.
    pub email: String,
    /// Empty: there is no sign-in by phone.
    pub phone: &'static str,
    /// What the system knows: provider, role, tenant_id, rater_id.
    pub app_metadata: Value,
    /// What the person said.
    pub user_metadata: Value,
    /// The e-mail identity.
    pub identities: Vec<Value>,
    /// Confirmed at sign-up; null while a hosted project waits for it.
    pub email_confirmed_at: Option<String>,
    /// Last sign-in with the password.
    pub last_sign_in_at: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// Last change.
    pub updated_at: String,
    /// There are no anonymous users.
    pub is_anonymous: bool,
}

/// A user whose account waits, or has been there before: nobody can tell which.
#[must_use]
pub fn user_who_waits(account_id: String, email: String, metadata: Map<String, Value>, now: DateTime<Utc>) -> User {
    let at = Timestamp(now);
    let shown = Account {
        id: 0,
        account_id,
        email,
        password_hash: None,
        role: Role::Rater.as_ref().to_owned(),
        tenant_id: None,
        rater_id: None,
        display_name: String::new(),
        user_metadata: Value::Object(metadata).into(),
        is_active: false,
        last_sign_in_at: None,
        created_at: at,
        updated_at: at,
        auth_user_id: None,
    };
    User { email_confirmed_at: None, ..user_of(&shown) }
}

/// A user in the shape of Supabase Auth.
#[must_use]
pub fn user_of(account: &Account) -> User {
    let rfc3339 = |at: Timestamp| at.0.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let created_at = rfc3339(account.created_at);
    User {
        id: account.account_id.clone(),
        aud: "authenticated",
        role: "authenticated",
        email: account.email.clone(),
        phone: "",
        app_metadata: json!({
            "provider": "email", "providers": ["email"], "role": account.role, "tenant_id": account.tenant_id, "rater_id": account.rater_id,
        }),
        user_metadata: account.user_metadata.0.clone(),
        identities: vec![json!({
            "identity_id": account.account_id, "id": account.account_id, "user_id": account.account_id, "provider": "email",
            "identity_data": {"email": account.email, "sub": account.account_id, "email_verified": false},
            "created_at": created_at, "updated_at": rfc3339(account.updated_at),
        })],
        email_confirmed_at: Some(created_at.clone()),
        last_sign_in_at: account.last_sign_in_at.map(rfc3339),
        created_at,
        updated_at: rfc3339(account.updated_at),
        is_anonymous: false,
    }
}
