//! The hosted services of a Supabase project. Optional: nothing of Endcap needs a project, and each use has a local counterpart.
//!
//! This room knows how to read a project's settings, how to find out whether its services answer, how to sign people in with its Auth, how to call
//! its Edge Functions, how to read and write its rows, and how to keep objects in its Storage or in one of the two counterparts: a folder, or an
//! S3-compatible store.

pub mod auth;
pub mod broadcast;
pub mod check;
pub mod functions;
pub mod key;
pub mod objects;
pub mod project;
#[cfg(feature = "postgrest")]
pub mod rest;
