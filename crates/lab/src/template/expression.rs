//! Values with CloudFormation's intrinsic functions in them, in short and long form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::list_function;
use crate::error::{LabError, Place, TemplateFault};
use crate::yaml::{Key, Kind, Node};

/// A value of the template that may need others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    place: Place,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Scalar {
        text: String,
        null: bool,
    },
    List(Vec<Expression>),
    Map(Vec<(Key, Expression)>),
    Get(Target),
    Sub(Vec<Part>),
    Base64(Box<Expression>),
    /// The index and the list.
    Select(Box<Expression>, Box<Expression>),
    /// The network, how many parts, and the bits of a part's hosts.
    Cidr(Box<[Expression; 3]>),
}

/// What a function gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `AWS::AccountId`
    AccountId,
    /// `AWS::Region`
    Region,
    /// What `Ref` of this logical id gives.
    Reference(String),
    /// An attribute of this logical id.
    Attribute(String, String),
}

/// A piece of `Fn::Sub`'s string.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value(Expression),
}

impl Target {
    /// The resource needed, if it is one.
    pub(crate) fn logical(&self) -> Option<&str> {
        match self {
            Self::AccountId | Self::Region => None,
            Self::Reference(logical) | Self::Attribute(logical, _) => Some(logical),
        }
    }

    /// Whether what is got is a list.
    fn is_list(&self) -> bool {
        matches!(self, Self::Attribute(_, attribute) if attribute == "Ipv6CidrBlocks")
    }

    fn reference(name: &str, place: &Place) -> Result<Self, LabError> {
        match name {
            "AWS::AccountId" => Ok(Self::AccountId),
            "AWS::Region" => Ok(Self::Region),
            _ if name.contains("::") => Err(place.error(TemplateFault::PseudoParameter(name.to_owned()))),
            _ => Ok(Self::Reference(name.to_owned())),
        }
    }
}

impl Expression {
    /// An empty mapping.
    pub(crate) fn nothing(place: &Place) -> Self {
        Self { place: place.clone(), form: Form::Map(Vec::new()) }
    }

    /// Reads a value; every function must be one that we have.
    pub(crate) fn read(node: &Node) -> Result<Self, LabError> {
        let form = match (&node.tag, &node.kind) {
            (Some(tag), _) => return Self::function(tag, &untagged(node), &node.place),
            (None, Kind::Scalar { text, null }) => Form::Scalar { text: text.clone(), null: *null },
            (None, Kind::List(items)) => Form::List(items.iter().map(Self::read).collect::<Result<_, _>>()?),
            (None, Kind::Map(entries)) => match entries.as_slice() {
                [(key, value)] if key.name == "Ref" || key.name.starts_with("Fn::") => {
                    return Self::function(&key.name, value, &key.place);
                }
                _ => {
                    let read = |(key, value): &(Key, Node)| Ok((key.clone(), Self::read(value)?));
                    Form::Map(entries.iter().map(read).collect::<Result<_, LabError>>()?)
                }
            },
        };
        Ok(Self { place: node.place.clone(), form })
    }

