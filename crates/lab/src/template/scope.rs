//! What names mean in a template, and which of its conditions hold: all that is known before anything is made.

use std::collections::BTreeMap;

use super::parameter::Parameters;
use super::{ResourceType, Setting, condition, mapping};
use crate::error::{LabError, TemplateFault};
use crate::yaml::{Fields, Node};

/// Everything that an expression can refer to.
pub(super) struct Scope<'s> {
    pub(super) setting: &'s Setting,
    pub(super) parameters: &'s Parameters,
    mappings: mapping::Mappings,
    conditions: BTreeMap<String, bool>,
    /// All resources that the template declares, made or not.
    pub(super) resources: BTreeMap<String, ResourceType>,
}

impl<'s> Scope<'s> {
    /// Reads `Mappings` and `Conditions`. Resources are for whoever reads them to declare.
    pub(super) fn read(
        fields: &Fields<'_>,
        setting: &'s Setting,
        parameters: &'s Parameters,
    ) -> Result<Self, LabError> {
        let mappings = mapping::read(fields)?;
        let (conditions, resources) = (BTreeMap::new(), BTreeMap::new());
        let mut scope = Self { setting, parameters, mappings, conditions, resources };
        scope.conditions = condition::evaluate(fields.entries("Conditions")?, &scope)?;
        Ok(scope)
    }

    /// Whether the condition that `node` names holds.
    pub(super) fn holds(&self, node: &Node) -> Result<bool, LabError> {
        let name = node.text("the name of a condition")?;
        let holds = self.conditions.get(name).copied();
        holds.ok_or_else(|| node.error(TemplateFault::UnknownCondition(name.to_owned())))
    }

    /// What the mapping has under two keys.
    pub(super) fn mapped(&self, map: &Node, top: &Node, second: &Node) -> Result<&Node, LabError> {
        mapping::find(&self.mappings, map, top, second)
    }
}
