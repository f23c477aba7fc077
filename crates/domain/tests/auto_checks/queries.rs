//! Bad SQL.

use domain::checks::run;
use domain::task::TaskType;
use serde_json::json;

use crate::table::{Row, fails};

fn row(text: &str, check: &'static str, rule: &'static str, place: &'static str) -> Row {
    (json!({ "sql": text }), check, rule, place)
}

#[test]
fn sql_that_does_not_parse_fails() {
    fails(
        TaskType::ToolCallQa,
        8,
        vec![
            row("SELEC FRM WHERE )))", "sql_parses", "does not parse", "/sql line 1, column 1"),
            row("SELEC name FROM campaigns", "sql_parses", "does not parse", "/sql line 1, column 1"),
            row("SELECT name FROM campaigns WHERE", "sql_parses", "end of the query", "/sql line 1, column 32"),
            row("SELECT 'open FROM campaigns", "sql_parses", "does not parse", "/sql line 1, column 8"),
            row("SELECT name\nFROM campaigns\nWHERE )))", "sql_parses", "does not parse", "/sql line 3, column 7"),
            row("SELECT FROM campaigns", "sql_parses", "nothing to select", "/sql line 1, column 1"),
            row("SELECT name FROM campaigns /* open", "sql_parses", "does not parse", "/sql line 1, column 35"),
            row("ЅELECT name FROM campaigns", "sql_parses", "does not parse", "/sql line 1, column 1"),
            row("SELECT name FROM campaigns LIMIT LIMIT", "known_columns", "no column \"LIMIT\"", "/sql line 1, column 34"),
            (json!({"sql": format!("SELECT {}1{}", "(".repeat(60), ")".repeat(60))}), "sql_parses", "levels deep", "/sql"),
            (json!({"sql": format!("SELECT 1{}", " + 1".repeat(600))}), "sql_parses", "more than 1000 words", "/sql"),
            (json!({"sql": format!("SELECT '{}'", "x".repeat(20_000))}), "sql_parses", "at most 16384", "/sql"),
            row("", "one_statement", "0 statements", "/sql"),
            row("-- nothing but a comment", "one_statement", "0 statements", "/sql"),
        ],
    );
}

