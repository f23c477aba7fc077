//! Rows of a project over PostgREST, with types: for what crosses into the project; our own data are Diesel's.
//!
//! The `postgrest` crate writes the request (paths, filters, headers) and never sends it: its newest release stands on an HTTP and TLS stack of 2023.
//! What it wrote is copied into a request of ours, which goes out over the same client, deadline and certificates as everything else. Where the crate
//! is known to err, this module does not go: values of lists are quoted here (it does not quote, so that a value could end a filter), a limit of nothing
//! is asked for as a page of one and thrown away (it panics), and every status is looked at (it takes each for success).

use std::time::Duration;

use postgrest::{Builder, Postgrest};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::key::KeyKind;
use crate::project::Project;

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why there are no rows.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// No answer, or trouble on the project's side: trying again later helps.
    #[error("PostgREST of the project does not answer: {0}")]
    Unavailable(String),
    /// A refusal, with PostgreSQL's or PostgREST's own code.
    #[error("PostgREST of the project refuses ({status} {code}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// SQLSTATE or `PGRST…`.
        code: String,
        /// In words.
        message: String,
    },
    /// Rows of another shape.
    #[error("the rows have another shape: {0}")]
    Unreadable(String),
    /// What was asked cannot be written as a request.
    #[error("the request cannot be written: {0}")]
    Unwritable(String),
}

/// A question to one table.
pub struct Table<'a> {
    project: &'a Project,
    key: &'a SecretString,
    user: Option<&'a SecretString>,
    builder: Builder,
    is_empty: bool,
}

impl<'a> Table<'a> {
    /// As the service, whom no policy binds; without a service key as a visitor.
    #[must_use]
    pub fn of(project: &'a Project, name: &str) -> Self {
        let rest = Postgrest::new(format!("{}/rest/v1", project.base_url)).schema("public");
        let key = project.service_key.as_ref().unwrap_or(&project.anon_key);
        Self { project, key, user: None, builder: rest.from(escaped(name)), is_empty: false }
    }

    /// As somebody who is not signed in.
    #[must_use]
    pub fn as_visitor(self) -> Self {
        Self { key: &self.project.anon_key, user: None, ..self }
    }

    /// As the user of an access token: the project's policies say what is seen.
    #[must_use]
    pub fn as_user(self, token: &'a SecretString) -> Self {
        Self { key: &self.project.anon_key, user: Some(token), ..self }
    }

    /// Only these columns, separated by commas.
    #[must_use]
    pub fn select(self, columns: &str) -> Self {
        Self { builder: self.builder.select(columns), ..self }
    }

    /// Rows in which a column has this value.
    #[must_use]
    pub fn equal(self, column: &str, value: &str) -> Self {
        Self { builder: self.builder.eq(column, value), ..self }
    }

    /// Rows in which a column has one of these values.
    #[must_use]
    pub fn one_of(self, column: &str, values: &[&str]) -> Self {
        Self { builder: self.builder.in_(column, values.iter().map(|value| quoted(value))), ..self }
    }

    /// Sorted, such as `created_at.desc`.
    #[must_use]
    pub fn order(self, columns: &str) -> Self {
        Self { builder: self.builder.order(columns), ..self }
    }

    /// At most so many rows.
    #[must_use]
    pub fn limit(self, most: usize) -> Self {
        Self { builder: self.builder.limit(most.max(1)), is_empty: most == 0, ..self }
    }

    /// The rows.
    ///
    /// # Errors
    /// [`RestError`].
    pub async fn rows<T: DeserializeOwned>(self) -> Result<Vec<T>, RestError> {
        if self.is_empty {
            return Ok(Vec::new());
        }
        read(self.send().await?).await
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`RestError`]; 409 when a row is there already.
    pub async fn insert<T: Serialize>(self, rows: &[T]) -> Result<(), RestError> {
        let body = written(rows)?;
        Self { builder: self.builder.insert(body), ..self }.send().await.map(drop)
    }

    /// Adds rows, or replaces those with the same value of a unique column.
    ///
    /// # Errors
    /// [`RestError`].
    pub async fn upsert<T: Serialize>(self, unique: &str, rows: &[T]) -> Result<(), RestError> {
        let body = written(rows)?;
        Self { builder: self.builder.upsert(body).on_conflict(unique), ..self }.send().await.map(drop)
    }

    /// Changes the rows that the filters leave; how they are then.
    ///
    /// # Errors
    /// [`RestError`].
    pub async fn update<T: DeserializeOwned>(self, changes: &impl Serialize) -> Result<Vec<T>, RestError> {
        let body = written(changes)?;
        read(Self { builder: self.builder.update(body), ..self }.send().await?).await
    }

    /// Removes the rows that the filters leave.
    ///
    /// # Errors
    /// [`RestError`].
    pub async fn delete(self) -> Result<(), RestError> {
        Self { builder: self.builder.delete(), ..self }.send().await.map(drop)
    }

