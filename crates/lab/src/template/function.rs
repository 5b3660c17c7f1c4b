//! Reading intrinsic functions (CloudFormation template reference, "Intrinsic functions").

use super::expression::{Expression, Form, Part};
use super::list_function;
use super::scope::Scope;
use crate::error::{LabError, Place, TemplateFault};
use crate::yaml::{Kind, Node};

/// The functions of values that there are.
pub(crate) const FUNCTIONS: &[&str] = &[
    "Ref",
    "Fn::Base64",
    "Fn::Cidr",
    "Fn::FindInMap",
    "Fn::GetAZs",
    "Fn::GetAtt",
    "Fn::If",
    "Fn::Join",
    "Fn::Select",
    "Fn::Split",
    "Fn::Sub",
];

/// The value that a function with this argument is.
pub(super) fn read(
    name: &str,
    argument: &Node,
    place: &Place,
    scope: &Scope<'_>,
) -> Result<Expression, LabError> {
    let boxed = |node: &Node| Expression::read(node, scope).map(Box::new);
    let form = match name {
        "!Ref" | "Ref" => return Expression::reference(argument.text("Ref")?, place, scope),
        "!GetAtt" | "Fn::GetAtt" => return get_att(argument, place, scope),
        "!If" | "Fn::If" => return choose(argument, scope),
        "!FindInMap" | "Fn::FindInMap" => return find_in_map(argument, place, scope),
        "!GetAZs" | "Fn::GetAZs" => return zones(argument, place, scope),
        "!Sub" | "Fn::Sub" => Form::Sub(sub(argument, place, scope)?),
        "!Base64" | "Fn::Base64" => Form::Base64(boxed(argument)?),
        "!Join" | "Fn::Join" => match argument.list("the argument of Fn::Join")? {
            [between, list] => {
                Form::Join(between.text("what Fn::Join puts between")?.to_owned(), boxed(list)?)
            }
            _ => return Err(argument.error(list_function::JOIN)),
        },
        "!Split" | "Fn::Split" => match argument.list("the argument of Fn::Split")? {
            [between, text] => match between.text("what Fn::Split splits at")? {
                "" => return Err(between.error(list_function::SPLIT)),
                between => Form::Split(between.to_owned(), boxed(text)?),
            },
            _ => return Err(argument.error(list_function::SPLIT)),
        },
        "!Select" | "Fn::Select" => match argument.list("the argument of Fn::Select")? {
            [index, list] => Form::Select(boxed(index)?, boxed(list)?),
            _ => return Err(argument.error(list_function::SELECT)),
        },
        "!Cidr" | "Fn::Cidr" => match argument.list("the argument of Fn::Cidr")? {
            [block, count, bits] => {
                let read = |node| Expression::read(node, scope);
                Form::Cidr(Box::new([read(block)?, read(count)?, read(bits)?]))
            }
            _ => return Err(argument.error(list_function::CIDR)),
        },
        _ => return Err(place.error(TemplateFault::Function { function: name.to_owned() })),
    };
    Ok(Expression { place: place.clone(), form })
}

/// `A.B` or `[A, B]`.
fn get_att(argument: &Node, place: &Place, scope: &Scope<'_>) -> Result<Expression, LabError> {
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
    Expression::attribute(logical, attribute, place, scope)
}

/// One of two values. What is wrong with the other is wrong too.
fn choose(argument: &Node, scope: &Scope<'_>) -> Result<Expression, LabError> {
    let [condition, then, otherwise] = argument.list("the argument of Fn::If")? else {
        let expected = "a condition, a value if it holds, and one if not";
        return Err(argument.error(TemplateFault::Argument { function: "Fn::If", expected }));
    };
    let (then, otherwise) = (Expression::read(then, scope)?, Expression::read(otherwise, scope)?);
    Ok(if scope.holds(condition)? { then } else { otherwise })
}

fn find_in_map(argument: &Node, place: &Place, scope: &Scope<'_>) -> Result<Expression, LabError> {
    let [map, top, second] = argument.list("the argument of Fn::FindInMap")? else {
        let expected = "a mapping and two keys";
        return Err(argument.error(TemplateFault::Argument { function: "Fn::FindInMap", expected }));
    };
    let constant = |node| Expression::read(node, scope)?.constant();
    let found = scope.mapped(&constant(map)?, &constant(top)?, &constant(second)?)?.clone();
    Expression::read(&Node { place: place.clone(), ..found }, scope)
}

/// The availability zones of a region, this one if it is not named.
fn zones(argument: &Node, place: &Place, scope: &Scope<'_>) -> Result<Expression, LabError> {
    let region = Expression::read(argument, scope)?.constant()?;
    let own = &scope.setting.region.region;
    let zones = match region.text("the region of Fn::GetAZs")? {
        "" => own.availability_zones().collect::<Vec<_>>(),
        other => model::RegionName(other.to_owned()).availability_zones().collect(),
    };
    Ok(Expression::texts(zones.into_iter(), place))
}

/// `"text ${Logical} ${Logical.Attribute} ${!literal}"`, or that and a mapping of variables.
fn sub(argument: &Node, place: &Place, scope: &Scope<'_>) -> Result<Vec<Part>, LabError> {
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
        let name = name.trim();
        parts.push(match (name.strip_prefix('!'), variables.iter().find(|(key, _)| key.name == name)) {
            (Some(literal), _) => Part::Literal(format!("${{{literal}}}")),
            (None, Some((_, value))) => Part::Value(Expression::read(value, scope)?),
            (None, None) => Part::Value(match name.split_once('.') {
                Some((logical, attribute)) => Expression::attribute(logical, attribute, place, scope)?,
                None => Expression::reference(name, place, scope)?,
            }),
        });
        rest = after;
    }
    parts.push(Part::Literal(rest.to_owned()));
    Ok(parts)
}
