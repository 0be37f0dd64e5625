//! Judges whether the active revision still works after the migrations of the
//! next revision. The migrations run before the swap. The old revision runs on the
//! changed tables until its last call ends, next to a canary, and again after a
//! rollback.
//!
//! A migration is compatible if everything that the old revision reads and writes
//! stays the same. It can add tables, indexes and columns, if they refuse no row of
//! the old revision. A statement that is not known to be harmless is incompatible.
//! The judgement cannot see one case: a revision that reads `SELECT *`, or inserts
//! without the names of the columns, notices a new column.

use host_api::verdict::MigrationView;
use host_sql::{Applied, Migration, parse_migration};
use sqlparser::ast::{
    AlterTable, AlterTableOperation, ColumnDef, ColumnOption, CreateIndex, CreateTable, Expr, ForeignKeyConstraint,
    ObjectName, ObjectNamePart, ObjectType, ReferentialAction, Statement, TableConstraint, TableObject, Value,
};
use std::collections::BTreeSet;

/// Judges each migration of a new revision. Without an active revision, every
/// migration that is not applied yet is compatible.
pub(super) fn judge(migrations: &[Migration], applied: &[Applied], has_active: bool) -> Vec<MigrationView> {
    let mut new_tables = BTreeSet::new();
    let mut views = Vec::with_capacity(migrations.len());
    for migration in migrations {
        let before = applied.iter().find(|applied| applied.name == migration.name);
        let problem = match before {
            Some(before) => (!before.is(migration)).then(|| "it has changed since it was applied".to_owned()),
            None if has_active => judge_sql(&migration.sql, &mut new_tables).err(),
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

fn judge_sql(sql: &str, new_tables: &mut BTreeSet<String>) -> Result<(), String> {
    parse_migration(sql)?.iter().try_for_each(|statement| judge_statement(statement, new_tables))
}

fn judge_statement(statement: &Statement, new_tables: &mut BTreeSet<String>) -> Result<(), String> {
    match statement {
        Statement::CreateTable(table) => {
            judge_create_table(table, new_tables)?;
            // With IF NOT EXISTS, the table may exist already.
            if !table.if_not_exists {
                new_tables.insert(name_of(&table.name));
            }
            Ok(())
        }
        Statement::CreateIndex(index) => judge_create_index(index, new_tables),
        Statement::CreateView(_) => Ok(()),
        Statement::AlterTable(table) if !is_new(&table.name, new_tables) => judge_alter_table(table, new_tables),
        Statement::AlterTable(_) => Ok(()),
        Statement::Insert(insert) => match &insert.table {
            TableObject::TableName(table) if is_new(table, new_tables) => Ok(()),
            other => Err(format!("it inserts into {other}, which the old revision uses")),
        },
        Statement::Drop { object_type, names, .. } => judge_drop(*object_type, names, new_tables),
        Statement::Update(update) if !is_table(&update.table.relation.to_string(), new_tables) => {
            Err(format!("it updates rows of {}, which the old revision uses", update.table.relation))
        }
        Statement::Update(_) => Ok(()),
        Statement::Delete(_) => Err("it deletes rows".to_owned()),
        other => {
            let text: String = other.to_string().chars().take(60).collect();
            Err(format!("the effect on the old revision is unknown: {text}"))
        }
    }
}

fn judge_create_index(index: &CreateIndex, new_tables: &BTreeSet<String>) -> Result<(), String> {
    if !index.unique || is_new(&index.table_name, new_tables) {
        return Ok(());
    }
    let name = index.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    Err(format!("the unique index{name} may refuse rows that the old revision writes to {}", index.table_name))
}

fn judge_drop(kind: ObjectType, names: &[ObjectName], new_tables: &BTreeSet<String>) -> Result<(), String> {
    if !names.is_empty() && names.iter().all(|name| is_new(name, new_tables)) {
        return Ok(());
    }
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    Err(format!("it drops the {kind} {}", names.join(", ").to_lowercase()))
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

/// A foreign key prevents the deletion of the referenced row, unless the key has
/// an action for that case.
fn judge_foreign_key(key: &ForeignKeyConstraint, table: &str, new_tables: &BTreeSet<String>) -> Result<(), String> {
    let allows_deletion = matches!(
        key.on_delete,
        Some(ReferentialAction::Cascade | ReferentialAction::SetNull | ReferentialAction::SetDefault)
    );
    if allows_deletion || name_of(&key.foreign_table) == table || is_new(&key.foreign_table, new_tables) {
        return Ok(());
    }
    Err(format!("{table} references {}, so the old revision cannot delete its rows any more", key.foreign_table))
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

/// The last part of a name, without quotes and in lower case. Names are not
/// sensitive to case.
fn name_of(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(part)) => part.value.to_lowercase(),
        _ => name.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests;
