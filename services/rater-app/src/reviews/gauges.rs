//! How many tasks wait for experts, and how many longer than they should: figures for whoever is on call.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::state::State;

/// The queue is counted this often.
const MEASURE_EVERY: Duration = Duration::from_secs(30);

/// Sets the gauges `reviews_waiting` and `reviews_overdue` until `shutdown`.
pub async fn measure_always(state: State, shutdown: CancellationToken) {
    metrics::describe_gauge!("reviews_waiting", "Tasks that wait for an expert.");
    metrics::describe_gauge!("reviews_overdue", "Tasks that wait for an expert past their due time.");
    loop {
        let now = state.clock.now();
        match state.storage.read(move |conn| storage::reviews::count_waiting(conn, now)).await {
            Ok((waiting, overdue)) => {
                metrics::gauge!("reviews_waiting").set(waiting as f64);
                metrics::gauge!("reviews_overdue").set(overdue as f64);
            }
            Err(error) => tracing::debug!(%error, "the experts' queue could not be counted; it is tried again"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(MEASURE_EVERY) => {}
        }
    }
}
