//! `Mappings` and `Fn::FindInMap`.

use std::collections::BTreeMap;

use crate::error::{LabError, TemplateFault};
use crate::yaml::{Fields, Kind, Node};

/// Values by the mapping's name and two keys.
pub(super) type Mappings = BTreeMap<String, BTreeMap<String, BTreeMap<String, Node>>>;

/// Reads the section. A value is a text or a list of texts, without functions.
pub(super) fn read(fields: &Fields<'_>) -> Result<Mappings, LabError> {
    let mut mappings = Mappings::new();
    for (name, node) in fields.entries("Mappings")? {
        let mapping = mappings.entry(name.name.clone()).or_default();
        for (top, node) in node.map(&format!("mapping `{}`", name.name))? {
            let values = mapping.entry(top.name.clone()).or_default();
            for (second, value) in node.map(&format!("`{}` of mapping `{}`", top.name, name.name))? {
                let what = format!("`{}` of `{}` of mapping `{}`", second.name, top.name, name.name);
                match &value.kind {
                    Kind::List(_) => {
                        value.list(&what)?.iter().try_for_each(|item| item.text(&what).map(drop))?;
                    }
                    _ => drop(value.text(&what)?),
                }
                values.insert(second.name.clone(), value.clone());
            }
        }
    }
    Ok(mappings)
}

/// What the mapping called `map` has under two keys.
pub(super) fn find<'m>(
    mappings: &'m Mappings,
    map: &Node,
    top: &Node,
    second: &Node,
) -> Result<&'m Node, LabError> {
    let what = "an argument of Fn::FindInMap";
    let missing =
        |node: &Node, key: &str, of: String| node.error(TemplateFault::NotMapped { key: key.to_owned(), of });
    let (name, first, last) = (map.text(what)?, top.text(what)?, second.text(what)?);
    let mapping = mappings.get(name).ok_or_else(|| missing(map, name, "`Mappings`".to_owned()))?;
    let values = mapping.get(first).ok_or_else(|| missing(top, first, format!("mapping `{name}`")))?;
    values.get(last).ok_or_else(|| missing(second, last, format!("`{first}` of mapping `{name}`")))
}
