//! When feedback on a brand's outputs becomes a rating task; a brand without a rule asks about nothing.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use domain::scope::Scope;
use serde::Serialize;

use super::brands::BrandWithFeedback;
use crate::audit::{self, NewEntry};
use crate::connection::Connection;
use crate::error::{Meaning, StorageError};
use crate::schema::feedback_rules as t;
use crate::types::Timestamp;
use crate::{lock, on};

/// A stored rule.
#[derive(Debug, Clone, PartialEq, Queryable, Selectable, Serialize)]
#[diesel(table_name = t)]
pub struct FeedbackRule {
    /// Primary key.
    #[serde(skip)]
    pub id: i64,
    /// Of this brand.
    pub brand_id: String,
    /// Whose it is.
    pub tenant_id: String,
    /// Whether raters are asked at all.
    pub is_on: bool,
    /// Ratings up to this one are asked about; `None` for no ratings.
    pub max_rating: Option<i32>,
    /// Whether a thumb down is asked about.
    pub thumbs_down: bool,
    /// Whether corrections are put to raters.
    pub corrections: bool,
    /// Whether preferences are put to raters.
    pub preferences: bool,
    /// Tasks a day at most.
    pub daily_limit: i32,
    /// Who set it last.
    pub updated_by: String,
    /// Last change.
    pub updated_at: Timestamp,
}

/// A rule to set; the fields are those of [`FeedbackRule`].
#[derive(Debug, Clone, PartialEq, Eq, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
#[allow(missing_docs, reason = "the fields are those of the row")]
pub struct NewFeedbackRule {
    pub is_on: bool,
    pub max_rating: Option<i32>,
    pub thumbs_down: bool,
    pub corrections: bool,
    pub preferences: bool,
    pub daily_limit: i32,
}

impl FeedbackRule {
    /// Whether feedback of this kind and rating is put to raters.
    #[must_use]
    pub fn meets(&self, feedback_type: &str, rating: Option<i32>) -> bool {
        self.is_on
            && match feedback_type {
                "thumbs_down" => self.thumbs_down,
                "rating" => rating.zip(self.max_rating).is_some_and(|(rating, most)| rating <= most),
                "correction" => self.corrections,
                "preference" => self.preferences,
                _ => false,
            }
    }
}

/// The rule of a brand that the scope may see.
///
/// # Errors
/// As any query.
pub fn find(conn: &mut Connection, scope: &Scope, brand_id: &str) -> Result<Option<FeedbackRule>, StorageError> {
    let found: Option<FeedbackRule> =
        on!(conn, c => t::table.filter(t::brand_id.eq(brand_id)).select(FeedbackRule::as_select()).first(c).optional())?;
    Ok(found.filter(|rule| scope.may_see(Some(&rule.tenant_id))))
}

/// The rule of a brand, held until the transaction ends: whoever counts against its limit counts alone.
///
/// # Errors
/// As any query.
pub(super) fn hold(conn: &mut Connection, brand_id: &str) -> Result<Option<FeedbackRule>, StorageError> {
    Ok(lock!(conn, t::table.filter(t::brand_id.eq(brand_id)).select(FeedbackRule::as_select()) => FeedbackRule)?.pop())
}

/// Rules that are on, of these brands.
///
/// # Errors
/// As any query.
pub(super) fn of_brands(conn: &mut Connection, brand_ids: &[&str]) -> Result<Vec<FeedbackRule>, StorageError> {
    Ok(on!(conn, c => t::table.filter(t::brand_id.eq_any(brand_ids).and(t::is_on.eq(true))).select(FeedbackRule::as_select()).load(c))?)
}

/// Sets the rule of a brand, in place of an earlier one. Call it in a transaction.
///
/// # Errors
/// [`StorageError::Conflict`] when somebody else set the first rule at the same moment.
pub fn set(
    conn: &mut Connection,
    scope: &Scope,
    brand: &BrandWithFeedback,
    new: &NewFeedbackRule,
    now: DateTime<Utc>,
) -> Result<FeedbackRule, StorageError> {
    let by = (t::updated_by.eq(scope.actor()), t::updated_at.eq(Timestamp(now)));
    let changed = on!(conn, c => diesel::update(t::table.filter(t::brand_id.eq(&brand.brand_id))).set((new, by)).execute(c))?;
    if changed == 0 {
        let key = (t::brand_id.eq(&brand.brand_id), t::tenant_id.eq(&brand.tenant_id), t::created_at.eq(Timestamp(now)));
        on!(conn, c => diesel::insert_into(t::table).values((key, new, by)).execute(c))
            .on_unique("conflict", || "somebody else set this rule at the same moment; look at it and set it again".to_owned())?;
    }
    let rule = find(conn, scope, &brand.brand_id)?.ok_or_else(|| StorageError::not_found("feedback rule", brand.brand_id.clone()))?;
    let entry = NewEntry {
        tenant_id: Some(rule.tenant_id.clone()),
        action: "feedback_rule.set",
        subject: format!("brand:{}", rule.brand_id),
        detail: serde_json::json!(rule),
    };
    audit::append(conn, scope, &entry, now)?;
    Ok(rule)
}
