//! The list of actions in `docs/api.md` is made from the code. `RINGWALL_WRITE_PAGE=1 cargo test -p control --test
//! api_page` writes it anew.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fmt::Write as _;
use std::path::Path;

use control::ec2::reference::{Parameter, Standing};

const BEGIN: &str = "<!-- From here the page is made from the code (crates/control/tests/api_page.rs). -->\n";
const END: &str = "<!-- To here. -->\n";
const WIDTH: usize = 118;

#[test]
fn the_page_lists_what_the_code_takes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap_or_else(|| panic!("no line {BEGIN}"));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("no line {END}"));
    let expected = format!("{before}{BEGIN}{}{END}{after}", listing());
    if std::env::var_os("RINGWALL_WRITE_PAGE").is_some() {
        std::fs::write(&path, &expected).unwrap();
        return;
    }
    for (line, (is, should)) in page.lines().zip(expected.lines()).enumerate() {
        assert_eq!(is, should, "line {} of docs/api.md: see the head of this test's file", line + 1);
    }
    assert_eq!(page.len(), expected.len());
}

fn listing() -> String {
    let mut text = String::new();
    for action in control::ec2::actions() {
        let kind = |wanted: fn(&Standing) -> bool| {
            let of_kind = action.parameters.iter().filter(move |parameter| wanted(&parameter.standing));
            of_kind.map(shown).collect::<Vec<_>>().join(", ")
        };
        writeln!(text, "\n### {}\n", action.name).unwrap();
        let carried_out =
            |standing: &Standing| matches!(standing, Standing::Text | Standing::Number | Standing::Boolean);
        for (head, parameters) in [
            ("Carried out", kind(carried_out)),
            ("Only with these values", kind(|standing| matches!(standing, Standing::Only(_)))),
            ("Refused", kind(|standing| *standing == Standing::Refused)),
        ] {
            if !parameters.is_empty() {
                text.push_str(&wrapped(&format!("- {head}: {parameters}.")));
            }
        }
        if action.parameters.is_empty() {
            text.push_str("No parameters.\n");
        }
    }
    text.push('\n');
    text
}

fn shown(parameter: &Parameter) -> String {
    match parameter.standing {
        Standing::Only(values) => {
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("`{}` ({})", parameter.name, values.join(" "))
        }
        _ => format!("`{}`", parameter.name),
    }
}

/// An item of a list, in lines.
fn wrapped(item: &str) -> String {
    let mut lines = vec![String::new()];
    for word in item.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.len() + word.len() < WIDTH => {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(word);
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
