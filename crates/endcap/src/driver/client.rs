//! What the loop says to the services, over the same public API that everybody uses.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    token: String,
}

/// An answer that is not an error.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// The `Endcap-Reason` header, why there is nothing.
    pub reason: Option<String>,
    /// Body; null when empty.
    pub body: Value,
}

impl Client {
    /// Signs in with a password at the rater app; `None` when there is no such account or the password is wrong.
    pub async fn sign_in(base: &str, email: &str, password: &str) -> Result<Option<Self>> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let url = format!("{base}/auth/v1/token?grant_type=password");
        let sent = http.post(&url).json(&json!({ "email": email, "password": password })).send().await;
        let response = sent.with_context(|| format!("{url} does not answer; is the system running? Start it with scripts/up"))?;
        let (status, body) = (response.status(), response.json::<Value>().await.unwrap_or(Value::Null));
        if status == StatusCode::BAD_REQUEST || status == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        if !status.is_success() {
            bail!("POST {url} answered {status}: {body}");
        }
        let token = body["access_token"].as_str().context("the sign-in answer has no access_token")?.to_owned();
        Ok(Some(Self { http, token }))
    }

    /// Makes a rater's account that says it is simulated, and signs in.
    pub async fn sign_up_simulated(base: &str, email: &str, password: &str, name: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let url = format!("{base}/auth/v1/signup");
        let body = json!({ "email": email, "password": password, "data": { "simulated": true, "display_name": name } });
        let response = http.post(&url).json(&body).send().await?;
        let status = response.status();
        if !status.is_success() {
            bail!("POST {url} answered {status}: {}", response.text().await.unwrap_or_default());
        }
        Self::sign_in(base, email, password).await?.context("the account was made but cannot sign in")
    }

    /// GET.
    pub async fn get(&self, url: &str) -> Result<Value> {
        Ok(self.send(Method::GET, url, None).await?.body)
    }

    /// GET of text: a file in lines.
    pub async fn get_text(&self, url: &str) -> Result<String> {
        let response = self.http.get(url).bearer_auth(&self.token).send().await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("GET {url} answered {status}: {text}");
        }
        Ok(text)
    }

    /// POST of JSON.
    pub async fn post(&self, url: &str, body: &Value) -> Result<Answer> {
        self.send(Method::POST, url, Some(body)).await
    }

    async fn send(&self, method: Method, url: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.http.request(method.clone(), url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("{method} {url} got no answer"))?;
        let status = response.status();
        let reason = response.headers().get("endcap-reason").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{method} {url} answered {status}: {text}");
        }
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| format!("{method} {url} answered no JSON"))?
        };
        Ok(Answer { status, reason, body })
    }
}
