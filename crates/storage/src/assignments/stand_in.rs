//! What a golden item among the work stands for: the task that its rater would have been given instead. The rater is shown that task's place
//! in the queue, and when it was decided, so that neither tells the golden item from work.

use diesel::prelude::*;

use super::leasing::{candidates, golden_candidates};
use super::{LeaseRequest, Purpose};
use crate::connection::Connection;
use crate::error::StorageError;
use crate::on;
use crate::queue::Waiting;
use crate::schema::task_assignments as t;

/// The task of the queue with the highest `score` for a rater, which a golden item would be given instead of. Look for it before the lease:
/// who holds one is shown nothing of the queue. `None` when no task waits.
///
/// # Errors
/// As any query.
pub fn stand_in(conn: &mut Connection, request: &LeaseRequest, score: &dyn Fn(&Waiting) -> f64) -> Result<Option<String>, StorageError> {
    let work = LeaseRequest { purpose: Purpose::Work, ..request.clone() };
    Ok(candidates(conn, &work, score)?.into_iter().next().map(|best| best.task_id))
}

/// Notes what a golden assignment is given instead of. What was noted when it was given before stays.
///
/// # Errors
/// As any query.
pub fn note_stand_in(conn: &mut Connection, assignment_id: &str, task_id: &str) -> Result<(), StorageError> {
    let open = t::table.filter(t::assignment_id.eq(assignment_id).and(t::stands_for.is_null()));
    on!(conn, c => diesel::update(open).set(t::stands_for.eq(Some(task_id))).execute(c))?;
    Ok(())
}

/// The task that a golden assignment is given instead of, where one was noted.
///
/// # Errors
/// As any query.
pub fn stands_for(conn: &mut Connection, assignment_id: &str) -> Result<Option<String>, StorageError> {
    let found: Option<Option<String>> =
        on!(conn, c => t::table.filter(t::assignment_id.eq(assignment_id)).select(t::stands_for).first(c).optional())?;
    Ok(found.flatten())
}

/// Whether a golden item of these types is left that the rater has not answered or passed over.
///
/// # Errors
/// As any query.
pub fn has_golden_left(conn: &mut Connection, request: &LeaseRequest) -> Result<bool, StorageError> {
    Ok(!golden_candidates(conn, request)?.is_empty())
}
