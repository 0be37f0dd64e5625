//! What a statement's text may be made of, before anything parses it.

use sqlparser::{
    dialect::SQLiteDialect,
    keywords::Keyword,
    tokenizer::{Token, Tokenizer, Word},
};

/// Chains of operators become trees as deep as they are long, whatever the
/// parser's own limit, and trees are walked recursively.
const OPERATORS: usize = 256;

/// Names that begin so belong to the host or to a database engine.
const FOREIGN_PREFIXES: [&str; 4] = ["host_", "sqlite_", "pg_", "pragma_"];

/// Names of catalogs, of tables that an engine makes up, and of what it knows
/// in every table or statement: some are words of one engine and names for the
/// other.
const FOREIGN_NAMES: [&str; 24] = [
    "information_schema",
    "dbstat",
    "bytecode",
    "tables_used",
    "json_each",
    "json_tree",
    "jsonb_each",
    "jsonb_tree",
    "_rowid_",
    "cmax",
    "cmin",
    "ctid",
    "current_catalog",
    "current_role",
    "current_schema",
    "current_user",
    "localtime",
    "localtimestamp",
    "oid",
    "rowid",
    "session_user",
    "tableoid",
    "xmax",
    "xmin",
];

/// Splits a text into tokens of which each is harmless.
pub(super) fn check(dialect: &SQLiteDialect, text: &str, most: usize) -> Result<Vec<Token>, String> {
    let tokens = Tokenizer::new(dialect, text).tokenize().map_err(|error| format!("not a statement: {error}"))?;
    if tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).count() > most {
        return Err(format!("more than {most} words and signs in one statement"));
    }
    let mut operators = 0_usize;
    for token in &tokens {
        operators += usize::from(check_token(token)?);
    }
    if operators > OPERATORS {
        return Err(format!("more than {OPERATORS} operators in one statement"));
    }
    Ok(tokens)
}

/// The word that a text begins with, in upper case.
pub(super) fn verb(tokens: &[Token]) -> Option<String> {
    tokens.iter().find_map(|token| match token {
        Token::Word(word) => Some(word.value.to_ascii_uppercase()),
        _ => None,
    })
}

/// Whether the token is an operator; an error if it is none that is allowed.
fn check_token(token: &Token) -> Result<bool, String> {
    match token {
        Token::Word(word) => check_word(word),
        Token::SingleQuotedString(text) if text.contains(['\'', '\\', '\0']) => {
            Err("a text with a quote, a backslash or a zero in it has to be a parameter".to_owned())
        }
        Token::Number(digits, false) if !digits.contains('_') => Ok(false),
        Token::Placeholder(name) if placeholder(name).is_some() => Ok(false),
        Token::Placeholder(name) => Err(format!("parameters are $1, $2, ..., not {name}")),
        Token::SingleQuotedString(_)
        | Token::Comma
        | Token::LParen
        | Token::RParen
        | Token::Whitespace(_)
        | Token::SemiColon
        | Token::EOF => Ok(false),
        Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::Period => Ok(true),
        other => Err(format!("{other} is not allowed here")),
    }
}

fn check_word(word: &Word) -> Result<bool, String> {
    if !matches!(word.quote_style, None | Some('"')) {
        return Err(format!("a name is quoted with \", not like {word}"));
    }
    let mut letters = word.value.chars();
    let named = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if !named {
        return Err(format!("a name is made of letters, digits and _, not like {word}"));
    }
    let lower = word.value.to_ascii_lowercase();
    if FOREIGN_NAMES.contains(&lower.as_str()) || FOREIGN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(format!("{word} is not a name of the component"));
    }
    Ok(word.quote_style.is_none()
        && matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::BETWEEN
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
        ))
}

/// The number of a `$1`.
pub(super) fn placeholder(name: &str) -> Option<usize> {
    let digits = name.strip_prefix('$')?;
    let plain = (1..=4).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && !digits.starts_with('0');
    plain.then(|| digits.parse().ok()).flatten()
}
