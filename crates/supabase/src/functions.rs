//! Edge Functions of a project: one call with a JSON body, within a time that the caller can wait.

use std::time::Duration;

use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::Value;

use crate::key::KeyKind;
use crate::project::Project;

/// Longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// Nothing came in time.
    #[error("the function gave no answer within {0} ms")]
    Late(u128),
    /// A connection that cannot be made or breaks.
    #[error("the function does not answer: {0}")]
    Unreachable(String),
    /// Another status than 200, of the function or of the platform around it.
    #[error("the function answered {status}: {text}")]
    Failed {
        /// HTTP status.
        status: u16,
        /// Code of the platform, or the beginning of the body.
        text: String,
    },
    /// An answer that is no JSON, or too large.
    #[error("the function's answer cannot be read: {0}")]
    Unreadable(&'static str),
}

impl Project {
    /// Calls a function with the service key (without one, the publishable key), and waits for at most `within` for its whole answer.
    ///
    /// # Errors
    /// [`FunctionError`].
    pub async fn call_function(&self, name: &str, body: &impl Serialize, within: Duration) -> Result<Value, FunctionError> {
        let called = tokio::time::timeout(within, self.call(name, body)).await;
        called.unwrap_or(Err(FunctionError::Late(within.as_millis())))
    }

    async fn call(&self, name: &str, body: &impl Serialize) -> Result<Value, FunctionError> {
        let key = self.service_key.as_ref().unwrap_or(&self.anon_key).expose_secret();
        let request = self.client.post(format!("{}/functions/v1/{name}", self.base_url)).header("apikey", key);
        let request = if KeyKind::of(key).is_token() { request.bearer_auth(key) } else { request };
        let sent = request.json(body).send().await;
        let answer = sent.map_err(|reason| FunctionError::Unreachable(reason.without_url().to_string()))?;
        let status = answer.status().as_u16();
        let named = answer.headers().get("sb-error-code").and_then(|code| code.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(|reason| FunctionError::Unreachable(reason.without_url().to_string()))?);
            if bytes.len() > MAX_ANSWER {
                return Err(FunctionError::Unreadable("it is too large"));
            }
        }
        if status != 200 {
            let text = named.unwrap_or_else(|| String::from_utf8_lossy(&bytes).chars().take(200).collect());
            return Err(FunctionError::Failed { status, text });
        }
        serde_json::from_slice(&bytes).map_err(|_| FunctionError::Unreadable("it is no JSON"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;
    use testkit::supabase::{ANON_KEY, Fault, Part, Project as StandIn, SERVICE_KEY};

    use super::*;

    #[tokio::test]
    async fn an_answer_comes_in_time_or_says_what_is_wrong() {
        let stand_in = StandIn::start();
        let project = Project::from_settings(&stand_in.url, ANON_KEY.into(), Some(SERVICE_KEY.into()), None).unwrap();
        let body = json!({ "n": 21 });
        let call = || project.call_function("double", &body, Duration::from_millis(2_000));
        let missing = call().await.unwrap_err();
        assert!(matches!(missing, FunctionError::Failed { status: 404, .. }), "{missing}");
        stand_in.deploy("double", |body| (200, json!(body["n"].as_i64().unwrap() * 2)));
        assert_eq!(call().await.unwrap(), 42);
        stand_in.break_down(Part::Functions, Fault::Malformed);
        assert!(matches!(call().await, Err(FunctionError::Unreadable(_))));
        stand_in.break_down(Part::Functions, Fault::Drop);
        assert!(matches!(call().await, Err(FunctionError::Unreachable(_))));
        stand_in.break_down(Part::Functions, Fault::Slow(Duration::from_secs(60)));
        let late = project.call_function("double", &json!({}), Duration::from_millis(50)).await;
        assert!(matches!(late, Err(FunctionError::Late(50))));
    }
}
