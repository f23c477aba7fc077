//! Who hears about it: a service publishes into the [`hub::Hub`], and everybody who has joined over
//! the WebSocket endpoint and may know of it is told. The endpoint speaks the protocol of Supabase
//! Realtime, serialisations 1.0.0 and 2.0.0, so the stock clients work against it unchanged.
//!
//! ```text
//! service -> hub::Hub::publish -> room members -> bounded queue -> worker -> writer -> client
//!                                                    protocol <-> socket <- reader <- client
//! ```
//!
//! - [`authority`]: the questions that the service answers: who is this, what may they hear.
//! - [`outgoing`]: what a service may publish.
//! - [`limits`]: how much of everything there may be.
//! - [`http`]: the routes.
//! - [`upgrade`]: how a connection leaves the HTTP server.
//! - [`bridge`]: hearing what is said in the channels of a Supabase project.
//! - [`relay`]: what clients of several processes say and show to each other.
//!
//! # What a client does after a gap
//!
//! Delivery is best effort; truth is in the database. Sequenced messages carry their place in the
//! outbox, as `meta.sequence` of a broadcast and `data.sequence` of a change, and a client that
//! fell behind is told its last one in a `system` message (`missed`, `sequence`). It may then
//! rejoin and ask for the rest:
//!
//! - broadcasts: `config.broadcast.replay = {"after": 41}`, or in private rooms `{"since": <ms>,
//!   "limit": 25}` as Supabase has it; they come right after the join with `meta.replayed`;
//! - changes: `config.postgres_changes_options = {"after": 41}`; they come after the `system`
//!   message that says the subscription is live.
//!
//! The memory holds the last 1,024 messages of a room and the last 1,024 changes; a service fills it
//! at its start with what it finds in the outbox. When it does not reach back far enough a `system` message with
//! `replay_incomplete` says so, and the data has to be read again.

pub mod authority;
mod binding;
pub mod bridge;
mod broadcast;
mod change;
mod credentials;
mod end;
mod filter;
mod frame;
#[cfg(test)]
mod fuzz;
mod history;
pub mod http;
pub mod hub;
pub mod limits;
pub mod outgoing;
mod protocol;
mod reader;
pub mod relay;
mod room;
mod socket;
mod subscriber;
#[cfg(test)]
mod testing;
pub mod upgrade;
mod worker;
mod writer;
