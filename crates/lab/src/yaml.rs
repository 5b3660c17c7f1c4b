//! A YAML document as a tree that still knows where each part stands.

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::error::{LabError, Place, Wrong};

/// Deeper trees are refused: everything that walks them recurses.
const DEEPEST: usize = 48;

/// One value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    /// A local tag such as `!Ref`.
    pub(crate) tag: Option<String>,
    pub(crate) kind: Kind,
}

/// The three kinds of YAML values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any scalar as text: whoever reads it knows what it must be. `null` is one left empty.
    Scalar {
        text: String,
        null: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a mapping's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

impl Key {
    /// The key as a value, to be read like one.
    pub(crate) fn as_node(&self) -> Node {
        let kind = Kind::Scalar { text: self.name.clone(), null: false };
        Node { place: self.place.clone(), tag: None, kind }
    }
}

impl Node {
    /// Reads the one document of `text`; `file` is what errors call it.
    pub(crate) fn parse(file: &Arc<str>, text: &str) -> Result<Self, LabError> {
        Builder { file, open: Vec::new(), root: None }.run(text)
    }

    /// The entries of a mapping, each key once. `what` names it in errors.
    pub(crate) fn map(&self, what: &str) -> Result<&[(Key, Self)], LabError> {
        self.untagged()?;
        let Kind::Map(entries) = &self.kind else { return Err(self.wrong_kind(what, "a mapping")) };
        Ok(entries)
    }

    /// The items of a list.
    pub(crate) fn list(&self, what: &str) -> Result<&[Self], LabError> {
        self.untagged()?;
        let Kind::List(items) = &self.kind else { return Err(self.wrong_kind(what, "a list")) };
        Ok(items)
    }

    /// The text of a scalar.
    pub(crate) fn text(&self, what: &str) -> Result<&str, LabError> {
        self.untagged()?;
        match &self.kind {
            Kind::Scalar { text, null: false } => Ok(text),
            _ => Err(self.wrong_kind(what, "a single value")),
        }
    }

    pub(crate) fn error(&self, wrong: impl Into<Box<Wrong>>) -> LabError {
        self.place.error(wrong)
    }

    fn untagged(&self) -> Result<(), LabError> {
        match &self.tag {
            Some(tag) => Err(self.error(Wrong::Tag(tag.clone()))),
            None => Ok(()),
        }
    }

    fn wrong_kind(&self, what: &str, expected: &'static str) -> LabError {
        let found = match &self.kind {
            Kind::Scalar { null: true, .. } => "left empty",
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        };
        self.error(Wrong::Kind { what: what.to_owned(), expected, found })
    }
}

/// Reads a mapping whose keys are known beforehand.
pub(crate) struct Fields<'n> {
    pub(crate) place: &'n Place,
    what: String,
    known: &'static [&'static str],
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// Refuses every key that is not in `known`. `what` names the mapping in errors.
    pub(crate) fn of(
        node: &'n Node,
        what: impl Into<String>,
        known: &'static [&'static str],
    ) -> Result<Self, LabError> {
        let what = what.into();
        let entries = node.map(&what)?;
        if let Some((key, _)) = entries.iter().find(|(key, _)| !known.contains(&key.name.as_str())) {
            let key_name = key.name.clone();
            return Err(key.place.error(Wrong::UnknownKey { key: key_name, what, known }));
        }
        Ok(Self { place: &node.place, what, known, entries })
    }

    /// The value of a key, if the key is there and not left empty.
    pub(crate) fn optional(&self, key: &'static str) -> Option<&'n Node> {
        debug_assert!(self.known.contains(&key), "`{key}` must be known before it is read");
        let (_, node) = self.entries.iter().find(|(k, _)| k.name == key)?;
        let empty = node.tag.is_none() && matches!(node.kind, Kind::Scalar { null: true, .. });
        (!empty).then_some(node)
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, key: &'static str) -> Result<&'n Node, LabError> {
        self.optional(key).ok_or_else(|| self.place.error(Wrong::MissingKey { key, what: self.what.clone() }))
    }

    /// The entries of a mapping under an optional key.
    pub(crate) fn entries(&self, key: &'static str) -> Result<&'n [(Key, Node)], LabError> {
        self.optional(key).map_or(Ok(&[]), |node| node.map(&self.label(key)))
    }

    /// The items of a list under an optional key.
    pub(crate) fn items(&self, key: &'static str) -> Result<&'n [Node], LabError> {
        self.optional(key).map_or(Ok(&[]), |node| node.list(&self.label(key)))
    }

    /// The one of `keys` that is there, when exactly one is.
    pub(crate) fn one_of(&self, keys: &'static [&'static str]) -> Result<(&'static str, &'n Node), LabError> {
        let mut there = keys.iter().filter_map(|key| Some((*key, self.optional(key)?)));
        match (there.next(), there.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(self.place.error(Wrong::OneOf { what: self.what.clone(), keys })),
        }
    }

    fn label(&self, key: &str) -> String {
        format!("`{key}` of {}", self.what)
    }
}

/// Makes the tree from the parser's events.
struct Builder<'f> {
    file: &'f Arc<str>,
    open: Vec<Open>,
    root: Option<Node>,
}

/// A list or mapping whose end has not come yet.
enum Open {
    List { node: Node, items: Vec<Node> },
    Map { node: Node, entries: Vec<(Key, Node)>, key: Option<Key> },
}

impl Builder<'_> {
    fn run(mut self, text: &str) -> Result<Node, LabError> {
        let mut parser = Parser::new_from_str(text);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            let place = self.place(&span.start);
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(place.error(Wrong::YamlFeature("a second document")));
                    }
                }
                Event::Alias(_) => return Err(place.error(Wrong::YamlFeature("a YAML alias"))),
                Event::Scalar(text, style, _, tag) => {
                    let null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null");
                    let kind = Kind::Scalar { text: text.into_owned(), null };
                    self.value(Node { place, tag: tag.map(local), kind })?;
                }
                Event::SequenceStart(_, tag) => {
                    let node = Node { place, tag: tag.map(local), kind: Kind::List(Vec::new()) };
                    self.begin(Open::List { node, items: Vec::new() })?;
                }
                Event::MappingStart(_, tag) => {
                    let node = Node { place, tag: tag.map(local), kind: Kind::Map(Vec::new()) };
                    self.begin(Open::Map { node, entries: Vec::new(), key: None })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end()?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        self.root.ok_or_else(|| {
            Place::whole(self.file).error(Wrong::Syntax("there is nothing in the file".to_owned()))
        })
    }

    fn begin(&mut self, open: Open) -> Result<(), LabError> {
        if self.open.len() >= DEEPEST {
            let (Open::List { node, .. } | Open::Map { node, .. }) = &open;
            return Err(node.error(Wrong::YamlFeature("such deep nesting")));
        }
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), LabError> {
        match self.open.pop() {
            Some(Open::List { node, items }) => self.value(Node { kind: Kind::List(items), ..node }),
            Some(Open::Map { node, entries, .. }) => self.value(Node { kind: Kind::Map(entries), ..node }),
            None => Ok(()), // the parser never closes what it has not opened
        }
    }

    /// A whole value: it belongs to the innermost list or mapping that is still open.
    fn value(&mut self, value: Node) -> Result<(), LabError> {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List { items, .. }) => items.push(value),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some(key) => entries.push((key, value)),
                None => {
                    let Kind::Scalar { text, .. } = value.kind else {
                        return Err(value.error(Wrong::YamlFeature("a list or mapping as a key")));
                    };
                    if let Some((first, _)) = entries.iter().find(|(k, _)| k.name == text) {
                        let first = first.place.line;
                        return Err(value.place.error(Wrong::DuplicateKey { key: text, first }));
                    }
                    *key = Some(Key { name: text, place: value.place });
                }
            },
        }
        Ok(())
    }

    fn place(&self, marker: &Marker) -> Place {
        Place { file: Arc::clone(self.file), line: marker.line(), column: marker.col() + 1 }
    }

    fn syntax(&self, error: &ScanError) -> LabError {
        self.place(error.marker()).error(Wrong::Syntax(error.info().to_owned()))
    }
}

