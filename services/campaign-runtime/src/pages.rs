//! Pages for people: the list of campaigns, a campaign, its plans side by side, imports, and the form in which campaigns are written.
//!
//! Rendered on the server from one storage read each; scripts send forms to the API and show its errors.

pub mod campaign;
pub mod comparison;
pub mod figures;
pub mod form;
pub mod imports;
pub mod list;
pub mod opinions;
pub mod plans;
pub mod refusal;
pub mod words;

use web::layout::StaticFile;

/// Static files of this service.
pub static FILES: [StaticFile; 5] = [
    StaticFile::new("campaigns.css", "text/css; charset=utf-8", include_bytes!("../static/campaigns.css")),
    StaticFile::new("campaigns.js", "text/javascript; charset=utf-8", include_bytes!("../static/campaigns.js")),
    StaticFile::new("campaign-form.js", "text/javascript; charset=utf-8", include_bytes!("../static/campaign-form.js")),
    StaticFile::new("plans.js", "text/javascript; charset=utf-8", include_bytes!("../static/plans.js")),
    StaticFile::new("imports.js", "text/javascript; charset=utf-8", include_bytes!("../static/imports.js")),
];

/// Address of one of them, for templates.
pub(crate) fn file(name: &str) -> String {
    FILES.iter().find(|file| file.name == name).map_or_else(|| format!("/static/{name}"), StaticFile::url)
}

/// A word to choose, for a select field.
pub(crate) struct Pick {
    pub value: String,
    pub title: String,
    pub is_chosen: bool,
}

/// The choices of a select field out of `(value, title)`.
pub(crate) fn picks(all: impl IntoIterator<Item = (String, String)>, chosen: Option<&str>) -> Vec<Pick> {
    all.into_iter().map(|(value, title)| Pick { is_chosen: chosen == Some(value.as_str()), value, title }).collect()
}
