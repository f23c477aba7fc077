//! `/`: the brands on whose outputs people give feedback.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use storage::feedback::brands::{self, BrandWithFeedback};
use web::caller::{PageCaller, PageRefusal};
use web::layout::{Layout, render};
use web::paging::{ListQuery, Page, Slice};

use super::require_reader;
use crate::state::State;

/// What is searched for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrandSearch {
    search: Option<String>,
}

#[derive(Template)]
#[template(path = "brands.html")]
struct BrandsPage {
    layout: Layout,
    search: String,
    brands: Slice<BrandWithFeedback>,
    is_first: bool,
    styles: String,
}

/// Shows brands, 24 at a time.
pub async fn show_brands(state: Data<State>, caller: PageCaller, query: ListQuery<BrandSearch>) -> Result<HttpResponse, PageRefusal> {
    let caller = caller.0;
    require_reader(&caller)?;
    let scope = caller.scope();
    let search = query.filter.search.unwrap_or_default();
    let page = Page { limit: 24, ..query.page };
    let is_first = page.cursor.is_none();
    let place = storage::page::Page::try_from(&page)?;
    let wanted = search.clone();
    let slice = state
        .storage
        .scoped(&scope)
        .read(move |conn| brands::list(conn, &scope, Some(&wanted), &place))
        .await
        .map_err(web::problem::Problem::from)?;
    let layout = Layout::new("Feedback", "rlhf-backend/", Some(&caller), &state.settings);
    Ok(render(&BrandsPage { layout, search, brands: slice.into(), is_first, styles: super::file("rlhf.css") })?)
}

fn date(at: &storage::types::Timestamp) -> String {
    at.format("%e %b %Y").to_string()
}
