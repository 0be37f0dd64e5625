//! What is wrong with a setting, and where it came from.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive};

/// The exit code for a bad setting: `EX_CONFIG` of `sysexits.h`.
pub const EXIT_CODE: u8 = 78;

/// Every problem that was found, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problems.join("\n"))]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    /// One problem.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problems: vec![problem.into()] }
    }

    pub(super) fn unless_empty(problems: Vec<String>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }

    /// The problems, each naming the setting and its source.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

/// A value that a setting cannot have. The source is added by `Sources`.
#[derive(Debug)]
pub struct Invalid {
    /// The dotted key in the file, such as `http.listen`.
    pub(super) setting: &'static str,
    /// Such as `must be 1 to 10`.
    pub(super) reason: String,
}

impl Invalid {
    pub(super) fn new(setting: &'static str, reason: impl Into<String>) -> Self {
        Self { setting, reason: reason.into() }
    }
}

/// The value or the default, if it is in the range.
pub(super) fn within<T: PartialOrd + Display>(
    setting: &'static str,
    value: Option<T>,
    default: T,
    range: RangeInclusive<T>,
) -> Result<T, Invalid> {
    let value = value.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    let (low, high) = range.into_inner();
    Err(Invalid::new(setting, format!("{value} is out of range: it must be {low} to {high}")))
}

/// Where settings came from, and what was wrong with them so far.
#[derive(Debug)]
pub(super) struct Sources {
    file: Option<String>,
    overridden: BTreeMap<&'static str, &'static str>,
    problems: Vec<String>,
}

impl Sources {
    pub(super) fn new(file: Option<String>) -> Self {
        Self { file, overridden: BTreeMap::new(), problems: Vec::new() }
    }

    /// Lays stronger values over what the file says, the strongest last. One
    /// that cannot be parsed is a problem of its source.
    pub(super) fn lay_over<T, const N: usize>(
        &mut self,
        slot: &mut Option<T>,
        setting: &'static str,
        layers: [(&'static str, Option<String>); N],
        parse: impl Fn(&str) -> Result<T, String>,
    ) {
        for (source, text) in layers {
            let Some(text) = text else { continue };
            match parse(&text) {
                Ok(value) => {
                    *slot = Some(value);
                    self.overridden.insert(setting, source);
                }
                Err(reason) => self.problem(format!("{source} ({setting}): {reason}")),
            }
        }
    }

    /// The validated section, or none and a problem.
    pub(super) fn section<R, T>(&mut self, raw: R) -> Option<T>
    where
        T: TryFrom<R, Error = Invalid>,
    {
        match T::try_from(raw) {
            Ok(section) => Some(section),
            Err(invalid) => {
                let setting = invalid.setting;
                let overridden = self.overridden.get(setting).copied();
                let source = overridden.or(self.file.as_deref());
                let problem = match source {
                    Some(source) => format!("{source} ({setting}): {}", invalid.reason),
                    None => format!("{setting}: {}", invalid.reason),
                };
                self.problems.push(problem);
                None
            }
        }
    }

    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        ConfigError::unless_empty(self.problems)
    }
}
