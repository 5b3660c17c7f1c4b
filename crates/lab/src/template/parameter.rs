//! `Parameters`: their types and constraints, and the values that they have.

mod kind;

use std::collections::BTreeMap;

use model::Region;
use regex_lite::Regex;

pub(super) use self::kind::Existing;
use self::kind::Kind;
use super::Setting;
use crate::error::{LabError, Place, TemplateFault, Wrong};
use crate::yaml::{Fields, Key, Node};

const PARAMETER: &[&str] = &[
    "Type",
    "Default",
    "AllowedPattern",
    "AllowedValues",
    "ConstraintDescription",
    "Description",
    "MaxLength",
    "MaxValue",
    "MinLength",
    "MinValue",
    "NoEcho",
];

/// A template's parameters with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parameters(BTreeMap<String, Parameter>);

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    place: Place,
    /// As it was given, or its default.
    given: String,
    pub(super) value: Value,
    existing: Option<Existing>,
    no_echo: bool,
}

/// What `Ref` of a parameter gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// One text.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl Parameters {
    /// Reads the section; each parameter has the value that the setting gives it, or its default.
    pub(super) fn read(fields: &Fields<'_>, setting: &Setting) -> Result<Self, LabError> {
        let mut all = BTreeMap::new();
        for (key, node) in fields.entries("Parameters")? {
            let given = setting.parameters.get(&key.name).or_else(|| setting.previous.get(&key.name));
            all.insert(key.name.clone(), Parameter::read(key, node, given)?);
        }
        match setting.parameters.keys().find(|name| !all.contains_key(*name)) {
            Some(unknown) => {
                let known = all.keys().cloned().collect();
                Err(fields.place.error(TemplateFault::UnknownParameter { name: unknown.clone(), known }))
            }
            None => Ok(Self(all)),
        }
    }

    /// The parameter called so.
    pub(super) fn get(&self, name: &str) -> Option<&Parameter> {
        self.0.get(name)
    }

    /// What each was given, or had by default.
    pub(super) fn given(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, parameter)| (name.clone(), parameter.given.clone())).collect()
    }

    /// Whether what parameters name is there.
    pub(super) fn check(&self, region: &Region, image: &dyn Fn(&str) -> bool) -> Result<(), LabError> {
        for (name, parameter) in &self.0 {
            let Some(existing) = parameter.existing else { continue };
            let missing = parameter.value.texts().iter().find(|text| !existing.is_there(text, region, image));
            if let Some(missing) = missing {
                let why = format!("there is no {} `{missing}`", existing.name());
                return Err(parameter.wrong(name, why));
            }
        }
        Ok(())
    }

    /// The error without the values that are not to be shown.
    pub(super) fn masked(&self, error: LabError) -> LabError {
        let secrets = self.0.values().filter(|parameter| parameter.no_echo && !parameter.given.is_empty());
        let text = error.wrong.to_string();
        let masked = secrets.fold(text.clone(), |text, secret| text.replace(&secret.given, "****"));
        if masked == text { error } else { error.place.error(Wrong::Masked(masked)) }
    }
}

impl Value {
    fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl Parameter {
    fn read(key: &Key, node: &Node, given: Option<&String>) -> Result<Self, LabError> {
        let name = &key.name;
        let fields = Fields::of(node, format!("parameter `{name}`"), PARAMETER)?;
        let type_node = fields.required("Type")?;
        let text = type_node.text("`Type`")?;
        let Some(kind) = Kind::named(text) else {
            let (name, kind) = (name.clone(), text.to_owned());
            return Err(type_node.error(TemplateFault::ParameterType { name, kind }));
        };
        let default = fields.optional("Default").map(|node| node.text("`Default`")).transpose()?;
        let Some(given) = given.map(String::as_str).or(default) else {
            return Err(key.place.error(TemplateFault::ParameterMissing(name.clone())));
        };
        let no_echo = fields.optional("NoEcho").map_or(Ok(false), Node::boolean)?;
        let parameter = Self {
            place: key.place.clone(),
            given: given.to_owned(),
            value: kind.value(given),
            existing: kind.existing(),
            no_echo,
        };
        parameter.check(name, &fields, kind)?;
        Ok(parameter)
    }

    fn check(&self, name: &str, fields: &Fields<'_>, kind: Kind) -> Result<(), LabError> {
        let shown = |text: &str| if self.no_echo { "****".to_owned() } else { text.to_owned() };
        let described =
            fields.optional("ConstraintDescription").map(|node| node.text("`ConstraintDescription`"));
        let described = described.transpose()?;
        let wrong = |text: &str, expected: String| {
            let expected = described.map_or(expected, str::to_owned);
            self.wrong(name, format!("`{}`: {expected}", shown(text)))
        };
        let allowed = fields.items("AllowedValues")?;
        let allowed: Vec<_> =
            allowed.iter().map(|node| node.text("an allowed value")).collect::<Result<_, _>>()?;
        let pattern = fields.optional("AllowedPattern").map(pattern).transpose()?;
        let (least, most) = (number(fields, "MinValue")?, number(fields, "MaxValue")?);
        let (shortest, longest) = (number(fields, "MinLength")?, number(fields, "MaxLength")?);
        for text in self.value.texts() {
            if !allowed.is_empty() && !allowed.contains(&text.as_str()) {
                return Err(wrong(text, format!("must be one of {}", allowed.join(", "))));
            }
            if let Some((regex, source)) = &pattern
                && !regex.is_match(text)
            {
                return Err(wrong(text, format!("must match the pattern {source}")));
            }
            let length = text.chars().count() as f64;
            if shortest.is_some_and(|shortest| length < shortest) {
                return Err(wrong(text, "is too short".to_owned()));
            }
            if longest.is_some_and(|longest| length > longest) {
                return Err(wrong(text, "is too long".to_owned()));
            }
            if !kind.is_number() {
                continue;
            }
            let Some(value) = text.parse::<f64>().ok().filter(|value| value.is_finite()) else {
                return Err(wrong(text, "must be a number".to_owned()));
            };
            if least.is_some_and(|least| value < least) || most.is_some_and(|most| value > most) {
                return Err(wrong(text, "is out of range".to_owned()));
            }
        }
        Ok(())
    }

    fn wrong(&self, name: &str, why: String) -> LabError {
        self.place.error(TemplateFault::ParameterValue { name: name.to_owned(), why })
    }
}

/// A regular expression that must match the whole value, and how it was written.
fn pattern(node: &Node) -> Result<(Regex, &str), LabError> {
    let text = node.text("`AllowedPattern`")?;
    let regex = Regex::new(&format!("^(?:{text})$")).map_err(|_| {
        let value = text.to_owned();
        node.error(Wrong::Value { value, expected: "a regular expression that can be used here" })
    })?;
    Ok((regex, text))
}

fn number(fields: &Fields<'_>, key: &'static str) -> Result<Option<f64>, LabError> {
    fields.optional(key).map(|node| node.value("a number")).transpose()
}
