//! The audit log as callers see it: a tenant's people their own decisions, the platform's all.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::role::Role;
use serde::Deserialize;
use serde_json::{Value, json};
use storage::audit::{self as stored, AuditEntry, AuditFilter};
use storage::page::Page;
use web::caller::Caller;
use web::paging::{ListQuery, Slice};
use web::problem::Problem;
use web::tabular::{Format, Kind};

use crate::period;
use crate::state::State;
use crate::tables;

/// Filters of the list.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Of this action, such as `reward_model.activated`.
    pub action: Option<String>,
    /// About this, as `kind:id`.
    pub subject: Option<String>,
    /// By this account, key or `system:reason`.
    pub actor: Option<String>,
    /// From this instant or day.
    pub from: Option<String>,
    /// Before this instant, or to the end of this day.
    pub to: Option<String>,
    /// As a file with all rows: `csv`, `ndjson` or `parquet`; JSON in pages when absent.
    #[param(value_type = Option<String>)]
    pub format: Option<Format>,
}

/// Decisions, newest first. Each row holds the hash of itself and of the row before it; `endcap doctor` checks that none was changed.
#[utoipa::path(get, path = "/v1/audit-log", tag = "audit", params(AuditQuery, web::paging::Page), responses((status = 200, description = "`{data, next_cursor}`, or a file", content((web::paging::Slice<crate::rows::AuditRow> = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"), (String = "application/vnd.apache.parquet")))))]
pub async fn list_audit_log(state: Data<State>, caller: Caller, query: ListQuery<AuditQuery>) -> Result<HttpResponse, Problem> {
    caller.require(|role| role.sees_all_tenants() || role == Role::TenantAdmin)?;
    let AuditQuery { action, subject, actor, from, to, format } = query.filter;
    let period = period::read(from.as_deref(), to.as_deref())?;
    let filter = AuditFilter { action, subject, actor, from: period.from, to: period.to };
    let scope = caller.scope();
    let storage = state.storage.scoped(&scope);
    let Some(format) = format else {
        let page = Page::try_from(&query.page)?;
        let slice = storage.read(move |conn| stored::list(conn, &scope, &filter, &page)).await?;
        return Ok(HttpResponse::Ok().json(Slice::from(slice.map(|row| shown(&row)))));
    };
    let names = ["number", "created_at", "actor", "action", "subject", "detail", "tenant_id", "previous_hash", "hash"];
    let columns = tables::columns(&names.map(|name| (name, if name == "number" { Kind::Whole } else { Kind::Text })));
    let cells = columns.clone();
    tables::answer("audit-log", format, columns, move |after| {
        let (storage, scope, filter, cells) = (storage.clone(), scope.clone(), filter.clone(), cells.clone());
        async move {
            let page = Page { after, limit: tables::ROWS_AT_ONCE };
            let slice = storage.read(move |conn| stored::list(conn, &scope, &filter, &page)).await?;
            Ok((slice.rows.iter().map(|row| tables::cells(&cells, &json!(row))).collect(), slice.next))
        }
    })
    .await
}

/// A row with its particulars as a document.
fn shown(row: &AuditEntry) -> Value {
    let mut shown = json!(row);
    shown["detail"] = serde_json::from_str(&row.detail).unwrap_or_else(|_| json!(row.detail));
    shown
}
