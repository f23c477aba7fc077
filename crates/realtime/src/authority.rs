//! Who somebody is and what they may hear. The rooms of this crate ask these questions; the answers
//! belong to the service, which knows keys, tokens and tenants. Refusals carry the words and codes
//! that Supabase clients already show to people.

use serde_json::Value;

/// Decides about identity and permission for every socket, room, row and message.
///
/// Every method is called on the path of a message, so an implementation answers from memory and
/// never blocks.
pub trait Authority: Send + Sync {
    /// Turns an API key or a JWT into an identity.
    ///
    /// # Errors
    /// A [`Refusal`] that names what is wrong with the token.
    fn authenticate(&self, token: &str) -> Result<Identity, Refusal>;

    /// Whether the identity may read from the room `topic` (without the `realtime:` prefix).
    ///
    /// # Errors
    /// Usually [`Refusal::NotPermitted`].
    fn may_join(&self, identity: &Identity, topic: &str, private: bool) -> Result<(), Refusal>;

    /// Whether the identity may see this row of `table`, which belongs to `tenant` (`None`: to
    /// nobody in particular). `record` is the new row, or the old one for a deletion.
    fn may_see(&self, identity: &Identity, table: &str, tenant: Option<&str>, record: &Value) -> bool;

    /// Whether the identity may broadcast and show presence in the room `topic`.
    fn may_send(&self, identity: &Identity, topic: &str, private: bool) -> bool;

    /// Whether changes of `table` are told at all. The default trusts the subscriber: of an unknown table nothing is ever told.
    fn has_table(&self, _schema: &str, _table: &str) -> bool {
        true
    }

    /// Whether `table` has a column that a subscriber may name in a filter. The default trusts the
    /// subscriber: a filter on an unknown column then simply never matches.
    fn has_column(&self, _schema: &str, _table: &str, _column: &str) -> bool {
        true
    }

    /// Whether a page of `origin` (scheme, host and port) may use the session cookie although it comes from another host or port than
    /// the one it talks to. The default trusts no other.
    fn trusts_page(&self, _origin: &str) -> bool {
        false
    }
}

/// Somebody who passed [`Authority::authenticate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account or key, as in the `sub` claim.
    pub subject: String,
    /// The role, for example `anon`, `rater` or `service`.
    pub role: String,
    /// The tenant, when the identity belongs to one.
    pub tenant: Option<String>,
    /// When the proof of identity ends, in seconds since the Unix epoch; `None` never ends.
    pub expires_at: Option<i64>,
    /// By what access was given, so that it can be taken away.
    pub grant: Grant,
}

/// By what access was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// The account or API key.
    pub account: String,
    /// The sign-in.
    pub session: Option<String>,
    /// When a token was issued, in seconds since the Unix epoch; a key has no such time.
    pub issued_at: Option<i64>,
}

/// Role of whoever shows a key that everybody may know and has not signed in.
pub const VISITOR: &str = "anon";

