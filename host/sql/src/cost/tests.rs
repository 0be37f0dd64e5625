use super::*;
use crate::{
    expressions::FUNCTIONS,
    permit, permit_migration,
    samples::{ACCEPTED, COSTLY},
};
use host_base::Dialect;

/// The largest parameter with which a statement may run.
fn most(statement: &str) -> usize {
    let permitted = permit(Dialect::Sqlite, statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    let fits = |bytes: usize| permitted.sql(std::iter::repeat_n(bytes, permitted.parameters)).is_ok();
    (0..=VALUE_BYTES.trailing_zeros()).rev().map(|power| 1 << power).find(|bytes| fits(*bytes)).unwrap_or(0)
}

fn sql(dialect: Dialect, statement: &str, bytes: usize) -> String {
    let permitted = permit(dialect, statement).unwrap();
    permitted.sql(std::iter::repeat_n(bytes, permitted.parameters)).unwrap().to_string()
}

#[test]
fn a_statement_without_costly_functions_takes_the_largest_values() {
    for statement in [
        "SELECT $1",
        "INSERT INTO things (id, title) VALUES ($1, $2)",
        "UPDATE things SET body = $1, version = version + 1 WHERE id = $2 RETURNING *",
        "SELECT a.*, b.*, c.id FROM things a JOIN others b ON a.id = b.id LEFT JOIN rest c ON c.id = b.id WHERE a.id = $1",
        "SELECT id FROM things WHERE lower(title) = lower($1) OR trim(title) = $2",
        "SELECT replace(title, '-', ''), length(title), count(*) FROM things WHERE id <> $1 GROUP BY title",
    ] {
        assert_eq!(most(statement), VALUE_BYTES, "{statement}");
        let plain = sql(Dialect::Sqlite, statement, VALUE_BYTES);
        assert!(!plain.contains("zeroblob"), "nothing has to be checked: {plain}");
    }
}

#[test]
fn the_sizes_of_operands_are_bounded_by_what_a_function_does_with_them() {
    for (statement, least, largest) in [
        ("SELECT $1 LIKE $2", 1 << 10, 1 << 13),
        ("SELECT replace($1, $2, '')", 1 << 10, 1 << 13),
        ("SELECT replace($1, 'a', $2)", 1 << 10, 1 << 13),
        ("SELECT ltrim($1, $2)", 1 << 10, 1 << 13),
        ("SELECT trim(BOTH $1 FROM $2)", 1 << 10, 1 << 13),
        ("SELECT id FROM things WHERE title LIKE $1", 1 << 10, 1 << 14),
        ("SELECT rtrim(title, $1) FROM things", 256, 1 << 13),
        ("SELECT replace(replace(title, $1, $2), $2, $1) FROM things", 16, 1 << 10),
    ] {
        let found = most(statement);
        assert!((least..=largest).contains(&found), "{statement}: {found}");
    }
}

#[test]
fn a_parameter_that_stands_there_often_is_short() {
    let often = |times: usize| format!("SELECT {}", vec!["$1"; times].join(", "));
    assert_eq!(most(&often(10)), VALUE_BYTES);
    let largest = most(&often(400));
    assert!((1 << 14..1 << 17).contains(&largest), "{largest}");
    assert!(most(&often(4_000)) * 4_000 <= 32 << 20);
    let in_a_list = format!("SELECT id FROM things WHERE id IN ({})", vec!["$1"; 1_000].join(", "));
    assert!(most(&in_a_list) >= 1 << 16, "{}", most(&in_a_list));
    let refused = |statement: String| permit(Dialect::Sqlite, &statement).unwrap_err();
    assert!(refused(format!("SELECT {} FROM things", vec!["title"; 400].join(", "))).contains("rows are too long"));
    assert!(refused(format!("SELECT {} FROM things", vec!["*"; 40].join(", "))).contains("rows are too long"));
    assert!(refused(format!("DELETE FROM things RETURNING {}", ["title"; 9].join(", "))).contains("rows"));
}

#[test]
fn a_long_pattern_allows_short_columns_only_and_the_statement_checks_them() {
    let like = "SELECT id FROM things WHERE t.title LIKE $1 AND n = $2";
    assert!(sql(Dialect::Sqlite, like, 4).contains("octet_length(t.title) > 262144"));
    assert_eq!(
        sql(Dialect::Sqlite, like, 200),
        "SELECT id FROM things WHERE CASE WHEN octet_length(t.title) > 65536 THEN zeroblob(2000000000) ELSE t.title END \
         LIKE $1 AND n = $2"
    );
    let postgres = sql(Dialect::Postgres, like, 200);
    assert!(
        postgres.contains(
            r#"CASE WHEN octet_length((CAST("t"."title" AS TEXT)) COLLATE "C") > 65536 AND repeat((CAST("t"."title" AS TEXT)) COLLATE "C", 2000000000) IS NULL THEN NULL ELSE "t"."title" END ILIKE $1"#
        ),
        "{postgres}"
    );
}

#[test]
fn a_text_that_grows_is_no_longer_than_a_value() {
    // The column is checked, so that the text fits into a column again.
    let appended = sql(Dialect::Postgres, "UPDATE things SET title = title || $1", 1_000);
    assert!(appended.contains("octet_length"), "{appended}");
    let bounded = sql(Dialect::Postgres, "SELECT string_agg(title, ', ') FROM things", 0);
    assert!(
        bounded
            .contains(r#"CASE WHEN sum(octet_length("title") + octet_length(', ')) > 2097152 THEN repeat(string_agg"#),
        "{bounded}"
    );
    assert!(most(&format!("SELECT {}", vec!["$1"; 200].join(" || "))) <= 1 << 13);
    assert!(most("SELECT lower(x) FROM (SELECT $1 || $1 AS x) AS t") <= 1 << 20);
    assert!(most("WITH big AS (SELECT concat($1, $1, $1) AS x) SELECT x FROM big") < 1 << 20);
}

#[test]
fn numbers_with_many_digits_are_bounded() {
    for statement in [
        format!("SELECT {}", vec!["1e300"; 250].join(" * ")),
        format!("SELECT {}", vec!["9".repeat(20_000); 3].join(" * ")),
        "SELECT 1e130000 * 1e130000".to_owned(),
    ] {
        assert!(permit(Dialect::Postgres, &statement).is_err(), "{}", &statement[..40]);
    }
    assert_eq!(most("SELECT cast(sum(n) AS BIGINT) / 2 * 3 + $1 % 7 FROM things"), VALUE_BYTES);
}

#[test]
fn many_functions_of_long_values_are_bounded() {
    let many = |function: &str| format!("SELECT {}", vec![function; 1_000].join(", "));
    for function in ["lower($1)", "length($1)", "substr($1, 5, 1)", "cast($1 AS BIGINT)", "abs($1)"] {
        assert!(most(&many(function)) <= 1 << 15, "{function}");
    }
    let columns = sql(Dialect::Sqlite, &format!("{} FROM things", many("length(title)")), 0);
    assert!(columns.contains("octet_length(title) > 8192"), "{}", &columns[..200]);
}

#[test]
fn constraints_and_indexes_are_bounded_too() {
    let create =
        |check: &str| permit_migration(Dialect::Sqlite, &format!("CREATE TABLE t (a TEXT, b TEXT, CHECK ({check}))"));
    assert!(!create("length(a) < 2000000").unwrap()[0].contains("octet_length"));
    assert!(create("a LIKE b").unwrap()[0].contains("octet_length(a) > 1024"));
    permit_migration(Dialect::Sqlite, "CREATE INDEX i ON t (lower(a))").unwrap();
}

#[test]
fn no_shortcut_of_sqlite_passes_over_a_deadline() {
    assert_eq!(sql(Dialect::Sqlite, "SELECT count(*) FROM things", 0), "SELECT count(*) FROM things WHERE true");
    assert_eq!(sql(Dialect::Sqlite, "DELETE FROM things", 0), "DELETE FROM things WHERE true");
    assert_eq!(sql(Dialect::Postgres, "DELETE FROM things", 0), r#"DELETE FROM "things""#);
}

#[test]
fn what_was_allowed_is_allowed() {
    for statement in ACCEPTED {
        assert!(most(statement) >= 1 << 10, "{statement}");
    }
}

#[test]
fn a_statement_with_too_many_tables_or_words_is_refused() {
    let refused = |statement: String| permit(Dialect::Sqlite, &statement).unwrap_err();
    assert!(refused(format!("SELECT 1 FROM {}", vec!["things"; 17].join(", "))).contains("16 tables in one query"));
    let selects = vec!["SELECT (SELECT 1 FROM things)"; 40].join(" UNION ");
    assert!(refused(selects).contains("32 tables"));
    assert!(refused(format!("SELECT {}", vec!["1"; 5_001].join(","))).contains("10000 words and signs"));
}

/// The tests of each engine run these statements.
#[test]
fn there_is_a_costly_statement_for_each_function() {
    for function in FUNCTIONS {
        let call = format!("{function}(");
        assert!(COSTLY.iter().any(|(statement, _)| statement.contains(&call)), "{function}");
    }
    for (statement, _) in COSTLY {
        assert!(most(statement) > 0, "{statement}");
    }
}
