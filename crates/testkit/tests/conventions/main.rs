//! The rules of the house that no compiler knows: who may import whom, how files look, and that the documents tell the truth about what exists.
//! `docs/architecture.md` has the reasons.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod documents;
mod files;
mod imports;
mod supply;
mod workspace;
