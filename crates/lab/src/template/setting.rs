//! What a template is read for: whose it will be, and what its parameters are given.

use std::collections::BTreeMap;

use model::RegionKey;

/// The nil UUID (RFC 9562): a stack of which there is only one needs no other.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

/// Where a template's resources are to be, under which name, and with which parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What `AWS::AccountId` and `AWS::Region` are.
    pub region: RegionKey,
    /// What `AWS::StackName` is, and names that the template leaves out begin with.
    pub stack: String,
    /// The UUID at the end of `AWS::StackId`.
    pub uuid: String,
    /// The parameters' values by their names; those that are missing have their defaults.
    pub parameters: BTreeMap<String, String>,
    /// What they had before: parameters that are given nothing now keep it, where the template still has them.
    pub previous: BTreeMap<String, String>,
}

impl Setting {
    /// A stack without parameters, with the nil UUID.
    pub fn new(region: RegionKey, stack: &str) -> Self {
        let uuid = NIL.to_owned();
        let (parameters, previous) = (BTreeMap::new(), BTreeMap::new());
        Self { region, stack: stack.to_owned(), uuid, parameters, previous }
    }

    /// The stack's id as CloudFormation forms it.
    pub(super) fn stack_id(&self) -> String {
        let RegionKey { account, region } = &self.region;
        format!("arn:aws:cloudformation:{region}:{account}:stack/{}/{}", self.stack, self.uuid)
    }
}
