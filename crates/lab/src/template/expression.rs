//! Values with CloudFormation's intrinsic functions in them, in short and long form.
//!
//! What is known before anything is made, parameters, mappings and conditions, is put in while a value is read. What
//! is left are functions of resources, and functions of those.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::parameter::Value;
use super::scope::Scope;
use super::{function, list_function};
use crate::error::{LabError, Place, TemplateFault};
use crate::yaml::{Key, Kind, Node};

/// A value of the template that may need resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(super) place: Place,
    pub(super) form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Scalar {
        text: String,
        null: bool,
    },
    List(Vec<Expression>),
    Map(Vec<(Key, Expression)>),
    /// `AWS::NoValue`: what has it is as if it were left out.
    NoValue,
    Get(Target),
    Sub(Vec<Part>),
    Base64(Box<Expression>),
    /// What stands between, and the list.
    Join(String, Box<Expression>),
    /// What stands between, and the text.
    Split(String, Box<Expression>),
    /// The index and the list.
    Select(Box<Expression>, Box<Expression>),
    /// The network, how many parts, and the bits of a part's hosts.
    Cidr(Box<[Expression; 3]>),
}

/// What a function gets of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// What `Ref` of this logical id gives.
    Reference(String),
    /// An attribute of this logical id.
    Attribute(String, String),
}

/// A piece of `Fn::Sub`'s string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Value(Expression),
}

impl Target {
    /// The resource needed.
    pub(crate) fn logical(&self) -> &str {
        match self {
            Self::Reference(logical) | Self::Attribute(logical, _) => logical,
        }
    }

    /// Whether what is got is a list.
    fn is_list(&self) -> bool {
        matches!(self, Self::Attribute(_, attribute)
            if matches!(attribute.as_str(), "Ipv6CidrBlocks" | "SecondaryPrivateIpAddresses"))
    }
}

impl Expression {
    /// An empty mapping.
    pub(crate) fn nothing(place: &Place) -> Self {
        Self { place: place.clone(), form: Form::Map(Vec::new()) }
    }

    /// Reads a value; every function must be one that we have, and every name must mean something.
    pub(super) fn read(node: &Node, scope: &Scope<'_>) -> Result<Self, LabError> {
        let form = match (&node.tag, &node.kind) {
            (Some(tag), _) => {
                let untagged = Node { tag: None, ..node.clone() };
                return function::read(tag, &untagged, &node.place, scope);
            }
            (None, Kind::Scalar { text, null }) => Form::Scalar { text: text.clone(), null: *null },
            (None, Kind::List(items)) => {
                let mut list = Vec::new();
                for item in items {
                    list.extend(Self::read(item, scope)?.present());
                }
                Form::List(list)
            }
            (None, Kind::Map(entries)) => match entries.as_slice() {
                [(key, value)] if key.name == "Ref" || key.name.starts_with("Fn::") => {
                    return function::read(&key.name, value, &key.place, scope);
                }
                _ => {
                    let mut map = Vec::new();
                    for (key, value) in entries {
                        map.extend(Self::read(value, scope)?.present().map(|value| (key.clone(), value)));
                    }
                    Form::Map(map)
                }
            },
        };
        Ok(Self { place: node.place.clone(), form })
    }

    /// What `Ref` of a name means.
    pub(super) fn reference(name: &str, place: &Place, scope: &Scope<'_>) -> Result<Self, LabError> {
        let setting = scope.setting;
        let text = |text: &str| Form::Scalar { text: text.to_owned(), null: false };
        let form = match name {
            "AWS::AccountId" => text(&setting.region.account.0),
            "AWS::NoValue" => Form::NoValue,
            "AWS::Partition" => text("aws"),
            "AWS::Region" => text(&setting.region.region.0),
            "AWS::StackId" => text(&setting.stack_id()),
            "AWS::StackName" => text(&setting.stack),
            "AWS::URLSuffix" => text("amazonaws.com"),
            _ if name.contains("::") => {
                return Err(place.error(TemplateFault::PseudoParameter(name.to_owned())));
            }
            _ => match scope.parameters.get(name).map(|parameter| &parameter.value) {
                Some(Value::One(value)) => text(value),
                Some(Value::Many(values)) => return Ok(Self::texts(values.iter().cloned(), place)),
                None if scope.resources.contains_key(name) => Form::Get(Target::Reference(name.to_owned())),
                None => return Err(place.error(TemplateFault::UnknownName(name.to_owned()))),
            },
        };
        Ok(Self { place: place.clone(), form })
    }

