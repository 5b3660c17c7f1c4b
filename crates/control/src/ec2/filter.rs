//! Filters of the Describe actions ("Amazon EC2 User Guide", "List and filter your resources").
//!
//! A filter looks at what the answer shows: each filter's name stands for a path in the answer. What EC2 finds and
//! does not show is there as a [`Findable`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::error::Error;
use super::xml::HIDDEN;

/// A filter of a request. Any of its values will do; a request's filters must all be met.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Filter {
    name: String,
    #[serde(default)]
    value: Vec<String>,
}

/// The filters of an action, each with the path of what it looks at. A path goes through all items of a list. A
/// filter "tag-key" brings the filters "tag:…" with it.
pub(super) type Names = [(&'static str, &'static str)];

/// A member of an answer that filters find, shown or not.
#[derive(Debug)]
pub(super) struct Findable<T> {
    value: T,
    hidden: bool,
}

/// Most values of all filters of a request.
const MOST_VALUES: usize = 200;

/// Filters, looked up in an action's names.
pub(super) struct Filters<'a>(Vec<(Look<'a>, &'a [String])>);

enum Look<'a> {
    /// At a path.
    At(&'static str),
    /// At the tag of this key, in the list at a path.
    AtTag(&'static str, &'a str),
}

impl<'a> Filters<'a> {
    /// Looks up the filters of a request.
    pub(super) fn new(asked: &'a [Filter], names: &Names) -> Result<Self, Error> {
        if asked.iter().map(|filter| filter.value.len()).sum::<usize>() > MOST_VALUES {
            return Err(Error::TooManyFilterValues(MOST_VALUES));
        }
        let find = |name: &str| names.iter().find(|(known, _)| *known == name).map(|(_, path)| *path);
        let look = |filter: &'a Filter| {
            let look = match filter.name.strip_prefix("tag:") {
                Some(key) => {
                    let tags = find("tag-key").and_then(|path| path.strip_suffix(".key"));
                    tags.map(|tags| Look::AtTag(tags, key))
                }
                None => find(&filter.name).map(Look::At),
            };
            let look = look.ok_or_else(|| Error::UnknownFilter(filter.name.clone()))?;
            if filter.value.is_empty() {
                return Err(Error::MissingParameter(format!("Filter.Value of {}", filter.name)));
            }
            Ok((look, filter.value.as_slice()))
        };
        asked.iter().map(look).collect::<Result<_, _>>().map(Filters)
    }

    /// Whether a resource, as it would be shown, meets all of them.
    pub(super) fn let_through(&self, shown: &impl Serialize) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Ok(shown) = serde_json::to_value(shown) else { return false };
        self.0.iter().all(|(look, patterns)| {
            let mut met = false;
            let mut see = |value: &Value| {
                met |= text(value).is_some_and(|value| patterns.iter().any(|pattern| fits(pattern, &value)));
            };
            match look {
                Look::At(path) => visit(&shown, path, &mut see),
                Look::AtTag(path, key) => visit(&shown, path, &mut |tag| {
                    if tag.get("key").and_then(Value::as_str) == Some(key) {
                        tag.get("value").into_iter().for_each(&mut see);
                    }
                }),
            }
            met
        })
    }
}

impl<T> Findable<T> {
    /// From now on it is found only.
    pub(super) fn hide(&mut self) {
        self.hidden = true;
    }
}

impl<T> From<T> for Findable<T> {
    fn from(value: T) -> Self {
        Findable { value, hidden: false }
    }
}

impl<T: Serialize> Serialize for Findable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.hidden {
            serializer.serialize_newtype_struct(HIDDEN, &self.value)
        } else {
            self.value.serialize(serializer)
        }
    }
}

/// Calls `see` with each value at `path`.
fn visit(value: &Value, path: &str, see: &mut dyn FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, path, see)),
        _ if path.is_empty() => see(value),
        Value::Object(members) => {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(member) = members.get(name) {
                visit(member, rest, see);
            }
        }
        _ => {}
    }
}

/// What a filter compares.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into()),
        _ => None,
    }
}

