//! Client of the RLHF backend: scores of the active reward model, and delivery of decided tasks.

use domain::invalid::Invalid;

use crate::context::RequestContext;
use crate::error::PeerError;
use crate::exchange::{Exchange, Operation};
use crate::feedback::{self, FeedbackTaken, GivenFeedback};
use crate::judgments::{self, JudgmentsAccepted, JudgmentsReady};
use crate::score::{self, ScoreRequest, ScoreResponse};
use crate::settings::PeerSettings;

const SCORE: Operation = Operation { name: "score", path: score::PATH };
const GIVE_FEEDBACK: Operation = Operation { name: "take feedback", path: feedback::PATH };
const JUDGMENTS_READY: Operation = Operation { name: "take judgments", path: judgments::PATH };

/// The RLHF backend as seen by another service. Clones share connections and circuit.
#[derive(Debug, Clone)]
pub struct RlhfBackend(Exchange);

impl RlhfBackend {
    /// A client; nothing is sent until a method is called.
    ///
    /// # Errors
    /// [`Invalid`] naming each setting that is wrong.
    pub fn new(settings: PeerSettings) -> Result<Self, Invalid> {
        Ok(Self(Exchange::new(crate::RLHF_BACKEND, settings)?))
    }

    /// Asks for scores of candidates. Repeating is safe: nothing is stored.
    ///
    /// Fallback of the caller: rank by its own rule and say so, as with [`ScoreResponse::without_model`].
    ///
    /// # Errors
    /// [`PeerError`] after at most two retries.
    pub async fn score(&self, context: &RequestContext, request: &ScoreRequest) -> Result<ScoreResponse, PeerError> {
        self.0.post(SCORE, context, request.tenant_id.as_deref(), request).await
    }

    /// Tells that a task was decided. Repeating is safe: the receiver acts once per `event_id`.
    ///
    /// Fallback of the caller: leave the event in the outbox and deliver it later; see [`PeerError::may_succeed_later`].
    ///
    /// # Errors
    /// [`PeerError`] after at most two retries.
    pub async fn judgments_ready(&self, context: &RequestContext, event: &JudgmentsReady) -> Result<JudgmentsAccepted, PeerError> {
        self.0.post(JUDGMENTS_READY, context, event.tenant_id.as_deref(), event).await
    }

    /// Passes on feedback that was given on a page of the caller. Repeating is safe: the receiver stores once per `event_id`.
    ///
    /// Fallback of the caller: leave the event in the outbox and deliver it later; see [`PeerError::may_succeed_later`].
    ///
    /// # Errors
    /// [`PeerError`] after at most two retries; `Refused` with 422 for feedback that is wrong in itself.
    pub async fn give_feedback(&self, context: &RequestContext, given: &GivenFeedback) -> Result<FeedbackTaken, PeerError> {
        self.0.post(GIVE_FEEDBACK, context, Some(&given.tenant_id), given).await
    }

    /// Whether calls are refused at once because the backend failed too often just now.
    #[must_use]
    pub fn is_circuit_open(&self) -> bool {
        self.0.is_circuit_open()
    }
}
