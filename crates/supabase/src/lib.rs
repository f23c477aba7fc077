//! The hosted services of a Supabase project. Optional: nothing of Endcap needs a project, and each use has a local counterpart.
//!
//! So far this room knows how to read a project's settings and how to find out whether its services answer.

pub mod broadcast;
pub mod check;
pub mod key;
pub mod project;

#[cfg(test)]
mod test_server;
