//! Users of a project seen with the service key: what is written about them in `app_metadata`, and users for people who had an account before.

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use super::{AuthError, AuthUser, as_service, read, understood};
use crate::project::Project;

/// Users in one page of a list.
const PAGE: usize = 200;

/// Most pages that are read.
const MAX_PAGES: usize = 5_000;

/// How somebody who had an account before comes to one of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Made without a password and confirmed; a password comes by the project's recovery.
    Created,
    /// The project sends a mail with which a password is set.
    Invited,
}

impl Project {
    /// Merges members into a user's `app_metadata`; null takes one away.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn set_app_metadata(&self, user_id: &str, members: &Map<String, Value>) -> Result<AuthUser, AuthError> {
        let request = self.admin(Method::PUT, &format!("/admin/users/{user_id}"))?;
        understood(read(request.json(&json!({ "app_metadata": members }))).await?)
    }

    /// Makes a user for somebody who had an account before.
    ///
    /// # Errors
    /// [`AuthError`]; refused with `email_exists` when the address has a user.
    pub async fn bring_user(
        &self,
        email: &str,
        arrival: Arrival,
        app_metadata: &Map<String, Value>,
        user_metadata: &Map<String, Value>,
    ) -> Result<AuthUser, AuthError> {
        match arrival {
            Arrival::Created => {
                let body = json!({ "email": email, "email_confirm": true, "app_metadata": app_metadata, "user_metadata": user_metadata });
                understood(read(self.admin(Method::POST, "/admin/users")?.json(&body)).await?)
            }
            Arrival::Invited => {
                let body = json!({ "email": email, "data": user_metadata });
                let user: AuthUser = understood(read(self.admin(Method::POST, "/invite")?.json(&body)).await?)?;
                // An invitation takes no app_metadata. When this fails, the repeated run finds the user by its address.
                self.set_app_metadata(&user.id, app_metadata).await
            }
        }
    }

    /// Every user of the project, read in pages.
    ///
    /// # Errors
    /// [`AuthError`].
    pub async fn all_users(&self) -> Result<Vec<AuthUser>, AuthError> {
        let mut all = Vec::new();
        for page in 1..=MAX_PAGES {
            let answer = read(self.admin(Method::GET, &format!("/admin/users?page={page}&per_page={PAGE}"))?).await?;
            let users: Vec<AuthUser> = understood(answer.get("users").cloned().unwrap_or_default())?;
            let is_last = users.len() < PAGE;
            all.extend(users);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    fn admin(&self, method: Method, path: &str) -> Result<RequestBuilder, AuthError> {
        let key = self.service_key.as_ref().ok_or_else(|| AuthError::Refused {
            status: 401,
            code: "no_service_key".to_owned(),
            message: "SUPABASE_SERVICE_KEY is not set".to_owned(),
            retry_after_s: None,
        })?;
        Ok(as_service(self.auth(method, path, key), key))
    }
}
