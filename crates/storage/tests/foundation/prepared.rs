//! A change that is always the same statement is prepared once by a connection.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use storage::connection::Connection;
use storage::on;
use storage::prepared::change;
use storage::raters::{self, NewRater};
use storage::schema::rater_profiles as t;
use testkit::database;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

#[test]
fn a_change_is_carried_out_each_time_and_prepared_once() {
    for database in database::all() {
        let mut conn = database.connect();
        let conn = &mut conn;
        let new = NewRater { name: "rita".to_owned(), email: None, is_simulated: true, is_calibrated: true };
        let id = raters::insert(conn, &new, domain::time::now()).unwrap().rater_id;
        for count in 1..=3 {
            let change = change(t::table, t::rater_id.eq(&id), t::total_judgments.eq(t::total_judgments + 1));
            assert_eq!(on!(conn, c => change.execute(c)).unwrap(), 1);
            assert_eq!(raters::find(conn, &id).unwrap().total_judgments, count, "{}", database.kind());
        }
        if let Connection::Postgres(c) = conn {
            let kept = "SELECT COUNT(*) AS value FROM pg_prepared_statements WHERE statement LIKE 'UPDATE \"rater_profiles\"%'";
            let kept: Number = diesel::sql_query(kept).get_result(c).unwrap();
            assert_eq!(kept.value, 1, "prepared once and kept");
        }
    }
}
