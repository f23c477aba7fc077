//! Scripts and style sheet of the rater app's pages, inside the binary.

use web::layout::StaticFile;

const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! script {
    ($name:literal) => {
        StaticFile::new($name, SCRIPT, include_bytes!(concat!("../../static/", $name)))
    };
}

/// All files, served under `/static/`.
pub static FILES: [StaticFile; 23] = [
    StaticFile::new("rater.css", "text/css; charset=utf-8", include_bytes!("../../static/rater.css")),
    StaticFile::new("ide.css", "text/css; charset=utf-8", include_bytes!("../../static/ide.css")),
    StaticFile::new("review.css", "text/css; charset=utf-8", include_bytes!("../../static/review.css")),
    script!("session.js"),
    script!("elements.js"),
    script!("feel.js"),
    script!("keys.js"),
    script!("progress.js"),
    script!("panes.js"),
    script!("difference.js"),
    script!("candidates.js"),
    script!("judgment.js"),
    script!("work.js"),
    script!("desk.js"),
    script!("rate.js"),
    script!("calibration.js"),
    script!("review-parts.js"),
    script!("review.js"),
    script!("live.js"),
    script!("home.js"),
    script!("login.js"),
    script!("names.js"),
    script!("new-password.js"),
];

/// Address of a file with the hash of its content, for templates.
#[must_use]
pub fn url(name: &str) -> String {
    FILES.iter().find(|file| file.name == name).map_or_else(|| format!("/static/{name}"), StaticFile::url)
}
