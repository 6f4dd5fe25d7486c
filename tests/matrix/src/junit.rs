//! Rows for continuous integration: JUnit XML.

use crate::{row::Row, table};
use std::fmt::Write;

/// The whole document.
pub fn document(rows: &[Row]) -> String {
    let failures = rows.iter().filter(|row| !row.passed()).count();
    let seconds = rows.iter().map(|row| row.wall_ms).sum::<u64>() as f64 / 1000.0;
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _infallible = writeln!(
        text,
        "<testsuite name=\"tessera-matrix\" tests=\"{}\" failures=\"{failures}\" \
         time=\"{seconds:.3}\">",
        rows.len()
    );
    rows.iter().for_each(|row| case(&mut text, row));
    text + "</testsuite>\n"
}

fn case(text: &mut String, row: &Row) {
    let _infallible = write!(
        text,
        "  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
        row.boot.mode.name(),
        row.boot.scenario.name,
        row.wall_ms as f64 / 1000.0
    );
    if row.passed() {
        text.push_str("/>\n");
        return;
    }
    let message = escape(&row.complaints().join("; "));
    let body = escape(&table::explanation(row));
    let _infallible = write!(
        text,
        ">\n    <failure message=\"{message}\">{body}</failure>\n  </testcase>\n"
    );
}

/// Text for attributes and content; characters that XML 1.0 forbids become `?`.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => safe.push('?'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{Expected, Outcome},
        scenario::{ALL, Boot},
    };
    use tessera_defs::mode::Mode;

    #[test]
    fn failures_are_counted_and_escaped() {
        let boot = Boot {
            mode: Mode::None,
            scenario: &ALL[0],
            expected: Expected::Runs,
        };
        let good = Row::new(boot, Outcome::Runs);
        let bad = Row::new(boot, Outcome::Panic("<a & \"b\">\u{1b}".into()));
        let text = document(&[good, bad]);
        assert!(text.contains("tests=\"2\" failures=\"1\""));
        assert!(text.contains("&lt;a &amp; &quot;b&quot;&gt;?"));
        assert_eq!(text.matches("<testcase").count(), 2);
    }
}
