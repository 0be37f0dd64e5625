//! Rows of a file with comma-separated values (RFC 4180). A spreadsheet that opens
//! the file runs no formula of a text that a stranger chose.

use host_base::printable::printable;

/// The characters with which a spreadsheet begins a formula. Some programs take the
/// wide forms for the same.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// A row with its end.
pub(super) fn row<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell).collect();
    format!("{}\r\n", cells.join(","))
}

/// A text in quotes and on one line. An apostrophe makes a formula a text.
fn cell(text: &str) -> String {
    let text = printable(text);
    let formula = text.trim_start().starts_with(FORMULA);
    let apostrophe = if formula { "'" } else { "" };
    format!("\"{apostrophe}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_in_its_cell_and_on_its_line() {
        let texts = ["plain", "", "a,b", "say \"x\"", "two\r\nlines", "tab\there"];
        let expected = "\"plain\",\"\",\"a,b\",\"say \"\"x\"\"\",\"two\\r\\nlines\",\"tab\\there\"\r\n";
        assert_eq!(row(texts), expected);
    }

    #[test]
    fn no_text_is_a_formula() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u{3000}=1", "\u{ff1d}1", "=cmd|' /C calc'!A0"] {
            assert!(cell(formula).starts_with("\"'"), "{formula}: {}", cell(formula));
        }
        for formula in ["\t=1", "\r=1", "\n=1", "\u{200b}=1"] {
            assert!(cell(formula).starts_with("\"\\"), "{formula:?}: {}", cell(formula));
        }
        assert_eq!(cell("1-1=0"), "\"1-1=0\"", "no formula begins so");
    }
}
