//! Row-level security of PostgreSQL: for a tenant, work runs in a transaction under a role that owns nothing, and the database itself
//! leaves out what is not that tenant's, so that a query whose filter was forgotten still leaks nothing.
//!
//! The role and its policies come from the migration `row_security`. Where the role could not be made (the migrating user may not create
//! roles), work runs as the owner and the filters of `Scope` are the only wall; that is said in the log, and by `endcap doctor`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use crate::connection::Connection;
use crate::dialect::TENANT_ROLE;
use crate::error::StorageError;
use crate::store::transaction_of;

/// When the role is missing, it is looked for again this often.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// Whether this process has seen that the role works. Shared by all who see the same database.
#[derive(Clone, Default)]
pub(crate) struct RowSecurity(Arc<Known>);

#[derive(Default)]
struct Known {
    works: AtomicBool,
    asked: Mutex<Option<Instant>>,
}

impl RowSecurity {
    /// Runs a reading, for a tenant in a transaction of its own.
    pub(crate) fn read<T>(
        &self,
        conn: &mut Connection,
        tenant: Option<&str>,
        work: impl FnOnce(&mut Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        match (self.enforced(conn, tenant)?, &conn) {
            (Some(tenant), Connection::Postgres(_)) => transaction_of(conn, Some(tenant), work),
            _ => work(conn),
        }
    }

    /// The tenant that the database is to enforce: none for the platform, for other databases, and where the role is missing.
    pub(crate) fn enforced<'a>(&self, conn: &mut Connection, tenant: Option<&'a str>) -> Result<Option<&'a str>, StorageError> {
        let (Some(tenant), Connection::Postgres(_)) = (tenant, &conn) else { return Ok(None) };
        if self.0.works.load(Ordering::Acquire) {
            return Ok(Some(tenant));
        }
        // Held while asking: nobody is let through unguarded because somebody else is still waiting for the answer.
        let mut asked = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.0.works.load(Ordering::Acquire) {
            return Ok(Some(tenant));
        }
        if asked.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return Ok(None);
        }
        match state(conn)? {
            State::Works => {
                self.0.works.store(true, Ordering::Release);
                Ok(Some(tenant))
            }
            missing => {
                *asked = Some(Instant::now());
                tracing::warn!(
                    "row-level security is off: {}. Tenants are kept apart by the filters of queries only",
                    missing.problem().unwrap_or_default()
                );
                Ok(None)
            }
        }
    }
}

/// Whether the database enforces tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does.
    Works,
    /// MariaDB and SQLite know no row-level security.
    NotHere,
    /// The role does not exist.
    NoRole,
    /// The role exists, and the user of the connection may not take it on.
    NotMember(String),
    /// These tables with a tenant have no policy.
    Unguarded(Vec<String>),
}

impl State {
    /// What is wrong and what to do; nothing when the database enforces tenants or cannot.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Works | Self::NotHere => None,
            Self::NoRole => Some(format!(
                "there is no role {TENANT_ROLE}; as a superuser run: CREATE ROLE {TENANT_ROLE} NOLOGIN; GRANT {TENANT_ROLE} TO the user of ENDCAP_DATABASE_URL; then: endcap migrate up"
            )),
            Self::NotMember(user) => Some(format!(
                "{user} may not take on the role {TENANT_ROLE}; as a superuser run: GRANT {TENANT_ROLE} TO \"{user}\"; then: endcap migrate up"
            )),
            Self::Unguarded(tables) => Some(format!("{} without policy; run: endcap migrate up", tables.join(", "))),
        }
    }
}

/// Runs a question whose answer must not depend on whose rows it looks at, inside a tenant's transaction: the owner's eyes, for this only.
/// What it answers must say nothing of another tenant's rows than what the product shows anyway (that a catalogue has a product).
///
/// # Errors
/// As `work`, or as any query.
pub(crate) fn as_owner<T>(conn: &mut Connection, work: impl FnOnce(&mut Connection) -> Result<T, StorageError>) -> Result<T, StorageError> {
    use diesel::connection::SimpleConnection;
    let is_tenant = match conn {
        Connection::Postgres(c) => {
            let role: Name = diesel::sql_query("SELECT current_setting('role') AS name").get_result(c)?;
            if role.name == TENANT_ROLE {
                c.batch_execute("SET LOCAL ROLE NONE")?;
            }
            role.name == TENANT_ROLE
        }
        _ => false,
    };
    // After a failure the transaction is lost, and the role with it.
    let done = work(conn)?;
    if let (true, Connection::Postgres(c)) = (is_tenant, conn) {
        c.batch_execute(&format!("SET LOCAL ROLE {TENANT_ROLE}"))?;
    }
    Ok(done)
}

#[derive(QueryableByName)]
struct Membership {
    #[diesel(sql_type = Text)]
    user_name: String,
    #[diesel(sql_type = Nullable<Bool>)]
    is_member: Option<bool>,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Looks at role and policies.
///
/// # Errors
/// As any query.
pub fn state(conn: &mut Connection) -> Result<State, StorageError> {
    let Connection::Postgres(c) = conn else { return Ok(State::NotHere) };
    let membership: Membership = diesel::sql_query(format!(
        "SELECT current_user::text AS user_name, (SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = '{TENANT_ROLE}') AS is_member"
    ))
    .get_result(c)?;
    match membership.is_member {
        None => return Ok(State::NoRole),
        Some(false) => return Ok(State::NotMember(membership.user_name)),
        Some(true) => {}
    }
    let unguarded = unguarded(conn)?;
    Ok(if unguarded.is_empty() { State::Works } else { State::Unguarded(unguarded) })
}

/// Tables with a `tenant_id` that a tenant's role may read although no policy guards them, and those that it may not read at all
/// although they carry a tenant. Partitions are reached through their table.
///
/// # Errors
/// As any query.
pub fn unguarded(conn: &mut Connection) -> Result<Vec<String>, StorageError> {
    let Connection::Postgres(c) = conn else { return Ok(Vec::new()) };
    let rows: Vec<Name> = diesel::sql_query(
        "SELECT r.relname::text AS name FROM pg_class r JOIN pg_namespace n ON n.oid = r.relnamespace \
         JOIN pg_attribute a ON a.attrelid = r.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped \
         WHERE n.nspname = current_schema() AND r.relkind IN ('r', 'p') AND NOT r.relispartition \
         AND NOT (r.relrowsecurity AND EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = r.oid AND p.polname = 'endcap_tenant')) \
         ORDER BY 1",
    )
    .load(c)?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Sees that every table has its grants and policies: called after migrations, so that tables of later ones are guarded without a word of
/// theirs. Nothing happens before the migration that brings the function, and on other databases.
///
/// # Errors
/// As any query.
pub(crate) fn guard(conn: &mut Connection) -> Result<(), StorageError> {
    use diesel::connection::SimpleConnection;
    let Connection::Postgres(c) = conn else { return Ok(()) };
    c.batch_execute(
        "DO $$ BEGIN IF to_regprocedure('endcap_guard_tenants()') IS NOT NULL THEN PERFORM endcap_guard_tenants(); END IF; END $$",
    )?;
    Ok(())
}
