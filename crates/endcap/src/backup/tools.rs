//! The databases' own tools: pg_dump and pg_restore, mariadb-dump and mariadb. Passwords go by the environment, because everybody on a machine
//! sees command lines.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Writes a dump in PostgreSQL's custom format.
///
/// # Errors
/// When pg_dump is missing or fails, with what it says.
pub fn dump_postgres(url: &str, to: &Path) -> Result<()> {
    let (url, password) = split_password(url)?;
    let mut command = Command::new("pg_dump");
    command.args(["--format=custom", "--no-owner", "--file"]).arg(to).arg(format!("--dbname={url}"));
    run(command, "PGPASSWORD", password, "pg_dump", "postgresql-client")
}

/// Restores such a dump in one transaction: all of it or nothing.
///
/// # Errors
/// When pg_restore is missing or fails, with what it says.
pub fn restore_postgres(url: &str, from: &Path) -> Result<()> {
    let (url, password) = split_password(url)?;
    let mut command = Command::new("pg_restore");
    command.args(["--no-owner", "--exit-on-error", "--single-transaction"]).arg(format!("--dbname={url}")).arg(from);
    run(command, "PGPASSWORD", password, "pg_restore", "postgresql-client")
}

/// Writes a dump of one moment as SQL.
///
/// # Errors
/// When mariadb-dump is missing or fails, with what it says.
pub fn dump_mysql(url: &str, to: &Path) -> Result<()> {
    let place = Place::of(url)?;
    let mut command = Command::new("mariadb-dump");
    command.args(["--single-transaction", "--quick", "--hex-blob", "--routines", "--triggers", "--default-character-set=utf8mb4"]);
    place.add_to(&mut command);
    command.arg("--result-file").arg(to).arg(&place.database);
    run(command, "MYSQL_PWD", place.password, "mariadb-dump", "mariadb-client")
}

/// Runs such a dump.
///
/// # Errors
/// When mariadb is missing or fails, with what it says.
pub fn restore_mysql(url: &str, from: &Path) -> Result<()> {
    let place = Place::of(url)?;
    let mut command = Command::new("mariadb");
    place.add_to(&mut command);
    command.arg("--default-character-set=utf8mb4").arg(&place.database).stdin(Stdio::from(File::open(from)?));
    run(command, "MYSQL_PWD", place.password, "mariadb", "mariadb-client")
}

fn run(mut command: Command, variable: &str, password: Option<String>, name: &str, package: &str) -> Result<()> {
    if let Some(password) = password {
        command.env(variable, password);
    }
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("{name} is not installed here; it comes with the package {package}, or with the database's image")
        }
        output => output.with_context(|| format!("{name} cannot be run"))?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}", said.trim());
    Ok(())
}

/// The URL without its password, and the password.
fn split_password(url: &str) -> Result<(String, Option<String>)> {
    let (scheme, rest) = url.split_once("://").context("the database URL has no scheme")?;
    let Some((credentials, host)) = rest.split_once('@') else { return Ok((url.to_owned(), None)) };
    let Some((user, password)) = credentials.split_once(':') else { return Ok((url.to_owned(), None)) };
    Ok((format!("{scheme}://{user}@{host}"), Some(decode(password)?)))
}

/// Where a MariaDB database is.
struct Place {
    user: String,
    password: Option<String>,
    host: String,
    port: Option<String>,
    database: String,
    socket: Option<String>,
}

impl Place {
    fn of(url: &str) -> Result<Self> {
        let (url, password) = split_password(url)?;
        let (_, rest) = url.split_once("://").context("the database URL has no scheme")?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, database) = rest.split_once('/').context("the database URL names no database")?;
        let (user, address) = place.rsplit_once('@').unwrap_or(("", place));
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port.to_owned())),
            _ => (address, None),
        };
        let parameters = parameters.split('&').filter_map(|pair| pair.split_once('='));
        let socket = parameters.filter(|(key, _)| *key == "unix_socket").map(|(_, value)| decode(value)).next().transpose()?;
        Ok(Self {
            user: decode(user)?,
            password,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            database: decode(database)?,
            socket,
        })
    }

    fn add_to(&self, command: &mut Command) {
        if !self.user.is_empty() {
            command.arg(format!("--user={}", self.user));
        }
        match &self.socket {
            Some(socket) => command.arg(format!("--socket={socket}")),
            None => command.args([format!("--host={}", self.host), "--protocol=tcp".to_owned()]),
        };
        if let Some(port) = &self.port {
            command.arg(format!("--port={port}"));
        }
    }
}

/// Percent-decodes a part of a URL.
fn decode(text: &str) -> Result<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    Ok(decoded.context("a part of the database URL is not UTF-8 when decoded")?.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn passwords_leave_the_command_line_and_come_out_decoded() {
        let (url, password) = split_password("postgres://me:a%40b%3A1@host:5432/endcap?sslmode=verify-full").unwrap();
        assert_eq!((url.as_str(), password.as_deref()), ("postgres://me@host:5432/endcap?sslmode=verify-full", Some("a@b:1")));
        assert_eq!(split_password("postgres://me@host/endcap").unwrap().1, None);
        assert_eq!(split_password("postgres://host/endcap").unwrap().0, "postgres://host/endcap");
        let place = Place::of("mysql://me:p%25@[::1]:3307/end_cap?unix_socket=%2Frun%2Fm.sock").unwrap();
        assert_eq!((place.user.as_str(), place.host.as_str(), place.port.as_deref()), ("me", "::1", Some("3307")));
        assert_eq!(
            (place.database.as_str(), place.password.as_deref(), place.socket.as_deref()),
            ("end_cap", Some("p%"), Some("/run/m.sock"))
        );
        assert!(decode("%ff").is_err());
    }
}
