//! Which SQL functions are known to read only, and which are known to do more.

/// Functions of PostgreSQL, MySQL, SQLite and the common warehouses that compute from their arguments.
const KNOWN: &str = "
    abs acos acosh age any_value approx_count_distinct approx_percentile array array_agg array_append array_cat array_contains array_length array_position
    array_to_string ascii asin asinh atan atan2 atanh avg bit_and bit_length bit_or bit_xor bool_and bool_or btrim cardinality cast cbrt ceil ceiling char
    char_length character_length charindex chr coalesce collate concat concat_ws contains convert corr cos cosh cot count count_if countif covar_pop
    covar_samp cume_dist curdate current_catalog current_date current_schema current_time current_timestamp curtime date date_add date_bin date_diff
    date_format date_part date_sub date_trunc dateadd datediff datefromparts datename datepart datetime day day_of_month day_of_week day_of_year dayname
    dayofmonth dayofweek dayofyear decode degrees dense_rank div div0 elt encode endswith ends_with eomonth every exp explode extract field find_in_set
    first first_value flatten floor format format_date from_days from_unixtime generate_series get_json_object getdate glob greatest group_concat grouping
    grouping_id hash hex hour if iff ifnull iif initcap insert instr interval isfinite isnull isnumeric json json_agg json_array json_array_elements
    json_array_elements_text json_array_length json_build_array json_build_object json_contains json_each json_each_text json_extract
    json_extract_path_text json_extract_scalar json_extract_string json_group_array json_group_object json_keys json_length json_object json_object_agg
    json_object_keys json_query json_table json_tree json_type json_unquote json_valid json_value jsonb_agg jsonb_array_elements jsonb_array_elements_text
    jsonb_array_length jsonb_build_object jsonb_each jsonb_object_agg jsonb_object_keys julianday justify_days kurtosis lag last last_day last_value lcase
    lead least left len length like listagg ln localtime localtimestamp locate log log10 log1p log2 lower lpad ltrim make_date make_interval
    make_timestamp max max_by maxif md5 median mid min min_by minute mod mode month monthname months_between now nth_value ntile nullif nullifzero nvl
    nvl2 octet_length overlay parse_date parse_json percent_rank percentile percentile_cont percentile_disc period_diff pi position pow power printf
    quantile quantile_cont quarter quote radians range rank ratio_to_report regexp_count regexp_extract regexp_instr regexp_like regexp_match
    regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr regr_count regr_intercept regr_r2 regr_slope repeat replace
    reverse right round row row_number row_to_json rpad rtrim safe_cast safe_divide sec_to_time second sha1 sha2 sha256 sign sin sinh skewness soundex
    space split split_part sqrt starts_with startswith stddev stddev_pop stddev_samp stdev stdevp str str_to_date strcmp strftime string string_agg
    string_split string_to_array strpos struct substr substring substring_index subtime sum sumif sysdate tan tanh time time_to_sec timediff timestamp
    timestamp_diff timestamp_trunc timestampadd timestampdiff timezone to_array to_base64 to_char to_date to_days to_json to_jsonb to_number to_timestamp
    total trans translate trim trunc truncate try_cast try_convert try_to_date try_to_number typeof ucase unhex unicode unix_timestamp unixepoch unnest
    upper utc_date utc_timestamp var_pop var_samp variance varp week weekday weekofyear width_bucket year yearweek zeroifnull";

/// Beginnings of the names of functions that reach files, other servers, sessions or the server itself.
const EFFECT_PREFIXES: [&str; 14] =
    ["pg_", "lo_", "dblink", "xp_", "sp_", "dbms_", "utl_", "sys_", "http_", "load_", "fts3_", "currval", "nextval", "setval"];

/// Further functions of that kind.
const EFFECTS: [&str; 27] = [
    "benchmark",
    "copy",
    "cursor_to_xml",
    "database_to_xml",
    "edit",
    "get_lock",
    "http",
    "lastval",
    "master_pos_wait",
    "openquery",
    "openrowset",
    "query_to_xml",
    "randomblob",
    "readfile",
    "release_all_locks",
    "release_lock",
    "set_config",
    "set_masklen",
    "setseed",
    "sleep",
    "sqlite_compileoption_get",
    "system",
    "table_to_xml",
    "txid_current",
    "waitfor",
    "writefile",
    "zeroblob",
];

/// Whether a function (lower case, without its schema) only computes.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.split_ascii_whitespace().any(|known| known == name)
}

/// Whether a function (lower case, without its schema) is known to do more than read tables.
pub(super) fn has_effects(name: &str) -> bool {
    EFFECTS.contains(&name) || EFFECT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_is_on_both_lists() {
        for name in KNOWN.split_ascii_whitespace() {
            assert!(!has_effects(name), "{name}");
        }
        assert!(is_known("sum") && !is_known("summ") && has_effects("pg_sleep") && has_effects("load_extension"));
    }
}
