use super::*;

fn problems(sql: &str) -> Option<String> {
    let migration = Migration { name: "0002.sql".into(), sql: sql.into() };
    let mut views = judge(&[migration], &[], true);
    let view = views.pop().unwrap();
    assert_eq!(view.compatible, view.problem.is_none());
    view.problem
}

#[test]
fn additions_that_refuse_no_row_are_compatible() {
    for sql in [
        "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY); CREATE UNIQUE INDEX t_id ON t (id); INSERT INTO t (id) VALUES ('x')",
        "CREATE TABLE t (id TEXT); UPDATE t SET id = 'x'; ALTER TABLE t ADD COLUMN b TEXT NOT NULL",
        "CREATE TABLE \"T\" (id TEXT); DROP TABLE t",
        "CREATE INDEX old_by_name ON old (name)",
        "ALTER TABLE old ADD COLUMN note TEXT",
        "ALTER TABLE old ADD COLUMN n BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE old ADD COLUMN n BIGINT DEFAULT NULL",
        "CREATE VIEW v AS SELECT id FROM old",
        "CREATE TABLE t (id TEXT REFERENCES old (id) ON DELETE CASCADE, p TEXT REFERENCES t (id))",
    ] {
        assert_eq!(problems(sql), None, "{sql}");
    }
}

#[test]
fn a_problem_names_the_change_that_breaks_the_old_revision() {
    for (sql, problem) in [
        ("DROP TABLE old", "drops the TABLE old"),
        ("DROP INDEX old_by_name", "drops the INDEX old_by_name"),
        ("ALTER TABLE old RENAME TO new", "renames old"),
        ("ALTER TABLE old RENAME COLUMN a TO b", "renames the column a of old to b"),
        ("ALTER TABLE old DROP COLUMN a", "drops the column a of old"),
        ("ALTER TABLE old ALTER COLUMN a SET NOT NULL", "changes old: ALTER COLUMN a SET NOT NULL"),
        ("ALTER TABLE old ADD COLUMN a TEXT NOT NULL", "column a of old is NOT NULL without a default"),
        ("ALTER TABLE old ADD COLUMN a TEXT NOT NULL DEFAULT NULL", "NOT NULL without a default"),
        ("ALTER TABLE old ADD COLUMN a BIGINT CHECK (a > 0)", "column a of old is CHECK"),
        ("ALTER TABLE old ADD COLUMN a TEXT UNIQUE", "column a of old is UNIQUE"),
        ("ALTER TABLE old ADD COLUMN a TEXT REFERENCES other (id)", "references other"),
        ("CREATE UNIQUE INDEX once ON old (name)", "unique index once may refuse rows"),
        ("CREATE TABLE t (id TEXT REFERENCES old (id))", "t references old"),
        ("CREATE TABLE t (id TEXT, FOREIGN KEY (id) REFERENCES old (id))", "t references old"),
        ("CREATE TABLE IF NOT EXISTS old (id TEXT); INSERT INTO old (id) VALUES ('x')", "inserts into old"),
        ("INSERT INTO old (id) VALUES ('x')", "inserts into old"),
        ("UPDATE old SET a = 1", "updates rows of old"),
        ("DELETE FROM old", "deletes rows"),
        ("VACUUM", "VACUUM"),
        ("nonsense", "not"),
    ] {
        let found = problems(sql).unwrap_or_else(|| panic!("{sql} is judged compatible"));
        assert!(found.contains(problem), "{sql}: {found}");
    }
}

#[test]
fn an_applied_migration_and_a_first_revision_are_compatible() {
    let migration = Migration { name: "0001.sql".into(), sql: "DROP TABLE old".into() };
    let migrations = std::slice::from_ref(&migration);
    assert!(!judge(migrations, &[], true)[0].compatible);
    let applied = judge(migrations, &[Applied::of(&migration)], true);
    assert!(applied[0].applied && applied[0].compatible);
    assert!(judge(migrations, &[], false)[0].compatible);
}

#[test]
fn an_applied_migration_must_not_change() {
    let before = Migration { name: "0001.sql".into(), sql: "CREATE TABLE t (id TEXT)".into() };
    let after = Migration { sql: "CREATE TABLE t (id TEXT, n BIGINT)".into(), ..before.clone() };
    for has_active in [true, false] {
        let views = judge(std::slice::from_ref(&after), &[Applied::of(&before)], has_active);
        assert!(views[0].applied && !views[0].compatible, "{views:?}");
        assert_eq!(views[0].problem.as_deref(), Some("it has changed since it was applied"));
    }
}
