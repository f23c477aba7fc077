//! How often somebody may ask: rules written as `RATE/BURST`, with exceptions for roles and tenants.

use std::collections::BTreeMap;
use std::str::FromStr;

use domain::role::Role;

/// A token bucket: `burst` requests at once, and `per_second` more each second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateRule {
    /// Requests at once.
    pub burst: u32,
    /// Requests that come back each second.
    pub per_second: f64,
}

/// Limits of callers and tenants.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimits {
    /// Whether anybody is limited.
    pub is_on: bool,
    /// For each caller: an account or an API key.
    pub caller: RateRule,
    /// For all callers of a tenant together.
    pub tenant: RateRule,
    /// Other rules for callers of these roles.
    pub roles: BTreeMap<&'static str, RateRule>,
    /// Other rules for these tenants.
    pub tenants: BTreeMap<String, RateRule>,
}

impl RateLimits {
    /// The rule for each caller of this role.
    #[must_use]
    pub fn for_role(&self, role: Role) -> RateRule {
        self.roles.get(<&'static str>::from(role)).copied().unwrap_or(self.caller)
    }

    /// The rule for this tenant.
    #[must_use]
    pub fn for_tenant(&self, tenant: &str) -> RateRule {
        self.tenants.get(tenant).copied().unwrap_or(self.tenant)
    }
}

/// Reads `RATE/BURST`.
pub(super) fn rule(text: &str) -> Result<RateRule, String> {
    let wrong = || format!("{text:?} is not RATE/BURST with whole numbers from 1 to 1000000, such as 50/500");
    let (rate, burst) = text.trim().split_once('/').ok_or_else(wrong)?;
    let read = |part: &str| part.trim().parse::<u32>().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(wrong);
    Ok(RateRule { per_second: f64::from(read(rate)?), burst: read(burst)? })
}

/// Reads `role:NAME=RATE/BURST` and `tenant:NAME=RATE/BURST`, separated by commas.
#[expect(clippy::type_complexity, reason = "read in one place, and the two maps are the two fields")]
pub(super) fn exceptions(text: &str) -> Result<(BTreeMap<&'static str, RateRule>, BTreeMap<String, RateRule>), String> {
    let (mut roles, mut tenants) = (BTreeMap::new(), BTreeMap::new());
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (whom, limit) = part.split_once('=').ok_or_else(|| format!("{part:?} lacks the = before its rule"))?;
        let limit = rule(limit)?;
        match whom.trim().split_once(':') {
            Some(("role", name)) => {
                let role = Role::from_str(name).map_err(|_| format!("{name:?} is no role"))?;
                roles.insert(<&'static str>::from(role), limit);
            }
            Some(("tenant", name)) if !name.is_empty() => drop(tenants.insert(name.to_owned(), limit)),
            _ => return Err(format!("{whom:?} is neither role:NAME nor tenant:NAME")),
        }
    }
    Ok((roles, tenants))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn rules_are_read_or_named() {
        assert_eq!(rule("50/500"), Ok(RateRule { per_second: 50.0, burst: 500 }));
        for wrong in ["50", "0/5", "5/0", "a/b", "1/2000000", "-1/5"] {
            assert!(rule(wrong).unwrap_err().contains("RATE/BURST"), "{wrong}");
        }
        let (roles, tenants) = exceptions("role:analyst=5/50, tenant:tnt-a=7/70").unwrap();
        assert_eq!(roles.get("analyst").map(|rule| rule.burst), Some(50));
        assert_eq!(tenants.get("tnt-a").map(|rule| rule.burst), Some(70));
        for wrong in ["analyst=5/50", "role:king=5/50", "tenant:=5/50", "role:analyst"] {
            assert!(exceptions(wrong).is_err(), "{wrong}");
        }
    }
}
