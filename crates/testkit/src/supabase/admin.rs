//! What the service key may do in Auth of the stand-in: list, make, invite and change users.

use serde_json::{Value, json};

use super::auth::{new_user, refuse};
use super::http::{Reply, Request};
use super::{Held, SERVICE_KEY};

pub(super) fn answer(held: &mut Held, request: &Request) -> Reply {
    if request.header("apikey") != SERVICE_KEY {
        return refuse(403, "not_admin", "User not allowed");
    }
    let path = request.path.strip_prefix("/auth/v1").unwrap_or_default();
    let body = request.json();
    match (request.method.as_str(), path) {
        ("GET", "/admin/users") => {
            let page: usize = request.query("page").parse().unwrap_or(1);
            let size: usize = request.query("per_page").parse().unwrap_or(50);
            let users: Vec<Value> = held.users.values().skip((page.max(1) - 1) * size).take(size).map(super::User::view).collect();
            Reply::json(200, &json!({ "aud": "authenticated", "users": users }))
        }
        ("POST", "/admin/users" | "/invite") => {
            let email = body["email"].as_str().unwrap_or_default().to_lowercase();
            if held.users.values().any(|user| user.email == email) {
                return refuse(422, "email_exists", "A user with this email address has already been registered");
            }
            let mut user = new_user(&email, &body);
            user.is_confirmed = path == "/admin/users" && body["email_confirm"] == true;
            held.users.insert(user.id.clone(), user.clone());
            Reply::json(200, &user.view())
        }
        (method, path) => {
            let id = path.rsplit('/').next().unwrap_or_default();
            let Some(user) = held.users.get_mut(id) else { return refuse(404, "user_not_found", "User not found") };
            if method == "PUT" {
                for (name, value) in body["app_metadata"].as_object().into_iter().flatten() {
                    if value.is_null() {
                        user.app_metadata.remove(name)
                    } else {
                        user.app_metadata.insert(name.clone(), value.clone())
                    };
                }
            }
            Reply::json(200, &user.view())
        }
    }
}