#[test]
fn sql_that_does_more_than_read_fails() {
    fails(
        TaskType::ToolCallQa,
        20,
        vec![
            row("SELECT name FROM campaigns; SELECT status FROM campaigns", "one_statement", "2 statements", "/sql line 1, column 29"),
            row("SELECT name FROM campaigns; DROP TABLE campaigns", "reads_only", "this statement is \"DROP\"", "/sql line 1, column 29"),
            row("SELECT 1; -- x\rDROP TABLE campaigns", "one_statement", "2 statements", "/sql line 2, column 1"),
            row("DROP TABLE campaigns", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("DELETE FROM campaigns", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("-- harmless\nDELETE FROM campaigns", "reads_only", "\"DELETE\"", "/sql line 2, column 1"),
            row("UPDATE campaigns SET status = 'completed'", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("INSERT INTO campaigns (name) SELECT name FROM campaigns", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("TRUNCATE campaigns", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("CREATE TABLE copy AS SELECT name FROM campaigns", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("EXPLAIN ANALYZE DELETE FROM campaigns", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("COPY campaigns TO '/tmp/x'", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("GRANT ALL ON campaigns TO PUBLIC", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row("PRAGMA writable_schema = 1", "reads_only", "only SELECT", "/sql line 1, column 1"),
            row(
                "WITH gone AS (DELETE FROM campaigns RETURNING name) SELECT name FROM gone",
                "reads_only",
                "changes rows",
                "/sql line 1, column 15",
            ),
            row(
                "WITH a AS (SELECT name FROM campaigns), b AS (INSERT INTO campaigns (name) VALUES ('x') RETURNING name) SELECT name FROM b",
                "reads_only",
                "changes rows",
                "/sql line 1, column 47",
            ),
            row("WITH a AS (SELECT 1 AS n) DELETE FROM campaigns", "reads_only", "changes rows", "/sql line 1, column 27"),
            row("SELECT name INTO copy FROM campaigns", "reads_only", "INTO", "/sql line 1, column 13"),
            row("SELECT name FROM campaigns FOR UPDATE", "reads_only", "locks rows", "/sql line 1, column 28"),
            row("SELECT name FROM (SELECT name FROM campaigns FOR SHARE) x", "reads_only", "locks rows", "/sql line 1, column 46"),
            row("SELECT name FROM campaigns /*! ; DROP TABLE campaigns */", "reads_only", "\"DROP\"", "/sql line 1, column 28"),
            row("SELECT status\n  /*! , name */ FROM campaigns", "reads_only", "run by MySQL", "/sql line 2, column 3"),
            row("SELECT 1 /*M!50101 + (SELECT 2) */", "reads_only", "run by MySQL", "/sql line 1, column 10"),
            row("/* /* */ DELETE FROM campaigns; /* */ */ SELECT 1", "reads_only", "comment within a comment", "/sql line 1, column 1"),
            row("SELECT pg_sleep(100)", "reads_only", "more than reading", "/sql line 1, column 8"),
            row("SELECT name FROM campaigns WHERE sleep(5) = 0", "reads_only", "\"sleep\"", "/sql line 1, column 34"),
            row("SELECT LOAD_FILE('/etc/passwd')", "reads_only", "\"load_file\"", "/sql line 1, column 8"),
            row("SELECT pg_catalog.pg_read_file('x')", "reads_only", "\"pg_read_file\"", "/sql line 1, column 19"),
            row("SELECT nextval('campaigns_id_seq')", "reads_only", "\"nextval\"", "/sql line 1, column 8"),
            row("SELECT * FROM dblink('host=x', 'DELETE FROM y') AS t(n INT)", "reads_only", "\"dblink\"", "/sql line 1, column 15"),
        ],
    );
}

#[test]
fn sql_over_names_that_are_not_there_fails() {
    fails(
        TaskType::ToolCallQa,
        20,
        vec![
            row("SELECT SUMM(spend) FROM performance_metrics", "known_sql_functions", "\"summ\"", "/sql line 1, column 8"),
            row("SELECT read_csv('/etc/passwd') FROM campaigns", "known_sql_functions", "\"read_csv\"", "/sql line 1, column 8"),
            row("SELECT name FROM campaign", "known_tables", "there are campaigns", "/sql line 1, column 18"),
            row("SELECT name FROM \u{441}ampaigns", "known_tables", "no table", "/sql line 1, column 18"),
            row(
                "SELECT name FROM campaigns WHERE campaign_id IN (SELECT id FROM budgets)",
                "known_tables",
                "\"budgets\"",
                "/sql line 1, column 65",
            ),
            row("SELECT x.name FROM (SELECT name FROM budgets) x", "known_tables", "\"budgets\"", "/sql line 1, column 38"),
            row(
                "SELECT name FROM (WITH a AS (SELECT name FROM campaigns) SELECT name FROM a) x JOIN a ON 1 = 1",
                "known_tables",
                "\"a\"",
                "/sql line 1, column 85",
            ),
            row("SELECT ctr FROM performance_metrics", "known_columns", "\"ctr\"", "/sql line 1, column 8"),
            row("SELECT p.name FROM performance_metrics p", "known_columns", "the table has campaign_id, clicks", "/sql line 1, column 10"),
            row("SELECT name\nFROM campaigns\nWHERE state = 'completed'", "known_columns", "\"state\"", "/sql line 3, column 7"),
            row("SELECT c.name FROM campaigns k", "known_columns", "no table or alias \"c\"", "/sql line 1, column 8"),
            row("SELECT campaigns.name FROM campaigns k", "known_columns", "no table or alias", "/sql line 1, column 8"),
            row("SELECT name FROM campaigns ORDER BY revenue", "known_columns", "\"revenue\"", "/sql line 1, column 37"),
            row(
                "SELECT name FROM campaigns WHERE campaign_id IN (SELECT campaign_id FROM performance_metrics) AND revenue > 1",
                "known_columns",
                "\"revenue\"",
                "/sql line 1, column 99",
            ),
            row(
                "SELECT x.clicks FROM (SELECT campaign_id FROM performance_metrics) x",
                "known_columns",
                "\"x.clicks\"",
                "/sql line 1, column 10",
            ),
            row(
                "WITH a AS (SELECT campaign_id FROM performance_metrics) SELECT spend FROM a",
                "known_columns",
                "\"spend\"",
                "/sql line 1, column 64",
            ),
            row("SELECT k.* FROM campaigns c", "known_columns", "no table \"k\"", "/sql line 1, column 8"),
            row(
                "SELECT campaign_id FROM campaigns c JOIN performance_metrics p ON c.campaign_id = p.campaign_id",
                "known_columns",
                "more than one table",
                "/sql line 1, column 8",
            ),
            row(
                "SELECT c.name FROM campaigns c JOIN performance_metrics p USING (status)",
                "known_columns",
                "in both tables",
                "/sql line 1, column 66",
            ),
            row(
                "SELECT spend / clicks AS cpc FROM performance_metrics WHERE cpc > 1",
                "known_columns",
                "which WHERE, ON and the list itself cannot see",
                "/sql line 1, column 61",
            ),
            row("SELECT name FROM campaigns UNION SELECT spend FROM campaigns", "known_columns", "\"spend\"", "/sql line 1, column 41"),
            row(
                "SELECT name FROM campaigns UNION SELECT status FROM campaigns ORDER BY status",
                "known_columns",
                "\"status\"",
                "/sql line 1, column 72",
            ),
            row(
                "SELECT name FROM campaigns c WHERE EXISTS (SELECT 1 FROM performance_metrics p WHERE p.campaign_id = c.campaign)",
                "known_columns",
                "\"c.campaign\"",
                "/sql line 1, column 104",
            ),
            row("SELECT \"Name\", \"active\" FROM campaigns", "known_columns", "\"active\"", "/sql line 1, column 16"),
        ],
    );
}

#[test]
fn functions_that_the_task_lists_are_known() {
    let schema = json!({"kind": "sql_schema", "tables": {"t": ["a"]}, "functions": ["ROAS_OF"]});
    let found = run(TaskType::ToolCallQa, &[schema], "", &[&json!({"sql": "SELECT roas_of(a) FROM t"})]);
    assert!(found.iter().all(|finding| finding.passed), "{found:?}");
}
