//! Properties without their places, to be kept and compared.

use serde_json::{Map, Value};

use crate::error::Place;
use crate::yaml::{Key, Kind, Node};

/// A value as it is kept. All that is no list or mapping is text, as it was written; what is left empty is left out.
pub(super) fn kept(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { null: true, .. } => Value::Null,
        Kind::Scalar { text, .. } => Value::String(text.clone()),
        Kind::List(items) => Value::Array(items.iter().map(kept).collect()),
        Kind::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.name.clone(), kept(value)));
            Value::Object(entries.filter(|(_, value)| !value.is_null()).collect())
        }
    }
}

/// The value that was kept, as if it stood at `place`.
pub(super) fn read(value: &Value, place: &Place) -> Node {
    let scalar = |text: &str| Kind::Scalar { text: text.to_owned(), null: false };
    let kind = match value {
        Value::Null => Kind::Scalar { text: String::new(), null: true },
        Value::String(text) => scalar(text),
        Value::Bool(truth) => scalar(if *truth { "true" } else { "false" }),
        Value::Number(number) => scalar(&number.to_string()),
        Value::Array(items) => Kind::List(items.iter().map(|item| read(item, place)).collect()),
        Value::Object(entries) => {
            let key = |name: &String| Key { name: name.clone(), place: place.clone() };
            Kind::Map(entries.iter().map(|(name, value)| (key(name), read(value, place))).collect())
        }
    };
    Node { place: place.clone(), tag: None, kind }
}

/// The keys of two mappings whose values differ.
pub(super) fn differing(old: &Value, new: &Value) -> Vec<String> {
    let none = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&none), new.as_object().unwrap_or(&none));
    let mut keys: Vec<_> =
        old.keys().chain(new.keys()).filter(|key| old.get(*key) != new.get(*key)).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_is_kept_is_what_was_there() {
        let text = "A: 1\nB: [x, {C: true}]\nD:\n";
        let node = Node::parse(&Arc::from("t.yaml"), text).unwrap();
        let value = kept(&node);
        assert_eq!(value.to_string(), r#"{"A":"1","B":["x",{"C":"true"}]}"#);
        let again = read(&value, &node.place);
        assert_eq!(kept(&again), value);
        let other = Node::parse(&Arc::from("t.yaml"), "A: '1'\nB: [x, {C: false}]\nE: 2").unwrap();
        assert_eq!(differing(&value, &kept(&other)), ["B", "E"]);
        assert!(differing(&value, &value).is_empty());
    }
}
