//! What was seen, sent as JSON or CSV: checked against the design, written by natural key, so that sending it again changes nothing.

use std::collections::HashSet;

use actix_web::http::StatusCode;
use actix_web::web::{BytesMut, Data, Path, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use chrono::NaiveDate;
use domain::invalid::Invalid;
use domain::role::Role;
use futures_util::StreamExt;
use planning::experiments::assignment;
use serde::{Deserialize, Serialize};
use serde_json::json;
use storage::error::StorageError;
use storage::experiments::observations::{self as rows, Observation, WHOLE_DAY};
use storage::experiments::{self as stored, Experiment};
use web::caller::Caller;
use web::database::repeat::{self, Answer, RepeatKey};
use web::problem::Problem;

use super::definition::{Definition, Design, GeoDesign, MetricKind, arms};
use super::transitions::ExperimentStatus;
use super::{definition_of, results};
use crate::state::State;

/// Most rows of one request.
pub const MAX_ROWS: usize = 20_000;
/// Largest body, in bytes.
pub const MAX_BODY_BYTES: usize = 8 << 20;
/// Errors that are listed.
const MAX_ERRORS: usize = 100;

/// One row: a unit or market on a day, or the sums of an arm on a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservationBody {
    /// The unit or market; absent in sums of an arm.
    #[serde(default)]
    pub unit: Option<String>,
    /// The arm of the sums; for a unit it is computed, and refused when another one is stated.
    #[serde(default)]
    pub arm: Option<String>,
    /// The day.
    pub date: NaiveDate,
    /// The hour in UTC, 0 to 23: for switchback tests whose blocks are not whole days.
    #[serde(default)]
    pub hour: Option<i32>,
    /// Units that the sums are over, each in one row only; 1 when absent beside a unit.
    #[serde(default)]
    pub n: Option<i64>,
    /// Sum of the metric; of a proportion, the units that did it.
    pub value_sum: f64,
    /// Sum of its squares: needed for sums of an arm, save for a proportion.
    #[serde(default)]
    pub value_sum_squares: Option<f64>,
    /// Sum of what was measured of the same units before the experiment.
    #[serde(default)]
    pub covariate_sum: Option<f64>,
    /// Sum of its squares.
    #[serde(default)]
    pub covariate_sum_squares: Option<f64>,
    /// Sum of products of metric and covariate.
    #[serde(default)]
    pub cross_sum: Option<f64>,
    /// Spend, a decimal in the metric's currency.
    #[serde(default)]
    pub spend: Option<String>,
}

/// Rows to write.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ObservationsBody {
    /// 1 to 20,000 rows.
    pub rows: Vec<ObservationBody>,
}

async fn receive(mut body: Payload) -> Result<BytesMut, Problem> {
    let mut received = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Problem::bad_request("malformed_request", format!("The body broke off: {error}.")))?;
        if received.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Problem::too_large(MAX_BODY_BYTES));
        }
        received.extend_from_slice(&chunk);
    }
    Ok(received)
}

fn parse(content_type: &str, bytes: &[u8]) -> Result<Vec<ObservationBody>, Problem> {
    match content_type {
        "application/json" => Ok(web::json::parse_json::<ObservationsBody>(bytes)?.rows),
        "text/csv" => {
            let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
            let mut parsed = Vec::new();
            for row in reader.deserialize() {
                if parsed.len() == MAX_ROWS {
                    return Err(Problem::invalid_field("rows", format!("must hold 1 to {MAX_ROWS} rows; send several requests")));
                }
                parsed.push(row.map_err(|error| {
                    let line = error.position().map_or(0, csv::Position::line);
                    Problem::bad_request("malformed_rows", format!("Line {line} cannot be read: {error}."))
                })?);
            }
            Ok(parsed)
        }
        _ => Err(Problem::unsupported_media_type("application/json or text/csv")),
    }
}

