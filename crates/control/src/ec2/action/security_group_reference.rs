//! Rules about security groups across VPC peering connections. There are none: a rule is about groups of its own VPC
//! only, so nothing refers to a group from elsewhere, and no rule is left over from a connection that is gone.

use model::{Fault, SecurityGroupId, VpcId};
use serde::{Deserialize, Serialize};

use super::{Action, Describe};
use crate::ec2::Call;
use crate::ec2::error::Error;
use crate::ec2::filter::Names;
use crate::store::ClientToken;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSecurityGroupReferences {
    group_id: Vec<SecurityGroupId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeSecurityGroupReferencesAnswer {
    security_group_reference_set: Vec<()>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeStaleSecurityGroups {
    vpc_id: VpcId,
}

impl Action for DescribeSecurityGroupReferences {
    type Answer = DescribeSecurityGroupReferencesAnswer;

    fn run(self, call: &Call<'_>, _: Option<ClientToken>) -> Result<Self::Answer, Error> {
        let region = call.region();
        let missing = self.group_id.iter().find(|id| !region.security_groups().contains_key(id));
        match missing {
            Some(&missing) => Err(Fault::SecurityGroupNotFound(missing).into()),
            None => Ok(DescribeSecurityGroupReferencesAnswer { security_group_reference_set: Vec::new() }),
        }
    }
}

impl Describe for DescribeStaleSecurityGroups {
    const SET: &'static str = "staleSecurityGroupSet";
    const FILTERS: &'static Names = &[];
    type Shown = ();

    fn by_id(&self) -> bool {
        false
    }

    fn all(&self, call: &Call<'_>) -> Result<Vec<(String, ())>, Error> {
        call.region().vpcs().get(&self.vpc_id).ok_or(Fault::VpcNotFound(self.vpc_id))?;
        Ok(Vec::new())
    }
}
