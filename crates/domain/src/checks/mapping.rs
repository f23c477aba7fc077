use super::{Context, Report};
use serde_json::Value;
pub(super) fn check(_: &Context<'_>, _: &Value, _: &mut Report) {}