/// Checks rows against the design and makes them what is stored.
fn check(row: &Experiment, definition: &Definition, bodies: &[ObservationBody]) -> Result<Vec<Observation>, Invalid> {
    if bodies.is_empty() || bodies.len() > MAX_ROWS {
        return Err(Invalid::one("rows", format!("must hold 1 to {MAX_ROWS} rows, not {}; send several requests", bodies.len())));
    }
    let mut invalid = Invalid::default();
    let mut found = Vec::with_capacity(bodies.len());
    let mut keys = HashSet::new();
    for (at, body) in bodies.iter().enumerate() {
        let mut own = Invalid::default();
        let made = observation(row, definition, body, &mut own);
        if own.fields.is_empty() && !keys.insert((made.unit.clone(), made.arm.clone(), made.date, made.hour)) {
            own.add("date", "there is another row for the same unit, arm and time in this request");
        }
        for error in own.fields {
            invalid.add(format!("rows[{at}].{}", error.field), error.message);
        }
        if invalid.fields.len() >= MAX_ERRORS {
            break;
        }
        found.push(made);
    }
    invalid.into_result()?;
    Ok(found)
}

fn observation(row: &Experiment, definition: &Definition, body: &ObservationBody, invalid: &mut Invalid) -> Observation {
    let unit = body.unit.clone().unwrap_or_default();
    let mut arm = body.arm.clone().unwrap_or_default();
    let numbers = [
        ("value_sum", Some(body.value_sum)),
        ("value_sum_squares", body.value_sum_squares),
        ("covariate_sum", body.covariate_sum),
        ("covariate_sum_squares", body.covariate_sum_squares),
        ("cross_sum", body.cross_sum),
    ];
    for (field, number) in numbers {
        if number.is_some_and(|number| !number.is_finite() || number.abs() > 1e30) {
            invalid.add(field, "must be a number of at most 1e30");
        }
    }
    if unit.chars().count() > 100 {
        invalid.add("unit", "must be at most 100 characters");
    }
    // JSON was looked through when it was read; CSV was not.
    if unit.contains('\0') {
        invalid.add("unit", "must not hold the character NUL");
    }
    invalid.merge(domain::day::check("date", body.date));
    let n = body.n.unwrap_or(if unit.is_empty() { 0 } else { 1 });
    if !(1..=1_000_000_000_000).contains(&n) {
        invalid.add("n", "must be above 0: no figure without n");
    }
    if body.hour.is_some_and(|hour| !(0..24).contains(&hour)) {
        invalid.add("hour", "must be 0 to 23");
    }
    let spend_micros = body.spend.as_ref().and_then(|spend| invalid.merge(domain::money::parse_micros("spend", spend)));
    if spend_micros.is_some() && definition.metric.currency.is_none() {
        invalid.add("spend", "needs a currency in the metric of the definition");
    }
    if spend_micros.is_some_and(|micros| micros < 0) {
        invalid.add("spend", "must not be below 0: give what was spent; a row of the same key replaces one that was too high");
    }
    let sums = [
        ("value_sum_squares", body.value_sum_squares, Some(body.value_sum)),
        ("covariate_sum_squares", body.covariate_sum_squares, body.covariate_sum),
    ];
    for (field, squares, sum) in sums {
        if let Some(least) = squares.zip(sum).and_then(|(squares, sum)| least_squares(n, sum).filter(|least| squares < *least)) {
            invalid.add(
                field,
                format!("no {n} numbers of this sum have squares that sum to less than {least}; check n, the sum and the squares"),
            );
        }
    }
    let mut squares = body.value_sum_squares;
    let is_share = definition.metric.kind == MetricKind::Proportion;
    if let Design::Ab(design) = &definition.design
        && let Some(why) = design.outside(row.started_at.map(|at| at.date_naive()), body.date)
    {
        invalid.add("date", why);
    }
    match &definition.design {
        Design::Ab(design) if unit.is_empty() => {
            if !design.arms.iter().any(|one| one.name == arm) {
                invalid.add("arm", "must be an arm of the experiment, or the row must name a unit");
            }
            if is_share {
                squares = Some(body.value_sum);
                if body.value_sum < 0.0 || body.value_sum > n as f64 {
                    invalid.add("value_sum", "of a proportion must be 0 to n");
                }
            } else if squares.is_none() {
                invalid.add("value_sum_squares", "is required for the sums of an arm: without it no interval can be computed");
            }
            let covariate = [body.covariate_sum, body.covariate_sum_squares, body.cross_sum];
            if covariate.iter().any(Option::is_some) && covariate.iter().any(Option::is_none) {
                invalid.add("covariate_sum", "needs covariate_sum_squares and cross_sum beside it");
            }
            if let ([Some(x), Some(xx), Some(xy)], Some(yy)) = (covariate, squares)
                && !may_go_together(n, [x, xx], [body.value_sum, yy], xy)
            {
                invalid.add("cross_sum", "is further from covariate_sum * value_sum / n than the sums of squares allow; check all of them");
            }
        }
        Design::Ab(design) => {
            let all = arms(design);
            let bucket = assignment::bucket(&row.experiment_id, &row.salt, &unit);
            let assigned = all.get(assignment::arm_of(bucket, &all)).map_or(String::new(), |one| one.name.clone());
            if !arm.is_empty() && arm != assigned {
                invalid.add("arm", format!("the unit was assigned to {assigned:?}: count units where they were assigned"));
            }
            if n != 1 {
                invalid.add("n", "is 1 for a unit");
            }
            arm = assigned;
        }
        Design::Geo(design) => {
            check_place(invalid, &unit, &arm, design.treatment.iter().chain(&design.control));
            let is_inside = |from, to| body.date >= from && body.date <= to;
            if !is_inside(design.pre_start, design.pre_end) && !is_inside(design.post_start, design.post_end) {
                let GeoDesign { pre_start, pre_end, post_start, post_end, .. } = design;
                let why =
                    format!("is in none of the two periods of the experiment, {pre_start} to {pre_end} and {post_start} to {post_end}");
                invalid.add("date", why);
            }
            if body.hour.is_some() {
                invalid.add("hour", "is not used by a geo test: send sums of days");
            }
        }
        Design::Switchback(design) => {
            check_place(invalid, &unit, &arm, design.units.iter());
            if body.hour.is_none() && !design.is_daily() {
                invalid.add("hour", "is required: blocks or washout are not whole days");
            }
            let hour = u32::try_from(body.hour.unwrap_or(0)).unwrap_or(0);
            let at = body.date.and_hms_opt(hour.min(23), 0, 0).map(|time| time.and_utc());
            if at.and_then(|at| design.block_at(at)).is_none() {
                invalid.add("date", "is outside of the schedule");
            }
        }
    }
    Observation {
        unit,
        arm,
        date: body.date,
        hour: body.hour.unwrap_or(WHOLE_DAY),
        n,
        value_sum: body.value_sum,
        value_sum_squares: squares,
        covariate_sum: body.covariate_sum,
        covariate_sum_squares: body.covariate_sum_squares,
        cross_sum: body.cross_sum,
        spend_micros,
    }
}

