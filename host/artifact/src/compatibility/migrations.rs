//! Whether the revision that serves now can live with the migrations of the
//! next one: they run before the swap, and it goes on until its last call has
//! ended, beside a canary, and again after a rollback.
//!
//! It can if everything that it reads and writes stays as it was: tables,
//! indexes and columns may be added, as long as no row that the old revision
//! writes is refused for them. What is not known to be harmless is not. One
//! thing cannot be seen here: a revision that reads `SELECT *` or inserts
//! without naming columns notices a new column.

use super::MigrationView;
use host_sql::{Applied, Migration, parse_migration};
use sqlparser::ast::{
    AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateTable, Expr, ForeignKeyConstraint, ObjectName,
    ObjectNamePart, ReferentialAction, Statement, TableConstraint, TableObject, Value,
};
use std::collections::BTreeSet;

/// What each migration of a new revision means for the database and for the old
/// revision. With none to live with, every migration that is new is compatible.
pub(super) fn judge(migrations: &[Migration], applied: &[Applied], has_active: bool) -> Vec<MigrationView> {
    let mut new_tables = BTreeSet::new();
    let mut views = Vec::with_capacity(migrations.len());
    for migration in migrations {
        let before = applied.iter().find(|applied| applied.name == migration.name);
        let problem = match before {
            Some(before) => (!before.is(migration)).then(|| "it has changed since it was applied".to_owned()),
            None if has_active => judge_text(&migration.sql, &mut new_tables).err(),
            None => None,
        };
        views.push(MigrationView {
            name: migration.name.clone(),
            applied: before.is_some(),
            compatible: problem.is_none(),
            problem,
        });
    }
    views
}

fn judge_text(sql: &str, new_tables: &mut BTreeSet<String>) -> Result<(), String> {
    parse_migration(sql)?.iter().try_for_each(|statement| judge_statement(statement, new_tables))
}

fn judge_statement(statement: &Statement, new_tables: &mut BTreeSet<String>) -> Result<(), String> {
    match statement {
        Statement::CreateTable(table) => {
            judge_create_table(table, new_tables)?;
            // One that may have existed is not known to be new.
            if !table.if_not_exists {
                new_tables.insert(name_of(&table.name));
            }
            Ok(())
        }
        Statement::CreateIndex(index) if index.unique && !is_new(&index.table_name, new_tables) => {
            let name = index.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            Err(format!("the unique index{name} may refuse rows that the old revision writes to {}", index.table_name))
        }
        Statement::CreateIndex(_) | Statement::CreateView(_) => Ok(()),
        Statement::AlterTable(table) if !is_new(&table.name, new_tables) => judge_alter_table(table, new_tables),
        Statement::AlterTable(_) => Ok(()),
        Statement::Insert(insert) => match &insert.table {
            TableObject::TableName(table) if is_new(table, new_tables) => Ok(()),
            other => Err(format!("it inserts into {other}, which the old revision uses")),
        },
        Statement::Drop { object_type, names, .. } => {
            let of_its_own = !names.is_empty() && names.iter().all(|name| is_new(name, new_tables));
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            if of_its_own {
                Ok(())
            } else {
                Err(format!("it drops the {object_type} {}", names.join(", ").to_lowercase()))
            }
        }
        Statement::Update(update) if !is_table(&update.table.relation.to_string(), new_tables) => {
            Err(format!("it updates rows of {}, which the old revision uses", update.table.relation))
        }
        Statement::Update(_) => Ok(()),
        Statement::Delete(_) => Err("it deletes rows".to_owned()),
        other => {
            let text: String = other.to_string().chars().take(60).collect();
            Err(format!("it is not known what this does to the old revision: {text}"))
        }
    }
}

fn judge_create_table(table: &CreateTable, new_tables: &BTreeSet<String>) -> Result<(), String> {
    let in_columns =
        table.columns.iter().flat_map(|column| &column.options).filter_map(|option| match &option.option {
            ColumnOption::ForeignKey(key) => Some(key),
            _ => None,
        });
    let in_table = table.constraints.iter().filter_map(|constraint| match constraint {
        TableConstraint::ForeignKey(key) => Some(key),
        _ => None,
    });
    let mut keys = in_columns.chain(in_table);
    keys.try_for_each(|key| judge_foreign_key(key, &name_of(&table.name), new_tables))
}

