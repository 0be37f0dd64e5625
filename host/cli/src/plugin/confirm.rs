//! The question before a command that nobody can undo.

use super::{failure::Failure, output::complain};
use std::io::{self, IsTerminal};

/// Asks the user to type a name before data is deleted. `yes` answers for the user.
pub(super) fn confirm(deleted: &str, name: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!("this deletes {deleted}; --yes does it without a question")));
    }
    complain(&format_args!("This deletes {deleted}. Nobody can undo it. Type {name} to go on:"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Failure::Failed(error.to_string()))?;
    match answer.trim() == name {
        true => Ok(()),
        false => Err(Failure::Failed("nothing was deleted".to_owned())),
    }
}