/// Whether `text` is what `pattern` describes: `*` is any text, `?` any character, `\` takes the next one as it is.
fn fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<Part> = parts(pattern).collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut from) = (0, 0);
    // The last star, and how far the text after what it stands for begins.
    let mut star = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(Part::Many) => {
                star = Some((at, from));
                at += 1;
                continue;
            }
            Some(Part::One) => {
                (at, from) = (at + 1, from + 1);
                continue;
            }
            Some(Part::Just(c)) if *c == text[from] => {
                (at, from) = (at + 1, from + 1);
                continue;
            }
            _ => {}
        }
        let Some((many, eaten)) = star else { return false };
        star = Some((many, eaten + 1));
        (at, from) = (many + 1, eaten + 1);
    }
    pattern[at..].iter().all(|part| matches!(part, Part::Many))
}

enum Part {
    Just(char),
    One,
    Many,
}

fn parts(pattern: &str) -> impl Iterator<Item = Part> {
    let mut rest = pattern.chars();
    std::iter::from_fn(move || {
        Some(match rest.next()? {
            '*' => Part::Many,
            '?' => Part::One,
            '\\' => Part::Just(rest.next().unwrap_or('\\')),
            other => Part::Just(other),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: &Names = &[
        ("state", "state.name"),
        ("port", "rules.port"),
        ("group", "rules.groups.id"),
        ("tag-key", "tagSet.key"),
    ];

    fn shown() -> Value {
        serde_json::json!({
            "state": {"name": "running", "code": 16},
            "rules": [{"port": 22, "groups": [{"id": "a"}, {"id": "b"}]}, {"port": 80, "groups": []}],
            "tagSet": [{"key": "Name", "value": "web"}, {"key": "Stage", "value": ""}],
            "nothing": null,
        })
    }

    fn met(filters: &[(&str, &[&str])]) -> Result<bool, Error> {
        let filters: Vec<_> = filters
            .iter()
            .map(|(name, values)| Filter {
                name: (*name).to_owned(),
                value: values.iter().map(|&value| value.to_owned()).collect(),
            })
            .collect();
        Ok(Filters::new(&filters, NAMES)?.let_through(&shown()))
    }

    #[test]
    fn any_value_of_every_filter() {
        for (filters, expected) in [
            (&[][..], true),
            (&[("state", &["stopped", "running"][..])], true),
            (&[("state", &["runn"])], false),
            (&[("state", &["r*g"]), ("port", &["80"])], true),
            (&[("state", &["r*g"]), ("port", &["81"])], false),
            (&[("group", &["b"])], true),
            (&[("tag:Name", &["w?b"])], true),
            (&[("tag:name", &["web"])], false),
            (&[("tag:Stage", &[""])], true),
            (&[("tag:Owner", &["*"])], false),
            (&[("tag-key", &["St*"])], true),
        ] {
            assert_eq!(met(filters).unwrap(), expected, "{filters:?}");
        }
        assert_eq!(met(&[("stat", &["x"])]).unwrap_err().code(), "InvalidParameterValue");
        assert_eq!(met(&[("state", &[])]).unwrap_err().code(), "MissingParameter");
        assert_eq!(met(&[("state", &["x"; 201])]).unwrap_err().code(), "FilterLimitExceeded");
    }

    #[test]
    fn what_is_hidden_is_found() {
        #[derive(Serialize)]
        struct Shown {
            state: Findable<State>,
        }
        #[derive(Serialize)]
        struct State {
            name: &'static str,
        }
        let mut shown = Shown { state: State { name: "running" }.into() };
        let document = |shown: &Shown| crate::ec2::xml::document("Shown", "", shown).unwrap();
        assert!(document(&shown).contains("<name>running</name>"));
        shown.state.hide();
        assert!(document(&shown).ends_with("<Shown></Shown>"));
        let filter = [Filter { name: "state".to_owned(), value: vec!["running".to_owned()] }];
        assert!(Filters::new(&filter, NAMES).unwrap().let_through(&shown));
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("?", "", false),
            ("a*c*e", "abcde", true),
            ("a*c*f", "abcde", false),
            ("*.*", "a.b.c", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            (r"a\", r"a\", true),
            ("**?", "ü", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_fits_itself_with_anything_put_between(text in "[ab]{0,6}", at in 0_usize..6, more in "[ab]{0,3}") {
            let at = at.min(text.len());
            let (before, after) = text.split_at(at);
            let longer = format!("{before}{more}{after}");
            let starred = format!("{before}*{after}");
            prop_assert!(fits(&text, &text));
            prop_assert!(fits(&starred, &longer));
            prop_assert_eq!(fits(&text, &longer), more.is_empty() || text == longer);
        }
    }
}