/// Why a socket, a join or a message was refused. `Display` is the text without its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither key, token nor session cookie was given.
    #[error("API key is missing")]
    KeyMissing,
    /// The text is neither a known key nor a JWT.
    #[error("The token provided is not a valid JWT")]
    Malformed,
    /// The signature is wrong.
    #[error("Failed to validate JWT signature")]
    Signature,
    /// The JWT lacks the claims that every token needs.
    #[error("Fields `role` and `exp` are required in JWT")]
    ClaimsMissing,
    /// The token's time is over.
    #[error("Token has expired {seconds_ago} seconds ago")]
    Expired {
        /// Seconds since the end of the token's life.
        seconds_ago: i64,
    },
    /// The session or key was ended.
    #[error("This session or key has ended; sign in again, or use another key")]
    Ended,
    /// The identity is known and may not read here.
    #[error("You do not have permissions to read from this Channel topic: {topic}")]
    NotPermitted {
        /// The room, without the `realtime:` prefix.
        topic: String,
    },
    /// A cookie was sent by a page of another site.
    #[error("The session cookie is only accepted from our own pages; send an API key instead")]
    CrossOrigin,
    /// The client asked for a protocol version that does not exist here.
    #[error("Unknown protocol version; use vsn=1.0.0 or vsn=2.0.0")]
    UnknownVersion,
    /// The process holds as many sockets as it may.
    #[error("Too many connected users")]
    TooManyConnections,
    /// The tenant holds as many sockets as it may.
    #[error("Too many connected users of this tenant")]
    TooManyOfTenant,
    /// The account or API key, which belongs to no tenant, holds as many sockets as it may.
    #[error("Too many connections of this account")]
    TooManyOfAccount,
    /// The tenant's sockets together join faster than they may.
    #[error("Too many joins per second of this tenant")]
    TooManyJoinsOfTenant,
    /// The tenant's sockets together send faster than they may.
    #[error("Too many messages per second of this tenant; this one was not sent")]
    TooManyMessagesOfTenant,
    /// The socket holds as many channels as it may.
    #[error("Too many channels")]
    TooManyChannels,
    /// The socket joins faster than it may.
    #[error("Too many joins per second")]
    TooManyJoins,
    /// The topic is `realtime:` and nothing else.
    #[error("You must provide a topic name")]
    TopicRequired,
    /// The topic does not fit the one-byte length of binary frames.
    #[error("The topic name may have at most {most} bytes")]
    TopicTooLong {
        /// The longest name, in bytes.
        most: usize,
    },
    /// A replay was asked for in a public room.
    #[error("Replay is not allowed for public channels")]
    ReplayPublic,
    /// The replay parameters make no sense.
    #[error("Replay params are not valid")]
    ReplayInvalid,
    /// The process is about to stop.
    #[error("Realtime is restarting, please standby")]
    Restarting,
}

impl Refusal {
    /// The reason in a refused join: `<Code>: <text>`, where the code is the one that the Supabase
    /// clients and documents know.
    #[must_use]
    pub fn reason(&self) -> String {
        let code = match self {
            Self::KeyMissing | Self::Malformed => "MalformedJWT",
            Self::Signature => "JwtSignatureError",
            Self::ClaimsMissing | Self::Expired { .. } | Self::Ended => "InvalidJWTToken",
            Self::NotPermitted { .. } | Self::CrossOrigin | Self::UnknownVersion => "Unauthorized",
            Self::TooManyConnections | Self::TooManyOfTenant | Self::TooManyOfAccount => "ConnectionRateLimitReached",
            Self::TooManyChannels => "ChannelRateLimitReached",
            Self::TooManyJoins | Self::TooManyJoinsOfTenant => "ClientJoinRateLimitReached",
            Self::TooManyMessagesOfTenant => "MessageRateLimitReached",
            Self::TopicRequired | Self::TopicTooLong { .. } => "TopicNameRequired",
            Self::ReplayPublic | Self::ReplayInvalid => "UnableToReplayMessages",
            Self::Restarting => "RealtimeRestarting",
        };
        format!("{code}: {self}")
    }

    /// The HTTP status of a refused upgrade.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::KeyMissing | Self::Malformed | Self::Signature | Self::ClaimsMissing | Self::Expired { .. } | Self::Ended => 401,
            Self::NotPermitted { .. } | Self::CrossOrigin | Self::UnknownVersion => 403,
            Self::TooManyConnections
            | Self::TooManyOfTenant
            | Self::TooManyOfAccount
            | Self::TooManyChannels
            | Self::TooManyJoins
            | Self::TooManyJoinsOfTenant
            | Self::TooManyMessagesOfTenant => 429,
            Self::TopicRequired | Self::TopicTooLong { .. } | Self::ReplayPublic | Self::ReplayInvalid => 400,
            Self::Restarting => 503,
        }
    }

    /// The text of a refused upgrade; the protocol says of an expired token only that it is.
    #[must_use]
    pub fn upgrade_text(&self) -> String {
        match self {
            Self::Expired { .. } => "Token has expired".to_owned(),
            other => other.to_string(),
        }
    }
}

impl Identity {
    /// Fails when the identity's time is over at `now` (seconds since the Unix epoch).
    ///
    /// # Errors
    /// [`Refusal::Expired`].
    pub fn check_life(&self, now: i64) -> Result<(), Refusal> {
        match self.expires_at {
            Some(end) if end <= now => Err(Refusal::Expired { seconds_ago: now.saturating_sub(end) }),
            _ => Ok(()),
        }
    }
}