fn local(tag: Cow<'_, Tag>) -> String {
    format!("{}{}", tag.handle, tag.suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, String> {
        Node::parse(&Arc::from("x.yaml"), text).map_err(|e| e.to_string())
    }

    #[test]
    fn knows_where_each_part_stands() {
        let root = parse("a: 1\nb:\n  - {c: !Ref d}\n").unwrap();
        let [(a, one), (b, list)] = root.map("x").unwrap() else { panic!("two keys") };
        assert_eq!((a.place.to_string(), one.place.to_string()), ("x.yaml:1:1".into(), "x.yaml:1:4".into()));
        assert_eq!(b.name, "b");
        let (c, d) = &list.list("x").unwrap()[0].map("x").unwrap()[0];
        assert_eq!((c.place.line, c.place.column), (3, 6));
        assert_eq!(d.tag.as_deref(), Some("!Ref"));
        assert_eq!(d.text("x").unwrap_err().to_string(), "x.yaml:3:9: the tag `!Ref` means nothing here");
    }

    #[test]
    fn reads_json_too() {
        let root = parse("{\"a\": {\"Ref\": \"b\"},\n \"c\": [1, true]}").unwrap();
        assert_eq!(root.map("x").unwrap()[1].0.place.line, 2);
    }

    #[test]
    fn refuses_with_a_place() {
        let cases = [
            ("", "x.yaml: not YAML: there is nothing in the file"),
            ("a: 1\na: 2", "x.yaml:2:1: `a` stands twice: already at line 1"),
            ("a: &x 1\nb: *x", "x.yaml:2:4: a YAML alias cannot be used here"),
            ("a: 1\n---\nb: 1", "x.yaml:2:1: a second document cannot be used here"),
            ("? [a]\n: b", "x.yaml:1:3: a list or mapping as a key cannot be used here"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap_err(), expected, "{text:?}");
        }
        let open = parse("a: [1, 2").unwrap_err();
        assert!(open.starts_with("x.yaml:2:1: not YAML: while parsing a flow sequence"), "{open}");
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(parse(&deep).unwrap_err(), "x.yaml:1:49: such deep nesting cannot be used here");
    }

    #[test]
    fn fields_are_known_or_refused() {
        let root = parse("a: 1\nfoo: 2\n").unwrap();
        let error = Fields::of(&root, "a host", &["a", "b"]).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "x.yaml:2:1: unknown key `foo` in a host (known: a, b)");
        let fields = Fields::of(&root, "a host", &["a", "foo", "b"]).unwrap();
        assert!(fields.optional("b").is_none());
        assert_eq!(fields.required("b").unwrap_err().to_string(), "x.yaml:1:1: a host lacks `b`");
        let error = fields.one_of(&["a", "foo"]).unwrap_err();
        assert_eq!(error.to_string(), "x.yaml:1:1: a host needs exactly one of a, foo");
    }
}
