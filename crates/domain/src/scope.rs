//! Whose data a query may touch, and in whose name: the second argument of every storage function on tenant data.

use crate::role::Role;

/// Tenant and actor of a request. Made by the web edge from a verified token, or by [`Scope::system`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    tenant: Option<String>,
    actor: String,
    role: Role,
}

impl Scope {
    /// From a verified caller. Only the web edge and tests call this.
    ///
    /// A role that does not see all tenants and has no tenant gets a tenant that owns nothing.
    #[must_use]
    pub fn for_caller(actor: &str, role: Role, tenant: Option<&str>) -> Self {
        let tenant = match (tenant, role.sees_all_tenants()) {
            (Some(tenant), _) => Some(tenant.to_owned()),
            (None, true) => None,
            (None, false) => Some(String::new()),
        };
        Self { tenant, actor: actor.to_owned(), role }
    }

    /// For work that no person asked for: migrations, imports of sample data, sweeps. The reason is the actor in logs and history.
    #[must_use]
    pub fn system(reason: &str) -> Self {
        Self { tenant: None, actor: format!("system:{reason}"), role: Role::Service }
    }

    /// The tenant whose rows are visible; `None` sees all.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Who acts: an account id, a key id or `system:reason`.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The actor's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The same actor, narrowed to one tenant (an administrator who works in a tenant's name).
    #[must_use]
    pub fn narrowed_to(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), actor: self.actor.clone(), role: self.role }
    }

    /// Whether rows of `tenant` may be seen.
    #[must_use]
    pub fn may_see(&self, tenant: Option<&str>) -> bool {
        match (&self.tenant, tenant) {
            (None, _) => true,
            (Some(own), Some(other)) => own == other,
            (Some(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_without_a_tenant_sees_a_tenant() {
        let analyst = Scope::for_caller("acc_1", Role::Analyst, None);
        assert!(!analyst.may_see(Some("tnt-a")) && !analyst.may_see(None));
        assert!(Scope::for_caller("acc_2", Role::PlatformAdmin, None).may_see(Some("tnt-a")));
        assert!(Scope::for_caller("acc_3", Role::Analyst, Some("tnt-a")).may_see(Some("tnt-a")));
    }
}
