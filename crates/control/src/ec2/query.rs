//! Parameters of a request, and how they become typed structs.
//!
//! The EC2 protocol writes a structure as `Outer.Inner=value` and a list as `Name.1=a&Name.2=b`, counted from 1,
//! without `member` between ("Amazon EC2 API Reference", "Query requests").

mod deserializer;
mod outline;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::error::Error;
use deserializer::{Failure, Place, Unused};
pub(super) use outline::{Scalar, outline};

/// Members deeper than any of EC2's. Keeps a hostile request from a deep tree.
const DEEPEST: usize = 12;

/// Parameters that belong to the signature, whatever its version, and not to the action.
const OF_THE_SIGNATURE: [&str; 6] =
    ["AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp", "SecurityToken"];

/// A parameter that EC2 knows and that is carried out for some values only: its name with `N` for each index, and
/// these values. With none, the parameter is refused whatever its value. It stands for all members below it.
pub(super) type Limit = (&'static str, &'static [&'static str]);

/// The parameters of one request.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    root: Node,
}

/// A value, or the members below a name.
#[derive(Debug, Default)]
struct Node {
    value: Option<String>,
    members: BTreeMap<String, Node>,
}

impl Parameters {
    /// Reads the query string and the body, both as `application/x-www-form-urlencoded`. A later value takes the
    /// place of an earlier one of the same name.
    pub(super) fn parse(query: &[u8], body: &[u8]) -> Result<Self, Error> {
        let mut parameters = Parameters::default();
        for (name, value) in form_urlencoded::parse(query).chain(form_urlencoded::parse(body)) {
            if name.starts_with("X-Amz-") || OF_THE_SIGNATURE.contains(&name.as_ref()) {
                continue;
            }
            if name.chars().chain(value.chars()).any(|c| !in_xml(c)) {
                return Err(Error::InvalidCharacter(name.into_owned()));
            }
            parameters.insert(&name, value.into_owned())?;
        }
        Ok(parameters)
    }

    /// Takes a parameter that is no member of the action's own struct.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        // Members below it stay, to be told as what they are: unknown.
        self.root.members.get_mut(name)?.value.take()
    }

    /// Takes parameters, with all members below them, that are no members of the action's own struct.
    pub(super) fn split_off(&mut self, names: &[&str]) -> Parameters {
        let members = &mut self.root.members;
        let taken = names.iter().filter_map(|name| members.remove_entry(*name)).collect();
        Parameters { root: Node { value: None, members: taken } }
    }

    /// Makes an action's struct of them.
    ///
    /// # Errors
    /// A member is missing or its value invalid; or a parameter is no member of the struct, and unknown or refused
    /// by `limits`.
    pub(super) fn decode<T: DeserializeOwned>(&self, limits: &[Limit]) -> Result<T, Error> {
        let unused = Unused::default();
        let decoded = T::deserialize(Place::root(&self.root, &unused)).map_err(Failure::into_error);
        // What EC2 does not know is told first: a misspelt parameter is seldom a missing one.
        for (name, value) in unused.into_inner() {
            check(&name, &value, limits)?;
        }
        decoded
    }

    /// The same text for the same parameters, in whatever order they came.
    pub(super) fn canonical(&self) -> String {
        let mut text = form_urlencoded::Serializer::new(String::new());
        self.root.each(String::new(), &mut |name, value| {
            text.append_pair(&name, value);
        });
        text.finish()
    }

    fn insert(&mut self, name: &str, value: String) -> Result<(), Error> {
        if name.split('.').count() > DEEPEST {
            return Err(Error::UnknownParameter(name.to_owned()));
        }
        let mut node = &mut self.root;
        for part in name.split('.') {
            node = node.members.entry(part.to_owned()).or_default();
        }
        node.value = Some(value);
        Ok(())
    }
}

impl Node {
    /// Calls `f` with each name and value at and below `at`.
    fn each(&self, at: String, f: &mut dyn FnMut(String, &str)) {
        for (name, node) in &self.members {
            node.each(deserializer::below(&at, name), f);
        }
        if let Some(value) = &self.value {
            f(at, value);
        }
    }
}

