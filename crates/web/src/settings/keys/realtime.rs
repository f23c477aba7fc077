//! Keys of realtime.

use super::super::key::DefaultValue::{Absent, Value};
use super::super::key::Kind::{Text, Whole};
use super::super::key::{Key, key};

pub(super) const POLL: Key = key(
    "ENDCAP_REALTIME_POLL_MS",
    Whole { min: 10, max: 60_000 },
    Value("200"),
    "200",
    "How often the database is asked for new events, in milliseconds; a fifth as often while a PostgreSQL database announces them.",
);

pub(super) const ROOMS: Key = key(
    "ENDCAP_REALTIME_ROOMS",
    Text,
    Absent,
    "desk:*,notes:{tenant}:*",
    "Rooms in which people and programs may talk and show presence themselves, separated by commas; a star at the end stands for all that begin so (behind {tenant}: for one name without a colon), and {tenant} for the tenant \
     of whoever joins. A room without {tenant} is for those without a tenant.",
);

pub(super) const VISITOR_ROOMS: Key = key(
    "ENDCAP_REALTIME_VISITOR_ROOMS",
    Text,
    Absent,
    "lobby,help:*",
    "Rooms in which visitors may talk as well: whoever has ENDCAP_PUBLISHABLE_KEY and has not signed in. Separated by commas; a star at the end stands for all that begin so.",
);
