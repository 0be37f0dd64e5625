//! Prometheus' text format, version 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use super::{Family, Kind, Labels, Value, storage::Distribution};
use std::fmt::{self, Write};

/// Renders all families. The lines of one family stay together.
pub(super) fn render(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        // A write to a `String` does not fail.
        let _ = write_family(&mut text, family);
    }
    text
}

fn write_family(text: &mut String, family: &Family) -> fmt::Result {
    let Family { name, description, kind, series } = family;
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    if !description.is_empty() {
        writeln!(text, "# HELP {name} {description}")?;
    }
    writeln!(text, "# TYPE {name} {kind}")?;
    for (labels, value) in series {
        match value {
            Value::Counter(count) => writeln!(text, "{name}{} {count}", LabelSet(labels, None))?,
            Value::Gauge(level) => writeln!(text, "{name}{} {level}", LabelSet(labels, None))?,
            Value::Histogram(distribution) => write_histogram(text, name, labels, distribution)?,
        }
    }
    text.write_char('\n')
}

fn write_histogram(text: &mut String, name: &str, labels: &Labels, distribution: &Distribution) -> fmt::Result {
    let mut cumulative = 0;
    for (bound, count) in distribution.bounds.iter().zip(&distribution.counts) {
        cumulative += count;
        writeln!(text, "{name}_bucket{} {cumulative}", LabelSet(labels, Some(&bound.to_string())))?;
    }
    let count = distribution.count();
    writeln!(text, "{name}_bucket{} {count}", LabelSet(labels, Some("+Inf")))?;
    writeln!(text, "{name}_sum{} {}", LabelSet(labels, None), distribution.sum)?;
    writeln!(text, "{name}_count{} {count}", LabelSet(labels, None))
}

/// Labels in braces. The bound of a bucket is one more label.
struct LabelSet<'a>(&'a Labels, Option<&'a str>);

impl fmt::Display for LabelSet<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = self.1.map(|bound| ("le", bound));
        let labels = self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(bound);
        let mut separator = '{';
        for (name, value) in labels {
            write!(formatter, "{separator}{name}=\"")?;
            for character in value.chars() {
                match character {
                    '\\' => formatter.write_str("\\\\")?,
                    '"' => formatter.write_str("\\\"")?,
                    '\n' => formatter.write_str("\\n")?,
                    other => formatter.write_char(other)?,
                }
            }
            formatter.write_char('"')?;
            separator = ',';
        }
        if separator == ',' { formatter.write_char('}') } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family(kind: Kind, labels: &[(&str, &str)], value: Value) -> Family {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Family { name: "x".to_owned(), description: "What it is.", kind, series: vec![(labels, value)] }
    }

    #[test]
    fn a_counter_and_a_gauge_have_a_line_each() {
        let counter = family(Kind::Counter, &[("a", "1"), ("b", "2")], Value::Counter(3));
        assert_eq!(render(&[counter]), "# HELP x What it is.\n# TYPE x counter\nx{a=\"1\",b=\"2\"} 3\n\n");
        let gauge = family(Kind::Gauge, &[], Value::Gauge(0.5));
        assert_eq!(render(&[gauge]), "# HELP x What it is.\n# TYPE x gauge\nx 0.5\n\n");
    }

    #[test]
    fn the_buckets_of_a_histogram_add_up() {
        let distribution = Distribution { bounds: &[1.0, 2.5], counts: vec![2, 0, 1], sum: 12.0 };
        let text = render(&[family(Kind::Histogram, &[("a", "1")], Value::Histogram(distribution))]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "x_bucket{a=\"1\",le=\"1\"} 2",
                "x_bucket{a=\"1\",le=\"2.5\"} 2",
                "x_bucket{a=\"1\",le=\"+Inf\"} 3",
                "x_sum{a=\"1\"} 12",
                "x_count{a=\"1\"} 3",
                "",
            ]
        );
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let counter = family(Kind::Counter, &[("a", "\"} 1\nx{b=\"\\")], Value::Counter(1));
        assert!(render(&[counter]).ends_with("x{a=\"\\\"} 1\\nx{b=\\\"\\\\\"} 1\n\n"));
    }
}