/// Whether the value of a parameter that no member of the struct took can be gone over.
fn check(name: &str, value: &str, limits: &[Limit]) -> Result<(), Error> {
    let general: Vec<_> = name.split('.').map(|part| if is_index(part) { "N" } else { part }).collect();
    let general = general.join(".");
    let covers = |limit: &str| {
        general.strip_prefix(limit).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    match limits.iter().find(|(limit, _)| covers(limit)) {
        None => Err(Error::UnknownParameter(name.to_owned())),
        Some((_, values)) if values.iter().any(|fine| fine.eq_ignore_ascii_case(value)) => Ok(()),
        Some(_) => Err(Error::UnsupportedParameter { name: name.to_owned(), value: value.to_owned() }),
    }
}

fn is_index(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether XML 1.0 can hold a character, so that it can be shown again (section 2.2).
fn in_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::VpcId;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Wanted {
        vpc_id: VpcId,
        #[serde(default)]
        filter: Vec<Filter>,
        limit: Option<u16>,
        #[serde(default)]
        force: bool,
        address: Option<Ipv4Addr>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "PascalCase")]
    struct Filter {
        name: String,
        #[serde(default)]
        value: Vec<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Optional,
        Required,
    }

    const LIMITS: &[Limit] = &[("Tenancy", &["default"]), ("Filter.N.Extra", &[]), ("Launch", &[])];

    fn decode(form: &str) -> Result<Wanted, Error> {
        Parameters::parse(b"", form.as_bytes())?.decode(LIMITS)
    }

    fn refused(form: &str) -> (&'static str, String) {
        let error = decode(form).unwrap_err();
        (error.code(), error.to_string())
    }

    #[test]
    fn lists_structures_and_scalars() {
        let form = "VpcId=vpc-00000001&Filter.2.Name=b&Filter.2.Value.1=x&Filter.10.Name=c&Filter.1.Name=a%20+b\
                    &Limit=7&Force=true&Address=10.0.0.1&Kind=required&Tenancy=default&X-Amz-Date=1";
        let filter = |name: &str, value: &[&str]| Filter {
            name: name.to_owned(),
            value: value.iter().map(|&value| value.to_owned()).collect(),
        };
        let wanted = Wanted {
            vpc_id: "vpc-00000001".parse().unwrap(),
            filter: vec![filter("a  b", &[]), filter("b", &["x"]), filter("c", &[])],
            limit: Some(7),
            force: true,
            address: Some(Ipv4Addr::new(10, 0, 0, 1)),
            kind: Some(Kind::Required),
        };
        assert_eq!(decode(form).unwrap(), wanted);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (form, code, text) in [
            ("", "MissingParameter", "VpcId"),
            ("VpcId=vpc-1", "InvalidVpcID.Malformed", "vpc-1"),
            ("VpcId=vpc-00000001&Filter.1.Value.1=x", "MissingParameter", "Filter.1.Name"),
            ("VpcId=vpc-00000001&Limit=many", "InvalidParameterValue", "Limit"),
            ("VpcId=vpc-00000001&Limit=65536", "InvalidParameterValue", "Limit"),
            ("VpcId=vpc-00000001&Force=maybe", "InvalidParameterValue", "Force"),
            ("VpcId=vpc-00000001&Address=10.0.0", "InvalidParameterValue", "Address"),
            ("VpcId=vpc-00000001&Kind=none", "InvalidParameterValue", "Kind"),
            ("VpcId=vpc-00000001&Kidn=required", "UnknownParameter", "Kidn"),
            ("VpcId=vpc-00000001&Filter.1.Name=x&Filter.1.Nmae=x", "UnknownParameter", "Filter.1.Nmae"),
            ("VpcId=vpc-00000001&Filter.x=1", "UnknownParameter", "Filter.x"),
            ("VpcId=vpc-00000001&Filter=1", "UnknownParameter", "Filter"),
            ("VpcId.1=vpc-00000001", "UnknownParameter", "VpcId.1"),
            ("VpcId=vpc-00000001&Tenancy=dedicated", "UnsupportedOperation", "Tenancy"),
            ("VpcId=vpc-00000001&Filter.1.Name=x&Filter.1.Extra=1", "UnsupportedOperation", "Filter.1.Extra"),
            ("VpcId=vpc-00000001&Launch.3.Id=7", "UnsupportedOperation", "Launch.3.Id"),
            ("VpcId=vpc-00000001&Launcher=7", "UnknownParameter", "Launcher"),
            ("VpcId=vpc%2D00000001&A.B.C.D.E.F.G.H.I.J.K.L.M=1", "UnknownParameter", "A.B.C"),
            ("VpcId=vpc-00000001%00", "InvalidCharacter", "VpcId"),
        ] {
            let (is, message) = refused(form);
            assert_eq!(is, code, "{form}: {message}");
            assert!(message.contains(text), "{form}: {message}");
        }
    }

    #[test]
    fn order_does_not_count() {
        let canonical = |form: &str| Parameters::parse(b"", form.as_bytes()).unwrap().canonical();
        assert_eq!(canonical("B=2&A.1=1"), canonical("A.1=1&B=2"));
        assert_ne!(canonical("A=1&B=2"), canonical("A=1%26B%3D2"));
    }
}
