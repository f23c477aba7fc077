//! Stand-in until the room is built.
