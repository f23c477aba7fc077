//! Keys of imports.

use super::super::key::DefaultValue::{Absent, Value};
use super::super::key::Kind::{Text, Whole};
use super::super::key::{Key, key};

pub(super) const DIRECTORY: Key = key(
    "ENDCAP_IMPORT_DIRECTORY",
    Text,
    Absent,
    "/var/lib/endcap/imports",
    "Folder in which files to import wait, on a disk with room for them; absent means the system's temporary folder.",
);

pub(super) const MAX_BYTES: Key = key(
    "ENDCAP_IMPORT_MAX_BYTES",
    Whole { min: 1_000, max: 1_000_000_000_000_000 },
    Value("17179869184"),
    "17179869184",
    "Largest file to import, in bytes as sent.",
);

pub(super) const MAX_UNPACKED_BYTES: Key = key(
    "ENDCAP_IMPORT_MAX_UNPACKED_BYTES",
    Whole { min: 1_000, max: 1_000_000_000_000_000 },
    Value("274877906944"),
    "274877906944",
    "Most bytes that a packed file to import may unpack to.",
);

pub(super) const WORKERS: Key = key(
    "ENDCAP_IMPORT_WORKERS",
    Whole { min: 1, max: 64 },
    Value("2"),
    "2",
    "Imports that run at once; one tenant runs at most half of them.",
);
