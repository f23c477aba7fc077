//! Reads a database URL strictly, so that a mistyped one is refused and never opens an empty file.

use std::fmt;
use std::path::PathBuf;

/// Which database, and where. `Display` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A PostgreSQL URL, passed to libpq as it is.
    Postgres(String),
    /// A MariaDB or MySQL URL.
    Mysql(String),
    /// A file.
    Sqlite(PathBuf),
}

/// What is wrong with a database URL and what one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}. Examples: sqlite://./data/endcap.db, postgres://user:password@host/endcap, mysql://user:password@host/endcap")]
pub struct UrlError {
    /// The problem, without the password.
    pub problem: String,
}

impl DatabaseUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`UrlError`] for an empty URL, a missing or unknown scheme, a missing database name, or an in-memory SQLite.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let url = url.trim();
        let bad = |problem: String| Err(UrlError { problem });
        if url.is_empty() {
            return bad("the database URL is empty".to_owned());
        }
        let Some((scheme, rest)) = url.split_once(':') else {
            return bad(format!("the database URL {url:?} has no scheme"));
        };
        match scheme {
            "postgres" | "postgresql" => {
                let Some(rest) = rest.strip_prefix("//") else {
                    return bad(format!("a PostgreSQL URL begins with {scheme}://"));
                };
                require_name(rest, "PostgreSQL")?;
                Ok(Self::Postgres(url.to_owned()))
            }
            "mysql" | "mariadb" => {
                let Some(rest) = rest.strip_prefix("//") else {
                    return bad(format!("a MariaDB or MySQL URL begins with {scheme}://"));
                };
                require_name(rest, "MariaDB or MySQL")?;
                Ok(Self::Mysql(format!("mysql://{rest}")))
            }
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path.ends_with('/') {
                    return bad("the SQLite URL names no file".to_owned());
                }
                if path.contains(":memory:") {
                    return bad("an in-memory SQLite database cannot be shared by several connections; name a file".to_owned());
                }
                if path.contains('?') {
                    return bad("a SQLite URL takes no parameters".to_owned());
                }
                Ok(Self::Sqlite(PathBuf::from(path)))
            }
            other => bad(format!("{other:?} is not a database we know{}", nearest(other))),
        }
    }

    /// `postgres`, `mysql` or `sqlite`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Mysql(_) => "mysql",
            Self::Sqlite(_) => "sqlite",
        }
    }
}

fn require_name(rest: &str, kind: &str) -> Result<(), UrlError> {
    let place = rest.split(['/', '?']).next().unwrap_or(rest);
    if place.matches('@').count() > 1 {
        return Err(UrlError {
            problem: format!("the {kind} URL has more than one @ before the host; write %40 for an @ in the password"),
        });
    }
    let without_parameters = rest.split('?').next().unwrap_or(rest);
    let name = without_parameters.split_once('/').map_or("", |(_, name)| name);
    if name.trim_matches('/').is_empty() {
        return Err(UrlError { problem: format!("the {kind} URL names no database: add /endcap after the host") });
    }
    Ok(())
}

fn nearest(scheme: &str) -> &'static str {
    let lower = scheme.to_ascii_lowercase();
    if lower.starts_with("post") || lower.starts_with("pg") {
        "; did you mean postgres?"
    } else if lower.starts_with("my") || lower.starts_with("maria") {
        "; did you mean mysql?"
    } else if lower.contains("sql") || lower.contains("lite") || lower == "file" {
        "; did you mean sqlite?"
    } else {
        ""
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) | Self::Mysql(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let Some((credentials, host)) = rest.rsplit_once('@') else { return url.to_owned() };
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:***@{host}")
}
