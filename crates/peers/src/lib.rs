//! How our services talk to each other: wire types shared by both ends, and one typed client per peer.
//!
//! Each peer answers on its private listener only. A service holds one client per peer it calls; every method's
//! documentation states what the caller does when the peer does not answer.

pub mod judgments;
pub mod score;
pub mod tasks;
