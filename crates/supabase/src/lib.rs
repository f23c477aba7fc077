//! The hosted services of a Supabase project. Optional: nothing of Endcap needs a project, and each use has a local counterpart.
//!
//! This room knows how to read a project's settings, how to find out whether its services answer, and how to keep objects in its Storage or
//! in one of the two counterparts: a folder, or an S3-compatible store.

pub mod broadcast;
pub mod check;
pub mod key;
pub mod objects;
pub mod project;

#[cfg(test)]
mod test_server;
