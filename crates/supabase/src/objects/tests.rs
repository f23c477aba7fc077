//! The three stores behave alike, and keep their promises when something breaks.
