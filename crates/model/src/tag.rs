//! Tags: names and values that people give to resources (EC2 User Guide, "Tag your Amazon EC2 resources").

use std::collections::BTreeMap;

use crate::fault::{Fault, InvalidValue};

mod tagged_resource;

pub use tagged_resource::TaggedResource;

/// The tags of a resource: key -> value.
pub type Tags = BTreeMap<String, String>;

const MOST: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// The value of the tag that names a resource to people.
pub(crate) fn name(tags: &Tags) -> Option<&str> {
    tags.get("Name").map(String::as_str)
}

/// Whether a resource can have these tags.
pub(crate) fn check(tags: &Tags) -> Result<(), Fault> {
    if tags.len() > MOST {
        return Err(Fault::TagLimitExceeded);
    }
    for (key, value) in tags {
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(InvalidValue::ReservedTagKey.into());
        }
        if key.is_empty() || key.chars().count() > LONGEST_KEY {
            return Err(InvalidValue::TagKey(key.clone()).into());
        }
        if value.chars().count() > LONGEST_VALUE {
            return Err(InvalidValue::TagValue(value.clone()).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> Tags {
        Tags::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn limits() {
        assert_eq!(check(&one(&"k".repeat(128), &"v".repeat(256))), Ok(()));
        assert_eq!(check(&one("aw", "é")), Ok(()));
        assert_eq!(check(&one("ééé", "")), Ok(()), "no character is cut in two");
        for tags in [one("", "v"), one(&"k".repeat(129), ""), one("k", &"v".repeat(257)), one("AWS:x", "v")] {
            assert_eq!(check(&tags).unwrap_err().code(), "InvalidParameterValue");
        }
        let many: Tags = (0..51).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(check(&many), Err(Fault::TagLimitExceeded));
    }
}
