//! The table of all rows, as docs/nat-gateways.md has it.
#![expect(clippy::disallowed_methods, reason = "the table is a file, and so is the page")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::checklist::{Entry, Stand, rows};

/// Where the page's copy begins and ends.
const MARKS: [&str; 2] = ["<!-- the checklist, as the tests write it -->\n", "<!-- end of the checklist -->"];

#[test]
fn the_page_has_the_table_of_this_run() {
    let table = table();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../nat-checklist.md");
    fs::write(&target, &table).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/nat-gateways.md");
    let page = fs::read_to_string(page).unwrap();
    let copy = page.split(MARKS[0]).nth(1).and_then(|rest| rest.split(MARKS[1]).next()).unwrap();
    assert!(copy == table, "docs/nat-gateways.md is not as the tests are: copy target/nat-checklist.md");
}

fn table() -> String {
    let mut table = String::from(
        "| row | from | level | asks for | profile `aws` | profile `rfc` |\n|---|---|---|---|---|---|\n",
    );
    for row in rows() {
        let id = row.id.to_uppercase();
        let cells = [id, row.rfc.to_owned(), row.level.name().to_owned(), sentence(row.text)];
        let stands = [&row.aws, &row.rfc_profile].map(cell);
        let _ = writeln!(table, "| {} | {} |", cells.join(" | "), stands.join(" | "));
    }
    table
}

fn cell(entry: &Entry) -> String {
    match (entry.run(), entry.stand) {
        (Err(_), _) => "**FAILS**".to_owned(),
        (Ok(()), Stand::Met) => "pass".to_owned(),
        (Ok(()), Stand::Deviates(reason)) => format!("deviation: {reason}"),
        (Ok(()), Stand::DoesNotApply(reason)) => format!("not applicable: {reason}"),
    }
}

fn sentence(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}