    /// What `Fn::GetAtt` means.
    pub(super) fn attribute(
        logical: &str,
        attribute: &str,
        place: &Place,
        scope: &Scope<'_>,
    ) -> Result<Self, LabError> {
        let unknown = || place.error(TemplateFault::UnknownResource(logical.to_owned()));
        let kind = scope.resources.get(logical).ok_or_else(unknown)?;
        let (known, logical, attribute) = (kind.attributes(), logical.to_owned(), attribute.to_owned());
        if !known.contains(&attribute.as_str()) {
            let kind = kind.name();
            return Err(place.error(TemplateFault::Attribute { logical, kind, attribute, known }));
        }
        Ok(Self { place: place.clone(), form: Form::Get(Target::Attribute(logical, attribute)) })
    }

    /// A list of texts.
    pub(super) fn texts(texts: impl Iterator<Item = String>, place: &Place) -> Self {
        let item = |text| Self { place: place.clone(), form: Form::Scalar { text, null: false } };
        Self { place: place.clone(), form: Form::List(texts.map(item).collect()) }
    }

    /// None of `AWS::NoValue`.
    pub(super) fn present(self) -> Option<Self> {
        (self.form != Form::NoValue).then_some(self)
    }

    /// What the value needs, with the place of each function.
    pub(crate) fn targets(&self) -> Vec<(&Target, &Place)> {
        match &self.form {
            Form::Scalar { .. } | Form::NoValue => Vec::new(),
            Form::List(items) => items.iter().flat_map(Self::targets).collect(),
            Form::Map(entries) => entries.iter().flat_map(|(_, value)| value.targets()).collect(),
            Form::Get(target) => vec![(target, &self.place)],
            Form::Base64(value) | Form::Join(_, value) | Form::Split(_, value) => value.targets(),
            Form::Select(index, list) => [index.targets(), list.targets()].concat(),
            Form::Cidr(arguments) => arguments.iter().flat_map(Self::targets).collect(),
            Form::Sub(parts) => {
                let values = parts.iter().filter_map(|part| match part {
                    Part::Literal(_) => None,
                    Part::Value(value) => Some(value.targets()),
                });
                values.flatten().collect()
            }
        }
    }

    /// The value under a key, if this is a mapping that has it.
    pub(crate) fn field(&self, key: &str) -> Option<&Self> {
        let Form::Map(entries) = &self.form else { return None };
        entries.iter().find(|(known, _)| known.name == key).map(|(_, value)| value)
    }

    /// The plain value of what needs no resource.
    pub(super) fn constant(&self) -> Result<Node, LabError> {
        self.resolve(&|target, place| {
            Err(place.error(TemplateFault::NotConstant(target.logical().to_owned())))
        })
    }