    /// What the value needs, with the place of each function.
    pub(crate) fn targets(&self) -> Vec<(&Target, &Place)> {
        match &self.form {
            Form::Scalar { .. } => Vec::new(),
            Form::List(items) => items.iter().flat_map(Self::targets).collect(),
            Form::Map(entries) => entries.iter().flat_map(|(_, value)| value.targets()).collect(),
            Form::Get(target) => vec![(target, &self.place)],
            Form::Base64(value) => value.targets(),
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

    /// The plain value: `get` gives the text of each target, items of a list with commas between.
    pub(crate) fn resolve(
        &self,
        get: &dyn Fn(&Target, &Place) -> Result<String, LabError>,
    ) -> Result<Node, LabError> {
        let kind = match &self.form {
            Form::Scalar { text, null } => Kind::Scalar { text: text.clone(), null: *null },
            Form::List(items) => {
                Kind::List(items.iter().map(|item| item.resolve(get)).collect::<Result<_, _>>()?)
            }
            Form::Map(entries) => {
                let resolve = |(key, value): &(Key, Self)| Ok((key.clone(), value.resolve(get)?));
                Kind::Map(entries.iter().map(resolve).collect::<Result<_, LabError>>()?)
            }
            Form::Get(target) if target.is_list() => {
                let items = get(target, &self.place)?;
                Kind::List(items.split(',').map(|item| self.scalar(item.to_owned())).collect())
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

    fn function(name: &str, argument: &Node, place: &Place) -> Result<Self, LabError> {
        let form = match name {
            "!Ref" | "Ref" => Form::Get(Target::reference(argument.text("Ref")?, place)?),
            "!GetAtt" | "Fn::GetAtt" => Form::Get(get_att(argument)?),
            "!Sub" | "Fn::Sub" => Form::Sub(sub(argument, place)?),
            "!Base64" | "Fn::Base64" => Form::Base64(Box::new(Self::read(argument)?)),
            "!Select" | "Fn::Select" => match argument.list("the argument of Fn::Select")? {
                [index, list] => Form::Select(Box::new(Self::read(index)?), Box::new(Self::read(list)?)),
                _ => return Err(argument.error(list_function::SELECT)),
            },
            "!Cidr" | "Fn::Cidr" => match argument.list("the argument of Fn::Cidr")? {
                [block, count, bits] => {
                    Form::Cidr(Box::new([Self::read(block)?, Self::read(count)?, Self::read(bits)?]))
                }
                _ => return Err(argument.error(list_function::CIDR)),
            },
            _ => return Err(place.error(TemplateFault::Function { function: name.to_owned() })),
        };
        Ok(Self { place: place.clone(), form })
    }
}

fn untagged(node: &Node) -> Node {
    Node { tag: None, ..node.clone() }
}

/// `A.B` or `[A, B]`.
fn get_att(argument: &Node) -> Result<Target, LabError> {
    let pair = match &argument.kind {
        Kind::List(items) => match items.as_slice() {
            [logical, attribute] => Some((logical.text("Fn::GetAtt")?, attribute.text("Fn::GetAtt")?)),
            _ => None,
        },
        _ => argument.text("Fn::GetAtt")?.split_once('.'),
    };
    let (logical, attribute) = pair.ok_or_else(|| {
        let expected = "a logical id and an attribute";
        argument.error(TemplateFault::Argument { function: "Fn::GetAtt", expected })
    })?;
    Ok(Target::Attribute(logical.to_owned(), attribute.to_owned()))
}

/// `"text ${Logical} ${Logical.Attribute} ${!literal}"`, or that and a mapping of variables.
fn sub(argument: &Node, place: &Place) -> Result<Vec<Part>, LabError> {
    let wrong = |expected| argument.error(TemplateFault::Argument { function: "Fn::Sub", expected });
    let (text, variables) = match &argument.kind {
        Kind::List(items) => match items.as_slice() {
            [text, variables] => (text, variables.map("the variables of Fn::Sub")?),
            _ => return Err(wrong("a text, or a list of a text and a mapping of variables")),
        },
        _ => (argument, [].as_slice()),
    };
    let mut rest = text.text("Fn::Sub")?;
    let mut parts = Vec::new();
    while let Some((before, after)) = rest.split_once("${") {
        parts.push(Part::Literal(before.to_owned()));
        let (name, after) = after.split_once('}').ok_or_else(|| wrong("a `}` after each `${`"))?;
        parts.push(match (name.strip_prefix('!'), variables.iter().find(|(key, _)| key.name == name)) {
            (Some(literal), _) => Part::Literal(format!("${{{literal}}}")),
            (None, Some((_, value))) => Part::Value(Expression::read(value)?),
            (None, None) => {
                let target = match name.split_once('.') {
                    Some((logical, attribute)) => Target::Attribute(logical.to_owned(), attribute.to_owned()),
                    None => Target::reference(name, place)?,
                };
                Part::Value(Expression { place: place.clone(), form: Form::Get(target) })
            }
        });
        rest = after;
    }
    parts.push(Part::Literal(rest.to_owned()));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn resolved(text: &str) -> Result<String, String> {
        let node = Node::parse(&Arc::from("t.yaml"), text).unwrap();
        let get = |target: &Target, _: &Place| {
            Ok(match target {
                Target::AccountId => "000000000000".to_owned(),
                Target::Region => "eu-west-1".to_owned(),
                Target::Reference(logical) => format!("<{logical}>"),
                Target::Attribute(logical, attribute) => format!("<{logical} {attribute}>"),
            })
        };
        let expression = Expression::read(&node).map_err(|e| e.to_string())?;
        let node = expression.resolve(&get).map_err(|e| e.to_string())?;
        Ok(node.text("x").map_err(|e| e.to_string())?.to_owned())
    }

    #[test]
    fn short_and_long_forms_mean_the_same() {
        for (forms, value) in [
            (["!Ref A", "{Ref: A}", "{\"Ref\": \"A\"}"], "<A>"),
            (["!GetAtt A.B", "!GetAtt [A, B]", "Fn::GetAtt: [A, B]"], "<A B>"),
            (
                ["!Sub 'x${A}y${A.B}'", "Fn::Sub: 'x${A}y${A.B}'", "!Sub ['x${A}y${V}', {V: !GetAtt A.B}]"],
                "x<A>y<A B>",
            ),
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
            (["!Ref AWS::Region", "!Sub '${AWS::Region}'", "eu-west-1"], "eu-west-1"),
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
            ("!GetAtt A", "t.yaml:1:1: Fn::GetAtt takes a logical id and an attribute"),
            ("!Sub '${A'", "t.yaml:1:1: Fn::Sub takes a `}` after each `${`"),
            ("!Sub [a]", "t.yaml:1:1: Fn::Sub takes a text, or a list of a text and a mapping of variables"),
            ("!Select [2, [a, b]]", "t.yaml:1:10: Fn::Select takes an index and a list that is long enough"),
            ("!Select [a]", "t.yaml:1:1: Fn::Select takes an index and a list that is long enough"),
            ("!Select [0, !Cidr [10.0.0.0/24, 2, 8]]", "{cidr}"),
            ("!Select [0, !Cidr [10.0.0.0/24, 0, 4]]", "{cidr}"),
            ("!Select [0, !Cidr [10.0.0.0/24, 1, 33]]", "{cidr}"),
            ("!Ref [A]", "t.yaml:1:1: Ref must be a single value, not a list"),
        ] {
            let cidr = "t.yaml:1:33: Fn::Cidr takes a network, how many parts of it (1 to 256), and the bits \
                        of a part's addresses";
            assert_eq!(resolved(text).unwrap_err(), expected.replace("{cidr}", cidr));
        }
        assert!(resolved("Fn::If: [a, b, c]").unwrap_err().starts_with("t.yaml:1:1: the function `Fn::If`"));
        assert!(resolved("!Ref AWS::StackName").unwrap_err().contains("pseudo parameter `AWS::StackName`"));
    }
}
