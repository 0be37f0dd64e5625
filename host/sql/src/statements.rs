//! Which statements there are: four for components, and those that change a
//! schema for their migrations.

use super::expressions::{check_name, check_type};
use sqlparser::ast::{
    AlterTable, AlterTableOperation, ColumnDef, ColumnOption, ConflictTarget, CreateIndex, CreateTable, Delete,
    ForeignKeyConstraint, Insert, ObjectType, OnConflictAction, OnInsert, Query, RenameTableNameKind, SetExpr,
    Statement, TableConstraint, TableObject, Update, helpers::stmt_create_table::CreateTableBuilder,
};

/// A statement of a component at work. True if it only reads.
pub(super) fn check_guest(statement: &Statement) -> Result<bool, String> {
    match statement {
        Statement::Query(query) => check_query(query),
        other => check_change(other).map(|()| false),
    }
}

/// A statement of a migration.
pub(super) fn check_migration(statement: &Statement) -> Result<(), String> {
    match statement {
        Statement::CreateTable(table) => check_create_table(table),
        Statement::CreateIndex(index) => check_create_index(index),
        Statement::AlterTable(table) => check_alter_table(table),
        Statement::Drop {
            object_type: ObjectType::Table | ObjectType::Index,
            names,
            cascade,
            purge,
            temporary,
            table,
            ..
        } => {
            if *cascade || *purge || *temporary || table.is_some() {
                return Err("this form of DROP is not shared by the engines".to_owned());
            }
            match names.as_slice() {
                [name] => check_name(name),
                _ => Err("a DROP names one thing".to_owned()),
            }
        }
        other => check_change(other),
    }
}

fn check_query(query: &Query) -> Result<bool, String> {
    match query.body.as_ref() {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
            Err("WITH before a change is not allowed here: put the query into the change".to_owned())
        }
        _ => Ok(true),
    }
}

fn check_change(statement: &Statement) -> Result<(), String> {
    match statement {
        Statement::Insert(insert) => check_insert(insert),
        Statement::Update(update) => check_update(update),
        Statement::Delete(delete) => check_delete(delete),
        other => {
            let text = other.to_string();
            Err(format!("{} is not allowed here", text.split_whitespace().next().unwrap_or("nothing")))
        }
    }
}

fn check_insert(insert: &Insert) -> Result<(), String> {
    if insert.or.is_some() || insert.replace_into || insert.ignore {
        return Err("INSERT OR and REPLACE are not allowed here: use ON CONFLICT".to_owned());
    }
    let TableObject::TableName(name) = &insert.table else {
        return Err("an INSERT names its table".to_owned());
    };
    check_name(name)?;
    insert.columns.iter().try_for_each(check_name)?;
    match &insert.on {
        None => {}
        Some(OnInsert::OnConflict(on)) => {
            if matches!(on.conflict_target, Some(ConflictTarget::OnConstraint(_))) {
                return Err("ON CONFLICT names columns, not a constraint".to_owned());
            }
            if let OnConflictAction::DoUpdate(update) = &on.action {
                check_assignments(&update.assignments)?;
            }
        }
        Some(_) => return Err("only ON CONFLICT may follow an INSERT".to_owned()),
    }
    let plain = !insert.overwrite
        && insert.into
        && !insert.has_table_keyword
        && insert.optimizer_hints.is_empty()
        && insert.assignments.is_empty()
        && insert.partitioned.is_none()
        && insert.after_columns.is_empty()
        && insert.output.is_none()
        && insert.priority.is_none()
        && insert.insert_alias.is_none()
        && insert.settings.is_none()
        && insert.format_clause.is_none()
        && insert.multi_table_insert_type.is_none()
        && insert.source.is_some();
    if plain { Ok(()) } else { Err("this form of INSERT is not shared by the engines".to_owned()) }
}

fn check_update(update: &Update) -> Result<(), String> {
    check_assignments(&update.assignments)?;
    let plain = update.or.is_none()
        && update.optimizer_hints.is_empty()
        && update.output.is_none()
        && update.order_by.is_empty()
        && update.limit.is_none()
        && update.table.joins.is_empty();
    if plain { Ok(()) } else { Err("this form of UPDATE is not shared by the engines".to_owned()) }
}

