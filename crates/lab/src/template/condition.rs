//! `Conditions`: which hold, by parameters, mappings and pseudo parameters alone.

use std::collections::BTreeMap;

use super::expression::Expression;
use super::scope::Scope;
use crate::error::{LabError, TemplateFault};
use crate::yaml::{Key, Kind, Node};

/// Fewest and most conditions of `Fn::And` and `Fn::Or` (CloudFormation template reference, "Condition functions").
const SEVERAL: std::ops::RangeInclusive<usize> = 2..=10;

/// Says of each condition whether it holds. Its functions see the parameters and mappings of `scope`.
pub(super) fn evaluate(
    entries: &[(Key, Node)],
    scope: &Scope<'_>,
) -> Result<BTreeMap<String, bool>, LabError> {
    let mut evaluation = Evaluation { entries, scope, known: BTreeMap::new(), path: Vec::new() };
    for (key, node) in entries {
        evaluation.named(key, node)?;
    }
    Ok(evaluation.known)
}

struct Evaluation<'e> {
    entries: &'e [(Key, Node)],
    scope: &'e Scope<'e>,
    known: BTreeMap<String, bool>,
    /// The conditions that wait for the one that is looked at.
    path: Vec<String>,
}

impl<'e> Evaluation<'e> {
    fn named(&mut self, key: &'e Key, node: &'e Node) -> Result<bool, LabError> {
        if let Some(holds) = self.known.get(&key.name) {
            return Ok(*holds);
        }
        if self.path.contains(&key.name) {
            let circle = self.path.iter().skip_while(|name| **name != key.name).chain([&key.name]);
            return Err(key.place.error(TemplateFault::ConditionCycle(circle.cloned().collect())));
        }
        self.path.push(key.name.clone());
        let holds = self.holds(node)?;
        self.path.pop();
        self.known.insert(key.name.clone(), holds);
        Ok(holds)
    }

    fn holds(&mut self, node: &Node) -> Result<bool, LabError> {
        let untagged;
        let (function, place, argument) = match (&node.tag, &node.kind) {
            (Some(tag), _) => {
                untagged = Node { tag: None, ..node.clone() };
                (tag.as_str(), &node.place, &untagged)
            }
            (None, Kind::Map(entries)) => match entries.as_slice() {
                [(key, argument)] => (key.name.as_str(), &key.place, argument),
                _ => return Err(node.error(TemplateFault::NotACondition)),
            },
            _ => return Err(node.error(TemplateFault::NotACondition)),
        };
        match function {
            "!Condition" | "Condition" => self.referred(argument),
            "!Equals" | "Fn::Equals" => match argument.list("the argument of Fn::Equals")? {
                [a, b] => Ok(self.constant(a)? == self.constant(b)?),
                _ => Err(wrong(argument, "Fn::Equals", "two values")),
            },
            "!Not" | "Fn::Not" => match argument.list("the argument of Fn::Not")? {
                [one] => Ok(!self.holds(one)?),
                _ => Err(wrong(argument, "Fn::Not", "one condition in a list")),
            },
            "!And" | "Fn::And" => Ok(self.parts(argument, "Fn::And")?.into_iter().all(|holds| holds)),
            "!Or" | "Fn::Or" => Ok(self.parts(argument, "Fn::Or")?.into_iter().any(|holds| holds)),
            _ => Err(place.error(TemplateFault::ConditionFunction { function: function.to_owned() })),
        }
    }

    /// All of them: what is wrong with the last is wrong though the first decides.
    fn parts(&mut self, argument: &Node, function: &'static str) -> Result<Vec<bool>, LabError> {
        let parts = argument.list("a list of conditions")?;
        if !SEVERAL.contains(&parts.len()) {
            return Err(wrong(argument, function, "two to ten conditions"));
        }
        parts.iter().map(|part| self.holds(part)).collect()
    }

    fn referred(&mut self, argument: &Node) -> Result<bool, LabError> {
        let name = argument.text("the name of a condition")?;
        let entries = self.entries;
        match entries.iter().find(|(key, _)| key.name == name) {
            Some((key, node)) => self.named(key, node),
            None => Err(argument.error(TemplateFault::UnknownCondition(name.to_owned()))),
        }
    }

    /// A value that is known without any resource.
    fn constant(&self, node: &Node) -> Result<Vec<String>, LabError> {
        let value = Expression::read(node, self.scope)?.constant()?;
        match &value.kind {
            Kind::List(items) => {
                items.iter().map(|item| item.text("an item of Fn::Equals").map(str::to_owned)).collect()
            }
            _ => Ok(vec![value.text("a value of Fn::Equals")?.to_owned()]),
        }
    }
}

fn wrong(node: &Node, function: &'static str, expected: &'static str) -> LabError {
    node.error(TemplateFault::Argument { function, expected })
}