    async fn send(self) -> Result<reqwest::Response, RestError> {
        let planned = self.builder.build().build().map_err(|error| RestError::Unwritable(error.to_string()))?;
        let method = Method::from_bytes(planned.method().as_str().as_bytes()).map_err(|error| RestError::Unwritable(error.to_string()))?;
        let mut request = self.project.client.request(method, planned.url().as_str()).timeout(DEADLINE);
        for (name, value) in planned.headers() {
            request = request.header(name.as_str(), value.as_bytes());
        }
        let key = self.key.expose_secret();
        request = request.header("apikey", key);
        if let Some(token) = self.user {
            request = request.bearer_auth(token.expose_secret());
        } else if KeyKind::of(key).is_token() {
            request = request.bearer_auth(key);
        }
        if let Some(body) = planned.body().and_then(|body| body.as_bytes()) {
            request = request.body(body.to_vec());
        }
        let answer = request.send().await.map_err(|error| RestError::Unavailable(error.without_url().to_string()))?;
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            return Ok(answer);
        }
        let refusal: Value = answer.json().await.unwrap_or_default();
        let word = |name: &str| refusal[name].as_str().unwrap_or_default().chars().take(200).collect::<String>();
        match status {
            500..=599 | 408 | 429 => Err(RestError::Unavailable(format!("it answered {status} {}", word("message")))),
            _ => Err(RestError::Refused { status, code: word("code"), message: word("message") }),
        }
    }
}

async fn read<T: DeserializeOwned>(answer: reqwest::Response) -> Result<Vec<T>, RestError> {
    let bytes = answer.bytes().await.map_err(|error| RestError::Unavailable(error.without_url().to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| RestError::Unreadable(error.to_string()))
}

fn written<T: Serialize + ?Sized>(body: &T) -> Result<String, RestError> {
    serde_json::to_string(body).map_err(|error| RestError::Unwritable(error.to_string()))
}

/// A value within `in.(…)`: quoted, so that commas and brackets in it are its own.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A table's name as one part of an address.
fn escaped(name: &str) -> String {
    name.chars().filter(|sign| sign.is_ascii_alphanumeric() || *sign == '_').collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::Deserialize;
    use testkit::supabase::{ANON_KEY, Fault, Part, Project as StandIn, SERVICE_KEY};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Score {
        rater: String,
        n: i64,
    }

    fn score(rater: &str, n: i64) -> Score {
        Score { rater: rater.to_owned(), n }
    }

    fn project(url: &str) -> Project {
        Project::from_settings(url, ANON_KEY.into(), Some(SERVICE_KEY.into()), None).unwrap()
    }

    #[tokio::test]
    async fn rows_go_in_change_come_out_and_go() {
        let stand_in = StandIn::start();
        let project = project(&stand_in.url);
        stand_in.held().tables.insert("scores".to_owned(), Vec::new());
        let table = || Table::of(&project, "scores");
        table().insert(&[score("a,b (c)", 1), score("d", 2)]).await.unwrap();
        table().upsert("rater", &[score("d", 3)]).await.unwrap();
        assert_eq!(table().equal("rater", "a,b (c)").rows::<Score>().await.unwrap(), [score("a,b (c)", 1)]);
        let changed: Vec<Score> = table().equal("rater", "d").update(&serde_json::json!({ "n": 4 })).await.unwrap();
        assert_eq!(changed, [score("d", 4)]);
        assert_eq!(table().limit(1).rows::<Score>().await.unwrap().len(), 1);
        assert!(table().limit(0).rows::<Score>().await.unwrap().is_empty());
        table().equal("rater", "d").delete().await.unwrap();
        assert_eq!(table().rows::<Score>().await.unwrap(), [score("a,b (c)", 1)]);
    }

    #[tokio::test]
    async fn refusal_and_trouble_are_said_as_they_are() {
        let stand_in = StandIn::start();
        let project = project(&stand_in.url);
        let missing = Table::of(&project, "nothing").rows::<Score>().await.unwrap_err();
        assert!(matches!(&missing, RestError::Refused { status: 404, code, .. } if code == "PGRST205"), "{missing}");
        stand_in.held().tables.insert("scores".to_owned(), vec![serde_json::json!({ "other": 1 })]);
        assert!(matches!(Table::of(&project, "scores").rows::<Score>().await, Err(RestError::Unreadable(_))));
        let visitor = Table::of(&project, "scores").as_visitor().rows::<Score>().await.unwrap_err();
        assert!(matches!(&visitor, RestError::Refused { status: 401, code, .. } if code == "42501"), "{visitor}");
        for fault in [Fault::Drop, Fault::Status(503)] {
            stand_in.break_down(Part::Rest, fault);
            assert!(matches!(Table::of(&project, "scores").rows::<Score>().await, Err(RestError::Unavailable(_))), "{fault:?}");
        }
        stand_in.break_down(Part::Rest, Fault::Malformed);
        assert!(matches!(Table::of(&project, "scores").rows::<Score>().await, Err(RestError::Unreadable(_))));
    }

    #[test]
    fn a_value_of_a_list_ends_no_filter() {
        let project = project("http://127.0.0.1:1");
        let table = Table::of(&project, "scores&x=eq.1").one_of("rater", &["a,b", "c)\"\\"]);
        let url = table.builder.build().build().unwrap().url().clone();
        assert_eq!(url.path(), "/rest/v1/scoresxeq1");
        assert_eq!(url.query_pairs().find(|(name, _)| name == "rater").unwrap().1, r#"in.("a,b","c)\"\\")"#);
    }
}