    /// The plain value: `get` gives the text of each target, items of a list with commas between.
    pub(crate) fn resolve(
        &self,
        get: &dyn Fn(&Target, &Place) -> Result<String, LabError>,
    ) -> Result<Node, LabError> {
        let kind = match &self.form {
            Form::Scalar { text, null } => Kind::Scalar { text: text.clone(), null: *null },
            Form::NoValue => Kind::Scalar { text: String::new(), null: true },
            Form::List(items) => {
                Kind::List(items.iter().map(|item| item.resolve(get)).collect::<Result<_, _>>()?)
            }
            Form::Map(entries) => {
                let resolve = |(key, value): &(Key, Self)| Ok((key.clone(), value.resolve(get)?));
                Kind::Map(entries.iter().map(resolve).collect::<Result<_, LabError>>()?)
            }
            Form::Get(target) if target.is_list() => {
                let items = get(target, &self.place)?;
                let items = items.split(',').filter(|item| !item.is_empty());
                Kind::List(items.map(|item| self.scalar(item.to_owned())).collect())
            }
            Form::Get(target) => Kind::Scalar { text: get(target, &self.place)?, null: false },
            Form::Sub(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Value(value) => {
                            text.push_str(value.resolve(get)?.text("a variable of Fn::Sub")?);
                        }
                    }
                }
                Kind::Scalar { text, null: false }
            }
            Form::Base64(value) => {
                let value = value.resolve(get)?;
                let text = BASE64.encode(value.text("Fn::Base64's value")?);
                Kind::Scalar { text, null: false }
            }
            Form::Join(between, list) => {
                let text = list_function::join(between, &list.resolve(get)?)?;
                Kind::Scalar { text, null: false }
            }
            Form::Split(between, text) => {
                let text = text.resolve(get)?;
                let items = text.text("the text of Fn::Split")?.split(between.as_str());
                Kind::List(items.map(|item| self.scalar(item.to_owned())).collect())
            }
            Form::Select(index, list) => {
                return list_function::select(&index.resolve(get)?, &list.resolve(get)?);
            }
            Form::Cidr(arguments) => {
                let [block, count, bits] = &**arguments;
                let parts =
                    list_function::cidr(&block.resolve(get)?, &count.resolve(get)?, &bits.resolve(get)?)?;
                Kind::List(parts.into_iter().map(|part| self.scalar(part)).collect())
            }
        };
        Ok(Node { place: self.place.clone(), tag: None, kind })
    }

    fn scalar(&self, text: String) -> Node {
        Node { place: self.place.clone(), tag: None, kind: Kind::Scalar { text, null: false } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;
    use crate::template::tests::setting;

    /// The value's text, or a list's texts with `|` between. Resources `A` and `B` have every attribute.
    fn resolved(text: &str) -> Result<String, String> {
        let value = text.replace('\n', " ");
        let template = format!(
            "Parameters:\n  P: {{Type: String, Default: x}}\n  L: {{Type: CommaDelimitedList, Default: 'a, b'}}\n\
             Mappings: {{M: {{eu-central-1: {{one: '1', two: [c, d]}}}}}}\n\
             Conditions: {{Yes: !Equals [a, a], No: !Equals [a, b]}}\n\
             Resources: {{A: {{Type: AWS::EC2::VPC}}}}\nOutputs:\n  O:\n   Value:\n     {value}"
        );
        let template = Template::parse("t.yaml", &template, &setting()).map_err(|e| e.to_string())?;
        let get = |target: &Target, _: &Place| {
            Ok(match target {
                Target::Reference(logical) => format!("<{logical}>"),
                Target::Attribute(_, attribute) if attribute == "Ipv6CidrBlocks" => "::,1::".to_owned(),
                Target::Attribute(logical, attribute) => format!("<{logical} {attribute}>"),
            })
        };
        let node = template.outputs()[0].1.resolve(&get).map_err(|e| e.to_string())?;
        let texts = match &node.kind {
            Kind::List(items) => items.iter().map(|item| item.text("x").map(str::to_owned)).collect(),
            _ => node.text("x").map(|text| vec![text.to_owned()]),
        };
        Ok(texts.map_err(|e| e.to_string())?.join("|"))
    }

    #[test]
    fn short_and_long_forms_mean_the_same() {
        for (forms, value) in [
            (["!Ref A", "{Ref: A}", "{\"Ref\": \"A\"}"], "<A>"),
            (["!GetAtt A.VpcId", "!GetAtt [A, VpcId]", "Fn::GetAtt: [A, VpcId]"], "<A VpcId>"),
            (
                [
                    "!Sub 'x${A}y${A.VpcId}'",
                    "Fn::Sub: 'x${A}y${A.VpcId}'",
                    "!Sub ['x${A}y${V}', {V: !GetAtt A.VpcId}]",
                ],
                "x<A>y<A VpcId>",
            ),
            (["!Join ['-', [a, !Ref A]]", "Fn::Join: ['-', [a, !Ref A]]", "!Sub 'a-${A}'"], "a-<A>"),
            (["!Split ['-', a-b]", "Fn::Split: ['-', a-b]", "!Ref L"], "a|b"),
            (["!Join ['', !Ref L]", "!Join ['', !Split [',', 'a,b']]", "ab"], "ab"),
            (["!If [Yes, !Ref P, 1]", "Fn::If: [No, 1, !Ref P]", "!Sub '${P}'"], "x"),
            (
                [
                    "!FindInMap [M, !Ref AWS::Region, two]",
                    "Fn::FindInMap: [M, eu-central-1, two]",
                    "[c, !If [No, x, !Ref AWS::NoValue], d]",
                ],
                "c|d",
            ),
            (
                [
                    "!Select [1, !GetAZs '']",
                    "!Select [1, !GetAZs {Ref: AWS::Region}]",
                    "!Sub '${AWS::Region}b'",
                ],
                "eu-central-1b",
            ),
            (["!GetAtt A.Ipv6CidrBlocks", "['::', '1::']", "!Split [',', '::,1::']"], "::|1::"),
            (["!Ref AWS::StackName", "!Select [1, !Split [/, !Ref AWS::StackId]]", "web"], "web"),
            (["!Select [1, [a, b]]", "Fn::Select: [1, [a, b]]", "!Select ['1', [a, !Sub 'b']]"], "b"),
            (
                [
                    "!Select [1, !Cidr [2001:db8::/56, 2, 64]]",
                    "Fn::Select: [1, {'Fn::Cidr': [2001:db8::/56, 256, 64]}]",
                    "!Select [0, !Cidr ['2001:db8:0:1::/64', 1, 64]]",
                ],
                "2001:db8:0:1::/64",
            ),
            (
                [
                    "!Select [3, !Cidr [10.0.0.0/16, 4, 8]]",
                    "!Select [0, !Cidr [10.0.3.0/24, 1, 8]]",
                    "!Select [3, !Cidr [10.0.0.0/16, 256, 8]]",
                ],
                "10.0.3.0/24",
            ),
            (["!Base64 hallo", "Fn::Base64: hallo", "Fn::Base64: !Sub hallo"], "aGFsbG8="),
            (["!Ref AWS::Region", "!Sub '${AWS::Region}'", "eu-central-1"], "eu-central-1"),
            (["!Sub '${!A}'", "Fn::Sub: '${!A}'", "'${A}'"], "${A}"),
        ] {
            for form in forms {
                assert_eq!(resolved(form).as_deref(), Ok(value), "{form}");
            }
        }
    }

    #[test]
    fn refuses_what_it_cannot_do() {
        for (text, expected) in [
            ("!GetAtt A", "t.yaml:10:6: Fn::GetAtt takes a logical id and an attribute"),
            ("!Sub '${A'", "t.yaml:10:6: Fn::Sub takes a `}` after each `${`"),
            ("!Sub [a]", "t.yaml:10:6: Fn::Sub takes a text, or a list of a text and a mapping of variables"),
            ("!Select [2, [a, b]]", "t.yaml:10:15: Fn::Select takes an index and a list that is long enough"),
            ("!Select [a]", "t.yaml:10:6: Fn::Select takes an index and a list that is long enough"),
            ("!Select [0, !Cidr [10.0.0.0/24, 2, 8]]", "{cidr}"),
            ("!Select [0, !Cidr [10.0.0.0/24, 0, 4]]", "{cidr}"),
            ("!Select [0, !Cidr [10.0.0.0/24, 1, 33]]", "{cidr}"),
            ("!Ref [A]", "t.yaml:10:6: Ref must be a single value, not a list"),
        ] {
            let cidr = "t.yaml:10:38: Fn::Cidr takes a network, how many parts of it (1 to 256), and the bits \
                        of a part's addresses";
            assert_eq!(resolved(text).unwrap_err(), expected.replace("{cidr}", cidr));
        }
        assert!(resolved("Fn::Length: a").unwrap_err().starts_with("t.yaml:10:6: the function `Fn::Length`"));
        let pseudo = resolved("!Ref AWS::NotificationARNs").unwrap_err();
        assert!(pseudo.contains("pseudo parameter `AWS::NotificationARNs`"), "{pseudo}");
    }
}
