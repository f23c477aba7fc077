//! Keys of what a hosted Supabase project takes over, beside where it is.

use super::super::key::DefaultValue::{Absent, Value};
use super::super::key::Kind::{OneOf, Text};
use super::super::key::{Key, key};

pub(super) const SIGN_IN: Key = key(
    "ENDCAP_SIGN_IN",
    OneOf(&["local", "supabase"]),
    Value("local"),
    "supabase",
    "Who signs people in: accounts of this database, or Auth of the Supabase project. Accounts that are not linked with a user of the project sign in here either way.",
);

pub(super) const PUBLISH: Key = key(
    "ENDCAP_SUPABASE_PUBLISH",
    Text,
    Absent,
    "tasks,rater:*",
    "Realtime topics whose events are carried to the Supabase project's private channels of the same names, separated by commas; a star at the end stands for all that begin so.",
);

pub(super) const LISTEN: Key = key(
    "ENDCAP_SUPABASE_LISTEN",
    Text,
    Absent,
    "announcements,ops>operations",
    "Private channels of the Supabase project that are heard here, separated by commas, each with `>room` when the local room has another name.",
);

pub(super) const CHECKS_FUNCTION: Key = key(
    "ENDCAP_CHECKS_FUNCTION",
    Text,
    Absent,
    "auto-checks",
    "Edge Function of the Supabase project that checks candidates of new rating tasks. Without it, and when it does not answer within 300 ms, they are checked in process.",
);
