//! Who somebody is to the system.

use serde::{Deserialize, Serialize};

/// What a caller may do, from most to least.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::AsRefStr,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Runs the platform: sees every tenant.
    PlatformAdmin,
    /// Runs one tenant: keys, members, everything an analyst may.
    TenantAdmin,
    /// Plans and reads campaigns of one tenant, gives feedback.
    Analyst,
    /// Reviews escalations, adjudicates, writes golden items.
    Expert,
    /// Judges tasks.
    Rater,
    /// Another program: one of our services, or an application with an API key.
    Service,
}

impl Role {
    /// Sees the rows of every tenant.
    #[must_use]
    pub fn sees_all_tenants(self) -> bool {
        matches!(self, Self::PlatformAdmin | Self::Service)
    }

    /// May judge tasks (experts and administrators judge too).
    #[must_use]
    pub fn may_judge(self) -> bool {
        matches!(self, Self::Rater | Self::Expert | Self::PlatformAdmin)
    }

    /// May adjudicate and write golden items.
    #[must_use]
    pub fn may_review(self) -> bool {
        matches!(self, Self::Expert | Self::PlatformAdmin)
    }

    /// May change campaigns and give feedback in the name of a tenant.
    #[must_use]
    pub fn may_plan(self) -> bool {
        matches!(self, Self::Analyst | Self::TenantAdmin | Self::PlatformAdmin | Self::Service)
    }
}