/// A row that is referenced cannot be deleted, unless the key says what else
/// is to happen.
fn judge_foreign_key(key: &ForeignKeyConstraint, table: &str, new_tables: &BTreeSet<String>) -> Result<(), String> {
    let lets_go = matches!(
        key.on_delete,
        Some(ReferentialAction::Cascade | ReferentialAction::SetNull | ReferentialAction::SetDefault)
    );
    if lets_go || name_of(&key.foreign_table) == table || is_new(&key.foreign_table, new_tables) {
        return Ok(());
    }
    Err(format!("{table} references {}, whose rows the old revision can then not delete", key.foreign_table))
}

fn judge_alter_table(table: &AlterTable, new_tables: &BTreeSet<String>) -> Result<(), String> {
    table.operations.iter().try_for_each(|operation| match operation {
        AlterTableOperation::AddColumn { column_def, .. } => judge_new_column(column_def, &table.name, new_tables),
        AlterTableOperation::DropColumn { column_names, .. } => {
            let names: Vec<_> = column_names.iter().map(ToString::to_string).collect();
            Err(format!("it drops the column {} of {}", names.join(", "), table.name))
        }
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            Err(format!("it renames the column {old_column_name} of {} to {new_column_name}", table.name))
        }
        AlterTableOperation::RenameTable { table_name } => Err(format!("it renames {}: {table_name}", table.name)),
        other => {
            let text: String = other.to_string().chars().take(60).collect();
            Err(format!("it changes {}: {text}", table.name))
        }
    })
}

fn judge_new_column(column: &ColumnDef, table: &ObjectName, new_tables: &BTreeSet<String>) -> Result<(), String> {
    let mut required = false;
    let mut has_default = false;
    for option in &column.options {
        match &option.option {
            ColumnOption::Null | ColumnOption::Collation(_) | ColumnOption::Comment(_) => {}
            ColumnOption::NotNull => required = true,
            ColumnOption::Default(Expr::Value(value)) if value.value == Value::Null => {}
            ColumnOption::Default(_) => has_default = true,
            ColumnOption::ForeignKey(key) => judge_foreign_key(key, &name_of(table), new_tables)?,
            other => {
                return Err(format!(
                    "the column {} of {table} is {other}, which may refuse rows that the old revision writes",
                    column.name
                ));
            }
        }
    }
    if required && !has_default {
        return Err(format!(
            "the column {} of {table} is NOT NULL without a default, and the old revision does not set it",
            column.name
        ));
    }
    Ok(())
}

fn is_new(name: &ObjectName, new_tables: &BTreeSet<String>) -> bool {
    new_tables.contains(&name_of(name))
}

fn is_table(name: &str, new_tables: &BTreeSet<String>) -> bool {
    new_tables.contains(&name.trim_matches('"').to_lowercase())
}

/// The last part of a name without its quotes: names are told apart without
/// regard to case.
fn name_of(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(part)) => part.value.to_lowercase(),
        _ => name.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(sql: &str) -> Option<String> {
        let migration = Migration { name: "0002.sql".into(), sql: sql.into() };
        let mut views = judge(&[migration], &[], true);
        let view = views.pop().unwrap();
        assert_eq!(view.compatible, view.problem.is_none());
        view.problem
    }

    #[test]
    fn what_adds_without_refusing_is_fine() {
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
    fn what_the_old_revision_cannot_live_with_is_named() {
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
            let found = problems(sql).unwrap_or_else(|| panic!("{sql} is said to be compatible"));
            assert!(found.contains(problem), "{sql}: {found}");
        }
    }

    #[test]
    fn what_was_applied_or_meets_nobody_is_compatible() {
        let migration = Migration { name: "0001.sql".into(), sql: "DROP TABLE old".into() };
        let migrations = std::slice::from_ref(&migration);
        assert!(!judge(migrations, &[], true)[0].compatible);
        let applied = judge(migrations, &[Applied::of(&migration)], true);
        assert!(applied[0].applied && applied[0].compatible);
        assert!(judge(migrations, &[], false)[0].compatible);
    }

    #[test]
    fn one_that_was_applied_must_not_change_whoever_is_active() {
        let before = Migration { name: "0001.sql".into(), sql: "CREATE TABLE t (id TEXT)".into() };
        let after = Migration { sql: "CREATE TABLE t (id TEXT, n BIGINT)".into(), ..before.clone() };
        for has_active in [true, false] {
            let views = judge(std::slice::from_ref(&after), &[Applied::of(&before)], has_active);
            assert!(views[0].applied && !views[0].compatible, "{views:?}");
            assert_eq!(views[0].problem.as_deref(), Some("it has changed since it was applied"));
        }
    }
}