fn check_assignments(assignments: &[sqlparser::ast::Assignment]) -> Result<(), String> {
    assignments.iter().try_for_each(|assignment| match &assignment.target {
        sqlparser::ast::AssignmentTarget::ColumnName(name) => check_name(name),
        sqlparser::ast::AssignmentTarget::Tuple(names) => names.iter().try_for_each(check_name),
    })
}

fn check_delete(delete: &Delete) -> Result<(), String> {
    let plain = delete.tables.is_empty()
        && delete.optimizer_hints.is_empty()
        && delete.using.is_none()
        && delete.output.is_none()
        && delete.order_by.is_empty()
        && delete.limit.is_none();
    if plain { Ok(()) } else { Err("this form of DELETE is not shared by the engines".to_owned()) }
}

fn check_create_table(table: &CreateTable) -> Result<(), String> {
    check_name(&table.name)?;
    let plain = CreateTableBuilder::new(table.name.clone())
        .if_not_exists(table.if_not_exists)
        .columns(table.columns.clone())
        .constraints(table.constraints.clone())
        .build();
    if *table != plain {
        return Err("a CREATE TABLE has columns and constraints, and nothing else".to_owned());
    }
    table.columns.iter().try_for_each(check_column)?;
    table.constraints.iter().try_for_each(|constraint| match constraint {
        TableConstraint::Unique(_) | TableConstraint::PrimaryKey(_) | TableConstraint::Check(_) => Ok(()),
        TableConstraint::ForeignKey(key) => check_foreign_key(key),
        other => Err(format!("the constraint {other} is not shared by the engines")),
    })
}

fn check_column(column: &ColumnDef) -> Result<(), String> {
    check_type(&column.data_type)?;
    column.options.iter().try_for_each(|option| match &option.option {
        ColumnOption::Null
        | ColumnOption::NotNull
        | ColumnOption::Default(_)
        | ColumnOption::PrimaryKey(_)
        | ColumnOption::Unique(_)
        | ColumnOption::Check(_) => Ok(()),
        ColumnOption::ForeignKey(key) => check_foreign_key(key),
        other => Err(format!("the column option {other} is not allowed here")),
    })
}

/// A deferred key would be checked when several transactions are committed
/// together, and fail all of them.
fn check_foreign_key(key: &ForeignKeyConstraint) -> Result<(), String> {
    if key.characteristics.is_some() || key.match_kind.is_some() {
        return Err("a foreign key is checked at once, not deferred".to_owned());
    }
    check_name(&key.foreign_table)
}

fn check_create_index(index: &CreateIndex) -> Result<(), String> {
    match &index.name {
        Some(name) => check_name(name)?,
        None => return Err("an index has a name".to_owned()),
    }
    let plain = index.using.is_none()
        && !index.concurrently
        && !index.r#async
        && index.include.is_empty()
        && index.nulls_distinct.is_none()
        && index.with.is_empty()
        && index.index_options.is_empty()
        && index.alter_options.is_empty()
        && index.columns.iter().all(|column| column.operator_class.is_none());
    if plain { Ok(()) } else { Err("this form of CREATE INDEX is not shared by the engines".to_owned()) }
}

fn check_alter_table(table: &AlterTable) -> Result<(), String> {
    if table.if_exists
        || table.only
        || table.location.is_some()
        || table.on_cluster.is_some()
        || table.table_type.is_some()
    {
        return Err("this form of ALTER TABLE is not shared by the engines".to_owned());
    }
    let [operation] = table.operations.as_slice() else {
        return Err("an ALTER TABLE changes one thing".to_owned());
    };
    match operation {
        AlterTableOperation::AddColumn { if_not_exists: false, column_def, column_position: None, .. } => {
            check_column(column_def)
        }
        AlterTableOperation::DropColumn { if_exists: false, drop_behavior: None, .. }
        | AlterTableOperation::RenameColumn { .. } => Ok(()),
        AlterTableOperation::RenameTable { table_name: RenameTableNameKind::To(name) } => check_name(name),
        other => Err(format!("{other} is not shared by the engines")),
    }
}