/// What the squares of `n` numbers with this sum come to at least, less what is rounding: stricter than the reading, which sees many rows.
fn least_squares(n: i64, sum: f64) -> Option<f64> {
    let least = sum * sum / n as f64;
    (n > 0 && least.is_finite()).then_some(least * (1.0 - 5e-10))
}

/// Whether two measures with these sums and sums of squares can have this sum of products: no correlation is above 1, save for rounding.
fn may_go_together(n: i64, [x, xx]: [f64; 2], [y, yy]: [f64; 2], xy: f64) -> bool {
    let centred = |products: f64, one: f64, other: f64| products - one * other / n as f64;
    let most = (centred(xx, x, x).max(0.0) * centred(yy, y, y).max(0.0)).sqrt() + 1e-4 * (xx * yy).max(0.0).sqrt();
    centred(xy, x, y).abs() <= most
}

/// Refuses single units beside sums of arms, in one request or with what is stored: a unit might count twice, no reading could be made,
/// and no row is ever taken back.
fn check_kinds(rows: &[Observation], stored: (bool, bool)) -> Result<(), Invalid> {
    let is_unit = |row: &Observation| !row.unit.is_empty();
    let (expects_units, there) = match stored {
        (true, true) => {
            let why = "the experiment holds single units as well as sums of arms from before this was refused, and cannot be read; conclude \
                       it with abandon, and plan another one";
            return Err(Invalid::one("rows", why));
        }
        (true, false) => (true, "the experiment"),
        (false, true) => (false, "the experiment"),
        (false, false) => (rows.first().is_some_and(is_unit), "rows[0]"),
    };
    let Some(at) = rows.iter().position(|row| is_unit(row) != expects_units) else { return Ok(()) };
    let why = match expects_units {
        true => format!("is missing: {there} holds single units, and a sum of an arm might count them twice; send single units only"),
        false => format!("names a single unit, but {there} holds sums of arms, which might count it already; send sums of arms only"),
    };
    Err(Invalid::one(format!("rows[{at}].unit"), why))
}

