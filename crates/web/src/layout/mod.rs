//! The look of all pages: base template, style sheet, script, logo, and how they are served.
//!
//! A page is an askama template that extends `base.html` and has a field `layout: Layout`. A service's `askama.toml` says
//! `[general] dirs = ["templates", "../../crates/web/templates"]`.

mod files;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::ServiceConfig;
use askama::Template;
use domain::invalid::FieldError;
use domain::role::Role;

use crate::caller::Caller;
use crate::problem::Problem;
use crate::problem::codes::{CODES, Code};
use crate::server::Shared;
use crate::settings::Settings;

pub use files::{StaticFile, serve_files};

/// Public addresses of the three services, for links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// Campaign runtime, without a trailing slash.
    pub campaign_runtime: String,
    /// RLHF backend, without a trailing slash.
    pub rlhf_backend: String,
    /// Rater app, without a trailing slash.
    pub rater_app: String,
}

impl Addresses {
    /// From the settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            campaign_runtime: settings.campaign_runtime.public_url.clone(),
            rlhf_backend: settings.rlhf_backend.public_url.clone(),
            rater_app: settings.rater_app.public_url.clone(),
        }
    }
}

/// Whoever is signed in, for the corner of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentUser {
    /// Name or e-mail address.
    pub name: String,
    /// Role in words.
    pub role: String,
    /// Whether the navigation shows the expert queue.
    pub may_review: bool,
    /// Whether the navigation shows what administrators keep.
    pub may_administer: bool,
    /// Whether the navigation shows reward models.
    pub may_see_models: bool,
    /// Whether the navigation shows pages of data: those of a tenant, or of all.
    pub has_data: bool,
}

/// What the base template needs of every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Title of the page, before the product's name.
    pub title: String,
    /// Which entry of the navigation is marked: the path with its service, such as `rater-app/rate`.
    pub here: &'static str,
    /// Whoever is signed in.
    pub user: Option<CurrentUser>,
    /// Addresses of the services.
    pub addresses: Addresses,
}

impl Layout {
    /// For a page: title, marked navigation entry, and the caller if there is one.
    pub fn new(title: impl Into<String>, here: &'static str, caller: Option<&Caller>, settings: &Settings) -> Self {
        Self::with_addresses(title, here, caller, Addresses::new(settings))
    }

    fn with_addresses(title: impl Into<String>, here: &'static str, caller: Option<&Caller>, addresses: Addresses) -> Self {
        let user = caller.map(|caller| CurrentUser {
            name: caller.email.clone().unwrap_or_else(|| caller.account_id.clone()),
            role: caller.role.to_string().replace('_', " "),
            may_review: caller.role.may_review(),
            may_administer: matches!(caller.role, Role::PlatformAdmin | Role::TenantAdmin),
            may_see_models: caller.role.may_plan() || caller.role.may_review(),
            has_data: caller.role.may_plan() && (caller.tenant.is_some() || caller.role.sees_all_tenants()),
        });
        Self { title: title.into(), here, user, addresses }
    }

    /// Address of a shared static file with the hash of its content, for templates: `layout.file("endcap.css")`.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        files::SHARED.iter().find(|file| file.name == name).map_or_else(|| format!("/static/{name}"), StaticFile::url)
    }

    /// Whether the navigation shows reward models; to those who are not signed in it shows all there is.
    #[must_use]
    pub fn shows_models(&self) -> bool {
        self.user.as_ref().is_none_or(|user| user.may_see_models)
    }

    /// Whether the navigation shows pages of a tenant's data.
    #[must_use]
    pub fn shows_data(&self) -> bool {
        self.user.as_ref().is_none_or(|user| user.has_data)
    }

    /// `page` on the marked entry of the navigation, `false` elsewhere: values of `aria-current`.
    #[must_use]
    pub fn current(&self, entry: &str) -> &'static str {
        if self.here == entry { "page" } else { "false" }
    }
}

/// Renders a page.
///
/// # Errors
/// 500 when the template fails.
pub fn render(page: &impl Template) -> Result<HttpResponse, Problem> {
    let html = page.render().map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().content_type(ContentType::html()).body(html))
}

/// Registers the shared static files; the server does it for every service.
pub fn configure(routes: &mut ServiceConfig) {
    serve_files(routes, &files::SHARED);
}

/// The page behind the `type` of every problem.
#[derive(Template)]
#[template(path = "errors.html")]
pub(crate) struct ErrorsPage {
    layout: Layout,
    codes: &'static [Code],
}

impl ErrorsPage {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self { layout: Layout::with_addresses("Errors", "errors", None, shared.pages.clone()), codes: CODES }
    }
}

/// The page in the place of one that was refused or failed: what a program gets as a problem document.
#[derive(Template)]
#[template(path = "problem.html")]
pub(crate) struct ProblemPage {
    layout: Layout,
    detail: String,
    errors: Vec<FieldError>,
    /// Where a person may go on: the same page without what was asked of it, or the start.
    back: String,
    back_label: &'static str,
    request_id: String,
}

impl ProblemPage {
    pub(crate) fn new(shared: &Shared, caller: Option<&Caller>, problem: &Problem, path: &str, has_query: bool, request_id: &str) -> Self {
        let layout = Layout::with_addresses(problem.title(), "", caller, shared.pages.clone());
        let (back, back_label) = if has_query { (path, "Back to the page") } else { ("/", "To the start") };
        let errors = problem.errors().to_vec();
        Self { layout, detail: problem.detail().to_owned(), errors, back: back.to_owned(), back_label, request_id: request_id.to_owned() }
    }
}

/// The page in the place of one that is not there.
#[derive(Template)]
#[template(path = "missing.html")]
pub(crate) struct MissingPage {
    layout: Layout,
    detail: String,
}

impl MissingPage {
    pub(crate) fn new(shared: &Shared, caller: Option<&Caller>, detail: &str) -> Self {
        let layout = Layout::with_addresses("This page is not there", "", caller, shared.pages.clone());
        Self { layout, detail: detail.to_owned() }
    }
}