fn check_place<'a>(invalid: &mut Invalid, unit: &str, arm: &str, mut known: impl Iterator<Item = &'a String>) {
    if !known.any(|one| one == unit) {
        invalid.add("unit", "is not in the definition of the experiment");
    }
    if !arm.is_empty() {
        invalid.add("arm", "is said by the design; leave it out");
    }
}

/// Refuses rows for what is not running, and for what was read and is read once.
fn check_open(row: &Experiment) -> Result<(), StorageError> {
    if row.status != ExperimentStatus::Running.as_ref() {
        let why = format!("the experiment is {}; only a running one takes observations", row.status);
        return Err(StorageError::conflict("conflict", why));
    }
    match results::reading_of(row) {
        Some((at, rows)) => {
            let why = format!(
                "the results were read at {at} on {rows} rows, and this design is read once: what was read stays, no more observations are \
                 taken; conclude the experiment, and plan another one (sequential, to look while rows come)"
            );
            Err(StorageError::conflict("already_read", why))
        }
        None => Ok(()),
    }
}

/// Writes observations of a running experiment; the answer counts what is new, changed and unchanged. JSON, or CSV with the same names as
/// header. Single units and sums of arms do not go together: whichever comes second is 422 by row. Days outside of the experiment are 422 by row: of an A/B test those before the day of its start (UTC) or after `planned_end`, of
/// a geo test those in neither period, of a switchback test those outside of its blocks. A design that is read once takes no more rows after
/// its reading: 409 `already_read`. Performance rows carry no market, so that geo tests get their sums here and not from `/performance`.
#[utoipa::path(post, path = "/v1/experiments/{experiment_id}/observations", tag = "experiments", params(("Idempotency-Key" = Option<String>, Header), ("experiment_id" = String, Path)), request_body = ObservationsBody, responses((status = 200, body = Object, description = "`{received, inserted, updated, unchanged}`"), (status = 409, description = "Not running, read already, or too many rows"), (status = 422, description = "Rows that do not fit, by row and field")))]
pub async fn record_observations(
    state: Data<State>,
    caller: Caller,
    key: RepeatKey,
    id: Path<String>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    caller.require(Role::may_plan)?;
    let bytes = receive(body).await?;
    let bodies = parse(&request.content_type().to_ascii_lowercase(), &bytes)?;
    let repeated = key.of(&caller, &bytes);
    let (scope, now, reader, wanted) = (caller.scope(), state.clock.now(), caller.scope(), id.clone());
    let row = state.storage.scoped(&reader).read(move |conn| stored::find(conn, &reader, &wanted)).await?;
    let definition = definition_of(&row)?;
    let found = check(&row, &definition, &bodies)?;
    let is_ab = matches!(definition.design, Design::Ab(_));
    repeat::create(&state.storage.scoped(&scope), repeated, now, move |conn| {
        let row = stored::find_locked(conn, &scope, &id)?;
        check_open(&row)?;
        if is_ab {
            check_kinds(&found, rows::kinds(conn, &scope, &row)?)?;
        }
        let written = rows::record(conn, &scope, &row, &found, now)?;
        let body = json!({
            "received": found.len(),
            "inserted": written.inserted,
            "updated": written.updated,
            "unchanged": written.unchanged,
        });
        Ok(Answer { status: StatusCode::OK, body })
    })
    .await
}
